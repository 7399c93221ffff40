"""SavedModels: signatures, values, and what their graphs hold."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.exporting.saved_model import load_signature, write_saved_model
from dfcvae_tf.models.prior import StandardNormal


@pytest.fixture(name="path", scope="module")
def _path(tmp_path_factory, vae):
    path = tmp_path_factory.mktemp("dynamic") / "saved_model"
    write_saved_model(vae, StandardNormal(), path)
    return path


def test_signatures_are_those_promised(path):
    loaded = tf.saved_model.load(str(path))
    image, code = [None, 8, 8, 1], [None, 3]
    for name, inputs, outputs in (
        ("encode", {"image": image}, {"z_mean": code, "z_log_var": code}),
        ("decode", {"z": code}, {"image": image}),
        ("reconstruct", {"image": image}, {"image": image}),
        ("serving_default", {"z": code}, {"image": image}),
    ):
        signature = loaded.signatures[name]
        arguments = signature.structured_input_signature[1]
        for specs, expected in (
            (arguments, inputs),
            (signature.structured_outputs, outputs),
        ):
            assert {k: v.shape.as_list() for k, v in specs.items()} == expected
            assert {v.dtype for v in specs.values()} == {tf.float32}


def test_values_are_those_of_keras(path, model, latents):
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    z_mean, z_log_var = model.encoder(images)
    encoded = load_signature(path, "encode")(images)
    np.testing.assert_allclose(encoded["z_mean"], z_mean, atol=1e-6)
    np.testing.assert_allclose(encoded["z_log_var"], z_log_var, atol=1e-6)
    decoded = load_signature(path, "decode")(latents[:1])
    np.testing.assert_allclose(decoded["image"], model.decoder(latents[:1]), atol=1e-6)
    again = load_signature(path, "reconstruct")(images)
    np.testing.assert_allclose(again["image"], model.decoder(z_mean), atol=1e-6)


def test_graphs_hold_no_random_operator(path):
    graph = tf.saved_model.load(str(path)).signatures["reconstruct"].graph
    definition = graph.as_graph_def()
    nodes = [
        *definition.node,
        *(n for f in definition.library.function for n in f.node_def),
    ]
    assert "Conv2D" in {node.op for node in nodes}
    assert not [node.op for node in nodes if "Random" in node.op]


def test_a_batch_size_can_be_fixed(static_model):
    signature = tf.saved_model.load(str(static_model)).signatures["decode"]
    assert signature.structured_outputs["image"].shape == (1, 8, 8, 1)
