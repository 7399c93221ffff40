"""The article's decoder in PyTorch and ONNX Runtime, against Keras."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.models.vae import build_vae
from dfcvae_tf.weights import get_arrays
from tools import decoder_runtimes

pytest.importorskip("torch")


@pytest.fixture(name="vae", params=["sigmoid", "linear"], scope="module")
def _vae(request):
    """Pictures with values of both ends; all weights differ, biases too."""
    config = ModelConfig(network="article", latent_dim=3, decoder_output=request.param)
    vae = build_vae(config, (28, 28, 1), "float32")
    rng = np.random.default_rng(0)
    vae.decoder.set_weights(
        [rng.normal(0, 0.4, array.shape) for array in vae.decoder.get_weights()]
    )
    return vae


@pytest.fixture(name="latents")
def _latents() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


def assert_decodes(decode, vae, latents):
    pictures = vae.decode(tf.constant(latents)).numpy()
    assert pictures.min() < 0.01 and pictures.max() > 0.99
    found = np.concatenate([decode(z[None]) for z in latents])
    np.testing.assert_allclose(found, pictures, atol=1e-5)


def test_pytorch_shows_what_keras_does(vae, latents):
    source = get_arrays(vae.decoder), vae.decoder_output
    assert_decodes(decoder_runtimes.torch_decode(source, num_threads=1), vae, latents)


def test_onnx_runtime_shows_what_keras_does(vae, latents, tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "decoder.onnx"
    decoder_runtimes.write_onnx((get_arrays(vae.decoder), vae.decoder_output), path)
    assert_decodes(decoder_runtimes.onnx_decode(path, num_threads=1), vae, latents)
