"""Functions handed over in Python, as text that makes them anew."""

import sys
from pathlib import Path

import numpy as np
import pytest

import dfcvae_tf
from dfcvae_tf.errors import UserError
from dfcvae_tf.handed_over import read_function
from dfcvae_tf.models import conv
from tests.programs import run_python

SCRIPT = """
import functools
import math
import numpy as np
import dfcvae_tf
import tensorflow as tf
from tensorflow.keras import layers as L

CHANNELS = 2
data = np.zeros(3)  # nothing of the networks


class Half(L.Layer):
    def call(self, x):
        return x[:, ::2, ::2]


def pixels(z, shape):
    x = L.Dense(math.prod(shape), dtype="float32")(z)
    return L.Reshape(shape, dtype="float32")(x)


def build(config, image_shape, dtype):
    images, z = tf.keras.Input(image_shape), tf.keras.Input((config.latent_dim,))
    x = L.Flatten()(Half()(L.Conv2D(CHANNELS, 3)(images)))
    latents = [L.Dense(config.latent_dim, dtype="float32")(x) for _ in range(2)]
    return tf.keras.Model(images, latents), tf.keras.Model(z, pixels(z, image_shape))


class Grey:
    name = "grey"

    def __call__(self, forward):
        data = forward.reconstruction
        return {self.name: tf.reduce_mean(tf.abs(data - 0.5), axis=[1, 2, 3])}


def term(config):
    return Grey()


def broken(config):
    return data


if __name__ == "__main__":
    run = dfcvae_tf.train(
        "mnist-vae", "run", dataset="synthetic", image_size=8, steps=2, prior="standard",
        network=build, term=term, term_weight=2.0,
    )
    np.save("samples.npy", run.sample(3))
    try:
        dfcvae_tf.train("mnist-vae", "run", term=broken)
    except dfcvae_tf.errors.UserError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.current_stack
def test_functions_of_a_script_are_kept_with_what_they_use(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run_python("script.py", cwd=tmp_path, PYTHONPATH=":".join(sys.path))
    assert done.returncode == 0, done.stderr
    assert "term uses data, a ndarray, which cannot be kept" in done.stdout
    kept = (tmp_path / "run" / "code" / "network.py").read_text()
    assert "CHANNELS = 2" in kept and "class Half" in kept
    assert "data" not in kept and "__name__" not in kept
    run = dfcvae_tf.load_run(tmp_path / "run", trust_code=True)
    expected = np.load(tmp_path / "samples.npy")
    np.testing.assert_allclose(run.sample(3), expected, atol=1e-5)


def test_one_of_a_module_is_its_file():
    setting, code = read_function("network", conv.build)
    assert setting == f"file:{conv.__file__}:build"
    assert code.content == Path(conv.__file__).read_bytes()


@pytest.mark.parametrize("function", [lambda config: 1, print, conv, "build"])
def test_what_has_no_text_of_its_own_is_refused(function):
    with pytest.raises(UserError, match="network must be a function with a name"):
        read_function("network", function)
