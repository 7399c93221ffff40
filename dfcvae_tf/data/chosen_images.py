"""Images that a user picks by hand: an index into the test split, or an image file.

Picking one needs no TensorFlow, so a program can refuse it before its work.
"""

import re
from collections.abc import Sequence

import numpy as np

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.picture_files import read_picture


def parse(text: str) -> int | str:
    """Returns digits alone as an index, anything else as the path of an image.

    Raises:
      UserError: there is no such file, or it is no image.
    """
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    read_picture(text)  # or says why not
    return text


def load(config: Config, data: DataConfig, chosen: Sequence[int | str]) -> np.ndarray:
    """Reads images and prepares them as training does.

    Args:
      config: the settings of a run; its image shape [H, W, C], crop and seed are used.
      data: where indices point, see `run_images.evaluation_data`.
      chosen: K indices and paths, at least one.

    Returns:
      [K, H, W, C] float32 in [0, 1], in the order of `chosen`.

    Raises:
      UserError: an index is out of range, the data cannot be had, or a file is no image.
    """
    from dfcvae_tf.data import run_images  # here: it needs TensorFlow

    indices = [choice for choice in chosen if isinstance(choice, int)]
    found = iter(run_images.images_at(config, data, indices)[0] if indices else ())
    return np.stack(
        [
            next(found)
            if isinstance(choice, int)
            else run_images.image_from_file(config, choice)
            for choice in chosen
        ]
    )
