"""A prior in a file, and in front of a decoder in one."""

import numpy as np
import pytest

from dfcvae_tf.exporting.joining import convert_prior, join
from dfcvae_tf.exporting.runtime import TFLiteFunction
from dfcvae_tf.exporting.saved_model import load_signature, write_saved_model
from dfcvae_tf.exporting.signatures import PRIOR_SIGNATURES
from dfcvae_tf.exporting.tflite import convert, forbidden_operators
from dfcvae_tf.models.flow import CouplingFlow
from dfcvae_tf.models.mixture import GaussianMixture
from dfcvae_tf.training.label_moments import moments_of_attributes


def mixture():
    parameters = {
        "weights": [0.2, 0.5, 0.3],
        "means": np.eye(3) * 3,
        "factors": np.stack([np.eye(3) * scale for scale in (0.2, 0.5, 1)]),
    }
    return GaussianMixture({k: np.float32(v) for k, v in parameters.items()})


@pytest.fixture(params=["flow", "gmm"])
def prior(request, flow_parameters):
    return CouplingFlow(flow_parameters()) if request.param == "flow" else mixture()


@pytest.fixture(name="labelled")
def _labelled(flow_parameters, label_kernel):
    """A flow that knows two attributes, and what is asked of it for 8 rows."""
    rng = np.random.default_rng(1)
    rows = rng.choice([-1, 1], (300, 2)).astype(np.int8)
    z_mean = rng.normal(size=(300, 3)).astype(np.float32)
    z_mean[:, :2] = (z_mean[:, :2] + rows) * np.where(rows > 0, 0.5, 1.5)
    moments = moments_of_attributes(z_mean, np.full_like(z_mean, -2), rows)
    kernel = {"label_kernel": label_kernel(2)}
    flow = CouplingFlow({**flow_parameters(), **kernel, **moments})
    label = np.tile(np.float32([[0, 0], [1, 0], [0, 1], [-1, 1]]), (2, 1))
    return flow, label


@pytest.mark.parametrize("rows", [1, 4, None])
def test_a_prior_that_knows_labels_takes_them_in_every_file(
    tmp_path, vae, model, labelled, rows
):
    prior, label = labelled
    noise = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    z = prior.given(label).from_noise(noise).numpy()
    assert np.abs(z - prior.from_noise(noise))[1:4].max(axis=1).min() > 0.05
    content = convert_prior(prior, 3, rows)
    assert forbidden_operators(content, dynamic_batch=rows is None) == []
    from_noise, to_noise = (
        TFLiteFunction(content, name, 1) for name in PRIOR_SIGNATURES
    )
    np.testing.assert_allclose(from_noise(noise, label)["z"], z, atol=1e-4)
    back = prior.given(label).to_noise(z)
    np.testing.assert_allclose(to_noise(z, label)["noise"], back, atol=1e-4)
    write_saved_model(vae, prior, tmp_path / "model", rows)
    decoder = convert(tmp_path / "model", "decode", "float32")
    generate = TFLiteFunction(join(content, decoder), "generate", 1)
    expected = model.decode(z)
    found = generate(noise, label)["image"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if rows is None:
        saved = load_signature(tmp_path / "model", "generate")
        np.testing.assert_allclose(saved(noise, label)["image"], expected, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 4, None])
def test_the_priors_file_goes_both_ways(prior, rows):
    content = convert_prior(prior, 3, rows)
    assert forbidden_operators(content, dynamic_batch=rows is None) == []
    from_noise, to_noise = (
        TFLiteFunction(content, name, 1) for name in PRIOR_SIGNATURES
    )
    noise = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    z = prior.from_noise(noise).numpy()
    np.testing.assert_allclose(from_noise(noise)["z"], z, atol=1e-4)
    np.testing.assert_allclose(to_noise(z)["noise"], prior.to_noise(z), atol=1e-4)
    np.testing.assert_allclose(from_noise(to_noise(z)["noise"])["z"], z, atol=1e-4)


def test_a_generator_has_no_part_of_the_way_back(static_model, flow_parameters):
    prior = convert_prior(CouplingFlow(flow_parameters()), 3, 1)
    decoder = convert(static_model, "decode", "float32")
    # The way back has matrices of its own, an eighth of what is in the file.
    assert len(join(prior, decoder)) - len(decoder) < 0.9 * len(prior)


@pytest.mark.parametrize("rows", [1, 4, None])
def test_the_file_is_prior_then_decoder(tmp_path, vae, model, prior, rows):
    write_saved_model(vae, prior, tmp_path / "model", rows)
    noise = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    expected = model.decode(prior.from_noise(noise).numpy())
    assert np.abs(expected - model.decode(noise)).max() > 0.01
    saved = load_signature(tmp_path / "model", "generate")
    if rows is None:
        np.testing.assert_allclose(saved(noise)["image"], expected, atol=1e-5)
    decoder = convert(tmp_path / "model", "decode", "float32")
    content = join(convert_prior(prior, 3, rows), decoder)
    assert forbidden_operators(content, dynamic_batch=rows is None) == []
    generate = TFLiteFunction(content, "generate", 1)
    np.testing.assert_allclose(generate(noise)["image"], expected, atol=1e-5)


def test_an_int8_decoder_gets_the_latents_it_would_get_by_itself(
    static_model, latents, prior
):
    content = convert(static_model, "decode", "int8", latents)
    decode = TFLiteFunction(content, "decode", 1)
    generate = TFLiteFunction(join(convert_prior(prior, 3, 1), content), "generate", 1)
    noise = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    expected = decode(prior.from_noise(noise).numpy())["image"]
    # One latent in many is at the edge between two steps of 8 bits.
    difference = np.abs(generate(noise)["image"] - expected).reshape(20, -1).max(axis=1)
    assert np.mean(difference < 1e-6) > 0.8
