"""Test splits made of arrays."""

import numpy as np

from dfcvae_tf.data.digits import DIGITS
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import ASSETS_DIR


def stream(
    images,
    labels=None,
    class_names=(),
    name="folder",
    description="photos",
    total=None,
) -> EvaluationImages:
    """Images [N, H, W, C] as a stream.

    Training images are the same, the last one first. They are the whole split unless
    `total` is more: then every second one, from place 1.
    """
    places = np.arange(len(images))
    return EvaluationImages(
        read=lambda count, size: batches(images[:count], size),
        read_train=lambda count, size: batches(images[::-1][:count], size),
        image_shape=images.shape[1:],
        num_images=len(images),
        places=places if total is None else 2 * places + 1,
        labels=labels,
        class_names=class_names,
        name=name,
        description=description,
        total=total or len(images),
        num_training=len(images),
        total_training=len(images),
        choice="" if total is None else "drawn with seed 0",
    )


def digits(count: int) -> EvaluationImages:
    """The first images of the bundled test split."""
    sample = read_arrays(ASSETS_DIR / "mnist_sample.npz")
    return stream(
        sample["test_images"][:count].astype(np.float32) / 255,
        sample["test_labels"][:count].astype(np.int64),
        DIGITS,
        name="mnist_sample",
        description="digits",
        total=10_000,
    )
