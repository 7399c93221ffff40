"""Picture files as a dataset."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import unreadable_file_message
from dfcvae_tf.picture_files import UnreadablePicture, printable, read_picture


def picture_dataset(
    paths: Sequence[str],
    others: Mapping[str, np.ndarray],
    shape: tuple[int | None, int | None, int],
    config: DataConfig,
    kind: str = "image",
) -> tf.data.Dataset:
    """Reads files in their order, several at a time.

    Args:
      paths: N files.
      others: what each has besides its image, by name: [N, ...].
      shape: (height, width, channels) of all images, None where it varies. Grey images
        become RGB where there are 3 channels.
      config: `background` and `bit_depth` are used.
      kind: what the files are, in errors.

    Returns:
      Dataset of N elements {"image": uint8 [H, W, C], and what `others` has}. At a file
      that cannot be read, or is of another shape, it raises InvalidArgumentError, which
      `source.unreadable_file` understands.
    """
    height, width, channels = shape
    wanted = f"a whole {kind}"
    if height is not None and width is not None:
        wanted += f" of {width}x{height} pixels"

    def read(path: bytes) -> np.ndarray:
        try:
            pixels = read_picture(path, config.background, config.bit_depth).pixels
        except UnreadablePicture:
            pixels = None
        if pixels is not None and pixels.shape[2] < channels:
            pixels = np.repeat(pixels, channels, axis=2)
        if pixels is None or any(
            size not in (None, found)
            for size, found in zip(shape, pixels.shape, strict=True)
        ):
            # ValueError alone becomes an InvalidArgumentError.
            raise ValueError(unreadable_file_message(printable(path), f"not {wanted}"))
        return pixels

    def element(path: tf.Tensor, rest: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        image = tf.numpy_function(read, [path], tf.uint8, stateful=False)
        return {"image": tf.ensure_shape(image, shape), **rest}

    with tf.device("CPU:0"):
        # As bytes: names of files need not be text.
        names = tf.constant([os.fsencode(path) for path in paths])
        rest = {name: tf.constant(values) for name, values in others.items()}
    return tf.data.Dataset.from_tensor_slices((names, rest)).map(
        element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
