import numpy as np
import pytest

from dfcvae_tf.data import mnist_sample
from dfcvae_tf.errors import UserError

# Of the official test set, digits 0 to 9.
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def _arrays(source, split):
    batch = next(source.dataset(split).batch(10_000).as_numpy_iterator())
    return batch["image"], batch["label"]


def test_is_mnist():
    source = mnist_sample.open_mnist_sample()
    assert source.num_examples == {"train": 10_000, "test": 10_000}
    assert source.image_shape == (28, 28, 1)
    assert source.class_names == tuple("0123456789")
    images, labels = _arrays(source, "test")
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    assert images.shape == (10_000, 28, 28, 1)
    assert np.bincount(labels).tolist() == TEST_COUNTS
    # 33.79 is the mean of the official test set, 33.32 that of all training images.
    assert images.mean() == pytest.approx(33.7912, abs=1e-4)
    images, labels = _arrays(source, "train")
    assert images.mean() == pytest.approx(33.32, abs=0.2)
    assert labels[:10].tolist() == [4, 1, 0, 7, 8, 1, 2, 7, 1, 6]
    assert set(labels) == set(range(10))


def test_damaged_file_is_the_users_to_mend(tmp_path, monkeypatch):
    damaged = tmp_path / "mnist_sample.npz"
    damaged.write_bytes(mnist_sample.SAMPLE_PATH.read_bytes()[:100_000])
    monkeypatch.setattr(mnist_sample, "SAMPLE_PATH", damaged)
    with pytest.raises(UserError, match="not a readable .npz"):
        mnist_sample.open_mnist_sample()


def test_file_is_small():
    assert mnist_sample.SAMPLE_PATH.stat().st_size < 4 * 2**20
