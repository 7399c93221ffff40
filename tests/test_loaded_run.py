"""Loaded runs: arrays of any length in and out."""

import re

import numpy as np
import pytest
import tensorflow as tf

import dfcvae_tf
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.files import read_arrays
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from dfcvae_tf.loaded_run import LoadedRun
from tests.programs import run_python


@pytest.fixture(name="run", scope="module")
def _run():
    return dfcvae_tf.load_run("pretrained:mnist_dfc_vae")


@pytest.fixture(name="images", scope="module")
def _images():
    return read_arrays(SAMPLE_PATH)["test_images"][:700] / np.float32(255)


def test_arrays_of_any_length_are_those_of_one_batch(run, images):
    assert len(images) > run.batch_size
    z_mean, z_log_var = run.encode(images)
    assert z_mean.shape == z_log_var.shape == (700, 5)
    for part in (slice(0, 3), slice(498, 503)):
        expected = run.encoder(images[part])
        np.testing.assert_allclose(z_mean[part], expected[0], atol=1e-5)
        np.testing.assert_allclose(z_log_var[part], expected[1], atol=1e-5)
        np.testing.assert_allclose(
            run.decode(z_mean)[part], run.decoder(z_mean[part]), atol=1e-5
        )
    np.testing.assert_array_equal(run.reconstruct(images), run.decode(z_mean))
    assert run.decode(np.zeros((0, 5), np.float32)).shape == (0, 28, 28, 1)
    assert [values.shape for values in run.encode(images[:0])] == [(0, 5), (0, 5)]


def test_samples_are_a_function_of_the_seed_and_the_first_of_more(run):
    samples = run.sample(20, seed=3)
    assert samples.shape == (20, 28, 28, 1) and samples.dtype == np.float32
    np.testing.assert_allclose(run.sample(20, seed=3), samples)
    assert np.abs(run.sample(20, seed=4) - samples).max() > 0.5
    centre = run.sample(2, temperature=0.0)
    np.testing.assert_allclose(centre[0], centre[1], atol=1e-6)
    np.testing.assert_allclose(centre, run.generate(np.zeros((2, 5))), atol=1e-6)
    narrow, wide = (run.sample(30, temperature=t).std(axis=0).mean() for t in (0.3, 1))
    assert narrow < 0.7 * wide
    noise = np.random.default_rng(0).standard_normal((4, 5)).astype(np.float32)
    z = run.prior.from_noise(noise).numpy()
    np.testing.assert_allclose(run.generate(noise), run.decode(z), atol=1e-6)


def test_other_shapes_types_and_values_are_refused(run, images):
    z = np.zeros((2, 5))
    of_encode = (
        (
            images[0],
            r"expected images \[N, 28, 28, 1\], got \[28, 28, 1\]; x\[np.newaxis",
        ),
        (
            np.zeros((1, 28, 28, 1), np.uint8),
            "images as floats, got uint8; they are in",
        ),
        (images[:1] * 255, r"images in \[0, 1\], got 0 to 255"),
        (images[:1] - 0.1, r"images in \[0, 1\], got -0.1 to"),
        (images[:1] * np.nan, "expected finite images"),
    )
    of_decode = (
        (z[:, 1:], r"latents \[N, 5\], got \[2, 4\]"),
        (z.astype(int), "latents as floats, got int64"),
        (z + np.inf, "expected finite latents"),
    )
    for functions, wrong in (
        ((run.encode, run.encoder, run.reconstruct), of_encode),
        ((run.decode, run.decoder), of_decode),
        ((run.generate,), [(z[0], r"noise \[N, 5\], got \[5\]; x\[np.newaxis\]")]),
    ):
        for function in functions:
            for bad, message in wrong:
                with pytest.raises(ValueError, match=message):
                    function(bad)
    # What rounding leaves beyond the range is an image.
    assert run.encode(images[:1] * np.float32(1.0005))[0].shape == (1, 5)


def test_counts_temperatures_and_ends_that_are_none_are_refused(run, images):
    for wrong, message in (
        ({"count": "a"}, "whole number of samples from 0, got 'a'"),
        ({"count": 1.5}, "whole number of samples from 0, got 1.5"),
        ({"count": 1, "temperature": -1}, "temperature from 0, got -1"),
        ({"count": 1, "temperature": "hot"}, "temperature from 0, got 'hot'"),
    ):
        with pytest.raises(ValueError, match=message):
            run.sample(**wrong)
    with pytest.raises(
        ValueError, match=r"images \[N, 28, 28, 1\], got \[1, 27, 28, 1\]"
    ):
        run.interpolate(images[0], images[1][1:], 5)


def test_in_a_graph_types_are_refused(run, images):
    encode = tf.function(run.encoder)
    np.testing.assert_allclose(
        encode(images[:2])[0], run.encode(images[:2])[0], atol=1e-5
    )
    with pytest.raises(ValueError, match="images as floats, got uint8"):
        encode(np.zeros((1, 28, 28, 1), np.uint8))


def test_importing_the_package_is_light():
    code = (
        "import sys, dfcvae_tf\n"
        "assert {'load_run', 'train'} <= set(dir(dfcvae_tf))\n"
        "assert not {'tensorflow', 'numpy'} & set(sys.modules)\n"
        "try: dfcvae_tf.no_such_name\n"
        "except AttributeError as error: assert 'no_such_name' in str(error)\n"
        "else: raise SystemExit(1)\n"
    )
    assert run_python("-c", code).returncode == 0


def test_a_program_is_called_however_it_is_imported():
    code = (
        "import sys, dfcvae_tf, inspect\n"
        "{first}\n"
        "from dfcvae_tf import train\n"
        "assert dfcvae_tf.train is train is sys.modules['dfcvae_tf.train']\n"
        "assert 'preset' in inspect.signature(train).parameters\n"
        "assert train.__doc__.startswith('Trains a plain VAE')\n"
        "try: dfcvae_tf.train(run_dir='pretrained:mnist_vae')\n"
        "except dfcvae_tf.errors.UserError as error: assert 'ships with' in str(error)\n"
        "else: raise SystemExit(1)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    for first in ("import dfcvae_tf.train", "dfcvae_tf.train"):
        done = run_python("-c", code.format(first=first))
        assert done.returncode == 0, done.stderr


def test_the_way_between_two_images_begins_and_ends_at_them(run, images):
    way = run.interpolate(images[0], images[1], steps=4)
    assert way.shape == (5, 28, 28, 1)
    ends = run.reconstruct(images[:2])
    np.testing.assert_allclose(way[[0, -1]], ends, atol=1e-5)
    around = run.interpolate(images[0], images[1], steps=4, in_noise=True)
    np.testing.assert_allclose(around[[0, -1]], ends, atol=1e-2)
    assert np.abs(way[2] - around[2]).max() > 0.05


def test_a_picture_for_a_notebook(run, images):
    # One array in a square; of several, each begins a row.
    assert run.show(images[:9]).size == (3 * 30 * 4 + 8, 3 * 30 * 4 + 8)
    rows = np.asarray(run.show(images[:3], images[3:5])) / 255
    assert rows.shape == (2 * 120 + 8, 3 * 120 + 8)
    np.testing.assert_allclose(
        rows[128:240:4, 128:240:4], images[4, ..., 0], atol=1 / 255
    )
    assert (rows[128:240, 248:360] == 1).all()
    assert run.show().size == (6 * 120 + 8,) * 2
    with pytest.raises(ValueError, match=r"x\[np.newaxis\] makes N = 1"):
        run.show(images[0])


def test_a_run_and_its_settings_are_short_to_read(run):
    assert re.fullmatch(
        r"<run pretrained:mnist_dfc_vae: dfc_vae of 28x28x1 images, network article, 5 latents, a "
        "learned prior that knows 0, 1, .*, 9>",
        repr(run),
    )
    assert repr(run.config).startswith("Config(preset='mnist-dfc-vae', dataset='mnist'")
    assert "kl_warmup_steps" not in repr(run.config)


class Lines:
    """p(z | label): z_0 near 4 times what is asked of the first label, z_1 of the second."""

    num_labels = 2

    def __init__(self, label=((0.0, 0.0),)):
        self.label = np.pad(np.asarray(label, np.float32), [(0, 0), (0, 3)])

    def given(self, label):
        return Lines(label)

    def from_noise(self, noise):
        return noise + 4 * self.label

    def to_noise(self, z):
        return z - 4 * self.label

    def log_prob(self, z):
        return -0.5 * np.square(self.to_noise(z)).sum(axis=1)


@pytest.mark.parametrize(
    ("kind", "row", "own"),
    [
        # The likelier class, and the likelier value of the attribute that is asked for.
        (CLASSES, [0, 1], [[1, 0], [0, 1]]),
        (ATTRIBUTES, [0, -1], [[0, -1], [0, 1]]),
    ],
)
def test_another_label_keeps_the_rest(run, kind, row, own):
    labelled = LoadedRun(
        run.config, run.run, run.vae, Lines(), Labels(kind, ("a", "b"))
    )
    z = np.float32([[3, -3, 1, 2, 3], [-3, 5, 0, 0, 0]])
    found = labelled.relabel(z, np.float32(row))
    np.testing.assert_allclose(found, z + 4 * Lines(np.float32([row]) - own).label)


def test_samples_by_label_are_of_one_noise(run):
    labels = Labels(CLASSES, ("a", "b"))
    labelled = LoadedRun(run.config, run.run, run.vae, Lines(), labels)
    rows = labelled.samples_by_label(3, seed=5)
    assert [name for name, _ in rows] == ["any", "a", "b"]
    noise = labelled.noise(3, 5, 1.0)
    for (_, images), label in zip(rows, ([0, 0], [1, 0], [0, 1]), strict=True):
        expected = run.decode(noise + 4 * Lines([label]).label)
        np.testing.assert_allclose(images, expected, atol=1e-6)
