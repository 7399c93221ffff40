"""The bundled part of MNIST: 10,000 training images and the whole official test split.

`tools/make_mnist_sample.py` makes the file; `assets/README.md` gives source and licence.
"""

import tensorflow as tf

from dfcvae_tf import run_dir
from dfcvae_tf.data.digits import DIGITS, MNIST_SHAPE
from dfcvae_tf.data.source import SPLITS, Source
from dfcvae_tf.files import read_arrays, sha256

SAMPLE_PATH = run_dir.ASSETS_DIR / "mnist_sample.npz"


def open_mnist_sample() -> Source:
    """Opens the sample: 28x28x1 images of handwritten digits, labels 0 to 9.

    Raises:
      UserError: the file is missing or damaged.
    """
    arrays = read_arrays(SAMPLE_PATH)

    def dataset(split: str) -> tf.data.Dataset:
        # On the CPU also where there is a GPU: the input pipeline runs there.
        with tf.device("CPU:0"):
            return tf.data.Dataset.from_tensor_slices(
                {
                    "image": arrays[f"{split}_images"],
                    "label": arrays[f"{split}_labels"].astype("int64"),
                }
            )

    return Source(
        name="mnist_sample",
        description="MNIST 3.0.1: first 10,000 training images, whole test split",
        num_examples={split: len(arrays[f"{split}_labels"]) for split in SPLITS},
        image_shape=MNIST_SHAPE,
        class_names=DIGITS,
        dataset=dataset,
        digest=sha256(SAMPLE_PATH),
    )
