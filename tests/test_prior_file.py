"""A run's learned prior on disk, and which prior a loaded run has."""

import json

import numpy as np
import pytest

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays, read_json, write_arrays, write_json
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels
from dfcvae_tf.models.flow import CouplingFlow, initial_parameters
from dfcvae_tf.models.prior import StandardNormal
from dfcvae_tf.prior_file import read_facts, save_prior
from dfcvae_tf.training.label_moments import moments_of_attributes
from tests.programs import untrained_run


@pytest.fixture(name="run")
def _run(tmp_path):
    """A run with a flow whose latents are about N(1, 2)."""
    run = untrained_run(tmp_path / "run", (28, 28, 1))
    parameters = initial_parameters(np.ones(5), np.full(5, 2.0), seed=0)
    save_prior(run, "flow", parameters, {"seed": 0})
    return run


def test_a_run_draws_from_its_prior_unless_it_is_asked_not_to(run):
    model = load_for_inference(run.path)
    assert isinstance(model.prior, CouplingFlow)
    noise = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    z = model.prior.from_noise(noise)
    np.testing.assert_array_equal(model.generate(noise), model.decode(z))
    assert np.abs(z - noise).max() > 1
    standard = load_for_inference(run.path, prior="standard")
    np.testing.assert_array_equal(standard.generate(noise), standard.decode(noise))
    run.prior.unlink()
    assert isinstance(load_for_inference(run.path).prior, StandardNormal)


def test_it_says_what_it_is_of(run):
    facts = read_facts(run)
    assert facts["kind"] == "flow" and facts["seed"] == 0
    assert len(facts["weights_sha256"]) == 64
    run.prior.unlink()
    assert read_facts(run) is None


def test_a_prior_of_other_weights_is_never_used(run):
    run.weights.write_bytes(run.weights.read_bytes() + b"x")
    for load in (lambda: load_for_inference(run.path), lambda: read_facts(run)):
        with pytest.raises(UserError, match="fitted to other weights.*fit_prior"):
            load()
    load_for_inference(run.path, prior="standard")


def changed(name, value):
    return lambda arrays: arrays | {name: value}


@pytest.mark.parametrize(
    "damage",
    [
        changed("prior/mean", np.full(5, np.nan, np.float32)),
        changed("prior/mean", np.zeros(4, np.float32)),
        changed("prior/std", np.zeros(5, np.float32)),  # draws, but has no density
        changed("prior/kernel1", np.array("text")),
        changed("facts", np.array("no JSON")),
        changed("facts", np.array("[1]")),
        changed("facts", np.zeros(3)),
        lambda arrays: {"facts": arrays["facts"]},
    ],
)
def test_a_damaged_prior_is_one_line(run, damage):
    write_arrays(run.prior, damage(read_arrays(run.prior)))
    with pytest.raises(UserError, match="prior.npz is damaged .*fits it anew"):
        load_for_inference(run.path)


def test_labels_lie_beside_the_prior_that_knows_them(run):
    parameters = initial_parameters(np.ones(5), np.full(5, 2.0), seed=0, num_labels=2)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=parameters["label_kernel"].shape).astype(np.float32)
    for name in ("scale_kernel", "shift_kernel"):
        parameters[name] *= 30
    parameters["label_kernel"] = kernel
    labels = Labels(CLASSES, ("a", "b"))
    save_prior(run, "flow", parameters, {"labels": labels.facts()})
    model = load_for_inference(run.path)
    assert model.labels == labels
    noise = rng.normal(size=(3, 5)).astype(np.float32)
    second = np.float32([[0, 1]] * 3)
    z = model.from_noise(noise, second)
    np.testing.assert_array_equal(z, model.prior.given(second).from_noise(noise))
    assert np.abs(z - model.from_noise(noise)).max() > 0.1
    np.testing.assert_allclose(model.to_noise(z, second), noise, atol=1e-3)
    drawn = model.sample(3, seed=1, label="b")
    noise = model.noise(3, 1, 1.0)
    np.testing.assert_array_equal(drawn, model.generate(noise, second))
    for asked, reason in (
        ("c", "unknown label 'c'; known: a, b"),
        ("a,b", "one thing"),
    ):
        with pytest.raises(UserError, match=reason):
            model.sample(3, label=asked)
    with pytest.raises(ValueError, match="expected 3 labels, one a row, got 1"):
        model.generate(noise, second[:1])
    assert load_for_inference(run.path, prior="standard").labels is None
    with pytest.raises(TypeError, match="a label as text, such as '7', got 7"):
        model.sample(3, label=7)
    # Of another number of labels than the flow knows, and none that labels can be.
    for changes in (
        {"names": ["a", "b", "c"]},
        {"names": [1, 2]},
        {"names": ["a", "a"]},
        {"names": "ab"},
        {"kind": "colours"},
    ):
        save_prior(run, "flow", parameters, {"labels": labels.facts() | changes})
        with pytest.raises(UserError, match="prior.npz is damaged"):
            load_for_inference(run.path)
    save_prior(run, "flow", parameters, {})
    with pytest.raises(UserError, match="prior.npz is damaged"):
        load_for_inference(run.path)


def test_what_attributes_do_lies_beside_it_as_well(run):
    rng = np.random.default_rng(0)
    label = rng.choice([-1, 1], (200, 2)).astype(np.int8)
    z_mean = rng.normal(size=(200, 5)).astype(np.float32)
    z_mean[:, :2] += label
    parameters = initial_parameters(np.ones(5), np.full(5, 2.0), seed=0, num_labels=2)
    parameters |= moments_of_attributes(z_mean, np.zeros_like(z_mean), label)
    facts = {"labels": Labels(ATTRIBUTES, ("Blond_Hair", "Young")).facts()}
    save_prior(run, "flow", parameters, facts)
    model = load_for_inference(run.path)
    asked = np.float32([[1, -1]] * 3)
    noise = rng.normal(size=(3, 5)).astype(np.float32)
    z = model.from_noise(noise, asked)
    np.testing.assert_array_equal(
        z, CouplingFlow(parameters).given(asked).from_noise(noise)
    )
    np.testing.assert_allclose(model.to_noise(z, asked), noise, atol=1e-4)
    for name in ("label_axes", "label_moves", "label_stretch", "label_common"):
        for part in (parameters[name][1:], parameters[name][:, 1:]):
            save_prior(run, "flow", parameters | {name: part}, facts)
            with pytest.raises(UserError, match="prior.npz is damaged"):
                load_for_inference(run.path)
    without = {n: v for n, v in parameters.items() if n != "label_common"}
    save_prior(run, "flow", without, facts)
    with pytest.raises(UserError, match="prior.npz is damaged .*label_common"):
        load_for_inference(run.path)


def test_a_prior_without_labels_says_how_to_fit_one_with(run):
    model = load_for_inference(run.path)
    with pytest.raises(UserError, match="knows no labels; .*fit_prior --run_dir"):
        model.sample(2, label="7")


def test_an_unknown_kind_and_a_file_cut_short(run):
    arrays = read_arrays(run.prior)
    facts = json.loads(str(arrays["facts"])) | {"kind": "vamp"}
    write_arrays(run.prior, arrays | {"facts": np.array(json.dumps(facts))})
    with pytest.raises(UserError, match="its kind is 'vamp'"):
        load_for_inference(run.path)
    run.prior.write_bytes(run.prior.read_bytes()[:100])
    with pytest.raises(UserError, match="not a readable .npz"):
        load_for_inference(run.path)


def test_a_run_that_should_have_one_and_has_not_is_no_run_without(run):
    run.prior.unlink()
    with pytest.raises(UserError, match="has no learned prior: .*fit_prior"):
        load_for_inference(run.path, prior="learned")
    content = read_json(run.config)
    content["settings"]["training"]["prior"] = "flow"
    write_json(run.config, content)
    with pytest.raises(UserError, match="has no learned prior"):
        load_for_inference(run.path)
    load_for_inference(run.path, prior="standard")
    with pytest.raises(UserError, match="known: learned, standard"):
        load_for_inference(run.path, prior="vamp")
    save_prior(run, "standard", {}, {})  # settled on: no longer missing
    assert isinstance(load_for_inference(run.path).prior, StandardNormal)
    with pytest.raises(UserError, match="has no learned prior"):
        load_for_inference(run.path, prior="learned")
