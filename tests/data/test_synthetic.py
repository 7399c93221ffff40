import numpy as np

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.synthetic import SHAPES, open_synthetic


def _arrays(source, split="test"):
    batch = next(source.dataset(split).batch(10_000).as_numpy_iterator())
    return batch["image"], batch["label"]


def test_depends_on_the_seed_alone():
    train, labels = _arrays(open_synthetic(DataConfig(), 3), "train")
    test, _ = _arrays(open_synthetic(DataConfig(), 3))
    again, _ = _arrays(open_synthetic(DataConfig(), 3))
    other, _ = _arrays(open_synthetic(DataConfig(), 4))
    assert train.shape == (2000, 28, 28, 1) and train.dtype == np.uint8
    assert test.shape == (500, 28, 28, 1)
    np.testing.assert_array_equal(test, again)
    assert not np.array_equal(test, other)
    assert not np.array_equal(test, train[:500])
    assert set(labels) == {0, 1, 2}


def test_labels_tell_the_shape():
    # The area of a shape over that of the smallest circle around it, known exactly.
    expected = {
        "circle": 1,
        "square": 2 / np.pi,
        "triangle": 3 * np.sqrt(3) / (4 * np.pi),
    }
    images, labels = _arrays(open_synthetic(DataConfig(image_size=(96, 96)), 0))
    for kind, name in enumerate(SHAPES):
        for image in images[labels == kind][:20, ..., 0]:
            coverage = image / image.max()
            rows, columns = np.indices(image.shape)
            y, x = (
                (coverage * axis).sum() / coverage.sum() for axis in (rows, columns)
            )
            radius = np.hypot(rows - y, columns - x)[coverage > 0.5].max()
            share = coverage.sum() / (np.pi * radius**2)
            assert abs(share - expected[name]) < 0.08, name


def test_follows_size_and_color():
    config = DataConfig(image_size=(20, 40), color="rgb")
    source = open_synthetic(config, 0)
    images, _ = _arrays(source)
    assert source.image_shape == (20, 40, 3) == images.shape[1:]
    assert (images[..., 0] != images[..., 2]).any()
