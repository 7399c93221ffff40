"""Images picked by hand."""

import dataclasses

import numpy as np
import pytest

from dfcvae_tf import images as images_lib
from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import chosen_images
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays
from dfcvae_tf.presets import preset_config

CONFIG = dataclasses.replace(preset_config("mnist-vae"), image_shape=(28, 28, 1))


def test_indices_and_files_come_in_the_order_they_were_given(tmp_path):
    digits = read_arrays(SAMPLE_PATH)["test_images"].astype(np.float32) / 255
    path = tmp_path / "5.png"
    path.write_bytes(images_lib.encode_png(digits[5]))
    chosen = [chosen_images.parse(text) for text in ("9", str(path), "0", "9")]
    assert chosen == [9, str(path), 0, 9]
    found = chosen_images.load(CONFIG, DataConfig(), chosen, None)
    np.testing.assert_allclose(found, digits[[9, 5, 0, 9]], atol=1e-6)


def test_what_is_no_image_is_refused_at_once():
    for text, message in (("-1", "No such file"), (__file__, "not a readable image")):
        with pytest.raises(UserError, match=message):
            chosen_images.parse(text)
