"""Images that a user picks by hand: an index into the test split, or an image file.

Picking one needs no TensorFlow, so a program can refuse it before its work.
"""

import re
from collections.abc import Sequence

import numpy as np
from absl import logging

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data.ground import Ground, put_on
from dfcvae_tf.picture_files import printable, read_picture


def parse(text: str) -> int | str:
    """Returns digits alone as an index, anything else as the path of an image.

    Raises:
      UserError: there is no such file, or it is no image.
    """
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    read_picture(text)  # or says why not
    return text


def load(
    config: Config,
    data: DataConfig,
    chosen: Sequence[int | str],
    ground: Ground | None,
) -> np.ndarray:
    """Reads images and prepares them as training does.

    A file that lies on another ground is put on that of the run's images, and a line says
    so.

    Args:
      config: the settings of a run; its image shape [H, W, C], crop and seed are used.
      data: where indices point, see `run_images.evaluation_data`.
      chosen: K indices and paths, at least one.
      ground: of the run's images, see `LoadedRun.ground`.

    Returns:
      [K, H, W, C] float32 in [0, 1], in the order of `chosen`.

    Raises:
      UserError: an index is out of range, the data cannot be had, or a file is no image.
    """
    from dfcvae_tf.data import run_images  # here: it needs TensorFlow

    indices = [choice for choice in chosen if isinstance(choice, int)]
    found = iter(run_images.images_at(config, data, indices)[0] if indices else ())
    images = []
    for choice in chosen:
        if isinstance(choice, int):
            images.append(next(found))
            continue
        image, done = put_on(run_images.image_from_file(config, choice), ground)
        if done is not None:
            logging.warning(
                "%s: %s, as the run's images lie on a %s ground",
                printable(choice),
                done,
                ground,
            )
        images.append(image)
    return np.stack(images)
