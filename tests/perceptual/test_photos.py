"""dfcvae_tf/perceptual/photos.py and the weights that ship with the package"""

import cv2
import numpy as np
import pytest
from scipy import stats

from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.perceptual import photos
from dfcvae_tf.perceptual.keras_applications import build_keras_application
from dfcvae_tf.perceptual.registry import build_perceptual_model
from dfcvae_tf.picture_files import read_picture


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


@pytest.fixture
def faces(shared_data):
    """[8, 64, 64, 3] float32 in [0, 1]."""
    paths = sorted((shared_data / "celeba" / "img_align_celeba").glob("*.jpg"))[:8]
    if not paths:
        pytest.skip("needs ../shared/data/celeba")
    squares = [read_picture(path).pixels[10:99] for path in paths]
    resized = [cv2.resize(s, (64, 64), interpolation=cv2.INTER_AREA) for s in squares]
    return np.stack(resized).astype(np.float32) / 255


def test_faces_are_as_far_apart_as_vgg19_has_them(vgg19, faces):
    sigmas = (0.5, 1.0, 2.0, 4.0)
    blurred = [cv2.GaussianBlur(face, (0, 0), s) for s in sigmas for face in faces]
    others = np.concatenate([blurred, faces[::-1]])
    faces = np.tile(faces, (len(sigmas) + 1, 1, 1, 1))
    photos_features = _build((64, 64, 3))
    # Neither can judge a run trained with the other: the first convolution is the same.
    assert photos_features.kernel_digests() & vgg19.kernel_digests()
    mine, true = (
        [
            np.sum((a.numpy() - b.numpy()) ** 2, axis=(1, 2, 3))
            for a, b in zip(features(faces), features(others), strict=True)
        ]
        for features in (photos_features, vgg19)
    )
    np.testing.assert_allclose(mine[0], true[0], rtol=1e-4)
    for a, b in zip(mine, true, strict=True):
        assert stats.spearmanr(a, b).statistic > 0.99
        np.testing.assert_allclose(np.log(a / b), 0.0, atol=0.6)
