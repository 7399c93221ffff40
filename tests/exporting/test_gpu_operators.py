"""What GPUs take, told by a file's operators; `test_accelerator` asks one."""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ModelConfig
from dfcvae_tf.exporting.gpu_check import check_on_gpu
from dfcvae_tf.exporting.gpu_operators import refusals
from dfcvae_tf.models.vae import build_vae
from tests.exporting.files import exported, tflite_file

X = np.random.default_rng(0).random((1, 4, 4, 2), np.float32)


def rank_5(x):
    return tf.reshape(tf.tile(x[:, :, None], [1, 1, 2, 1, 1]), [1, 8, 4, 2])


def symmetric(x):
    return tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")


def random(x):
    return x + tf.random.uniform([1, 4, 4, 2])


def transposed_with_relu(x):
    kernel = tf.ones([3, 3, 2, 2])
    x = tf.nn.conv2d_transpose(x, kernel, [1, 8, 8, 2], 2, "SAME")
    return tf.nn.relu(tf.nn.bias_add(x, [0.5, -0.5]))


UNSUITABLE = [
    (rank_5, "of rank 5 (up to 4 would do)"),
    (symmetric, "MIRROR_PAD that is not REFLECT"),
    (random, "RANDOM_UNIFORM"),
    (transposed_with_relu, "TRANSPOSE_CONV of version 4 (up to 3 would do)"),
]


@pytest.mark.parametrize(("function", "reason"), UNSUITABLE)
def test_what_gpus_refuse_is_named(function, reason):
    assert any(reason in told for told in refusals(tflite_file(function, X)))


def test_any_number_of_rows_is_refused():
    assert "of any number of rows" in refusals(tflite_file(tf.nn.relu, X, rows=None))[0]


def test_what_they_take_is_not():
    assert refusals(tflite_file(tf.nn.relu, X)) == []
    vae = build_vae(
        ModelConfig(network="article", latent_dim=4), (28, 28, 1), "float32"
    )
    for content in exported(vae).values():
        assert refusals(content) == []


@pytest.mark.slow
@pytest.mark.current_stack
@pytest.mark.parametrize("padding", ["same", "replicate"])
@pytest.mark.parametrize("network", ["hou128", "facenet128"])
def test_they_take_the_large_networks_of_faces(network, padding):
    config = ModelConfig(network=network, latent_dim=6, decoder_padding=padding)
    for content in exported(build_vae(config, (128, 128, 3), "float32")).values():
        assert refusals(content) == []


def test_several_rows_per_call_are_taken_only_where_a_gpu_was_seen_to_be_right():
    two = np.repeat(X, 2, axis=0)
    content = tflite_file(tf.nn.relu, two)
    check = check_on_gpu(None, content, "decode", "float32", 2, [two], {"image": two})
    assert not check.whole and "2 rows per call" in check.refused[0]
    one = tflite_file(tf.nn.relu, X)
    assert check_on_gpu(None, one, "decode", "float32", 1, [X], {"image": X}).whole
