"""dfcvae_tf/perceptual/photos.py and the weights that ship with the package"""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.perceptual import photos
from dfcvae_tf.perceptual.keras_applications import build_keras_application
from dfcvae_tf.perceptual.registry import build_perceptual_model


def _drawn(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Pictures of discs, [4, H, W, C] float32 in [0, 1]."""
    rng = np.random.default_rng(0)
    images = np.full((4, height, width, channels), 0.7, np.float32)
    for image in images:
        for _ in range(6):
            x, y = (int(rng.integers(0, size)) for size in (width, height))
            color = [float(c) for c in rng.uniform(0, 1, channels)]
            cv2.circle(image, (x, y), int(rng.integers(3, 12)), color, -1)
    return images


def _build(shape):
    return build_perceptual_model(ObjectiveConfig(perceptual_model="photos"), shape, 0)


@pytest.mark.parametrize("shape", [(32, 48, 3), (64, 64, 1), (18, 16, 3)])
def test_shapes_are_those_of_vgg19(shape):
    height, width = shape[:2]
    extractor = _build(shape)
    assert extractor.layers == ("relu1_1", "relu2_1", "relu3_1")
    assert [f.shape for f in extractor(_drawn(*shape))] == [
        (4, height, width, 64),
        (4, height // 2, width // 2, 128),
        (4, height // 4, width // 4, 256),
    ]


def test_grey_images_are_seen_as_grey_colours():
    grey = _drawn(32, 32, 1)
    extractor = _build(grey.shape[1:])
    for a, b in zip(extractor(grey), extractor(grey.repeat(3, -1)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_file_is_small_and_has_a_card():
    assert photos.WEIGHTS.stat().st_size < 2e6
    assert photos.WEIGHTS.with_suffix(".md").is_file()


@pytest.fixture
def vgg19(shared_data):
    path = shared_data / "weights" / "vgg19_blocks1-3_notop.h5"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return build_keras_application("VGG19", (), str(path), (64, 64, 3), 0)


def test_it_is_near_vgg19_in_scale_and_distance(vgg19):
    images = _drawn(64, 64)
    blurred = np.concatenate(
        [[cv2.GaussianBlur(i, (0, 0), sigma) for i in images] for sigma in (0.5, 1, 2)]
    )
    images = np.tile(images, (3, 1, 1, 1))
    extractor = _build((64, 64, 3))
    # No judge of a run trained with the other: the first convolution is the same.
    assert extractor.kernel_digests() & vgg19.kernel_digests()
    features = [(f(images), f(blurred)) for f in (extractor, vgg19)]
    for (a, a2), (b, b2) in zip(
        *(zip(*pair, strict=True) for pair in features), strict=True
    ):
        error = tf.reduce_sum((a - b) ** 2) / tf.reduce_sum(b**2)
        assert error < 0.1
        mine, true = (
            np.sum((x.numpy() - y.numpy()) ** 2, axis=(1, 2, 3))
            for x, y in ((a, a2), (b, b2))
        )
        assert stats.spearmanr(mine, true).statistic > 0.95
        np.testing.assert_allclose(np.log(mine / true), 0.0, atol=0.5)
