"""Files for the projector tab of TensorBoard: latent vectors with labels and thumbnails."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from google.protobuf import text_format
from tensorboard.plugins import projector

from dfcvae_tf.files import atomic_file

CONFIG_NAME = "projector_config.pbtxt"  # the name TensorBoard looks for
_MAX_SPRITE_PIXELS = 8192  # a side; TensorBoard refuses larger ones

# One per vector; or several named columns of them.
Labels = Sequence[str] | Mapping[str, Sequence[str]]
# z [N, D], class names [N] or None, images [N, H, W, C] uint8
Embedding = tuple[np.ndarray, Labels | None, np.ndarray]


def write_projector(log_dir: str | os.PathLike, runs: Mapping[str, Embedding]) -> None:
    """Writes what `tensorboard --logdir=LOG_DIR` shows in its projector tab, offline.

    TensorBoard reads the configuration at the root of its --logdir without any event
    file beside it, but in a folder below only if event files make that folder a run: so
    it is to be started on `log_dir` itself. Give this a folder of its own, since
    TensorBoard also lists the variables of a checkpoint in it or in its parent.

    Per run there are `NAME.tsv` (the vectors; those of 1 or 2 dimensions with zeros for
    the missing ones up to 3), `NAME_metadata.tsv` (labels and index; only with labels)
    and `NAME_sprite.png` (thumbnails, row by row on a square grid). Characters of a name
    other than letters, digits, "." and "-" become "_".

    Args:
      log_dir: the folder; made if missing. Files of the same names are replaced.
      runs: name -> (z [N, D] float, labels, images [N, H, W, 1 or 3] uint8 in [0, 255]),
        N at least 1; TensorBoard shows the first 100,000. Labels are a text for each
        vector, or column name -> such texts, or None.

    Raises:
      UserError: the disk is full or not writable.
      ValueError: z, labels and images of a run are not equally many, none, or of other
        ranks.
    """
    log_dir = Path(log_dir)
    config = projector.ProjectorConfig()
    for name, (z, labels, images) in zip(_file_names(runs), runs.values(), strict=True):
        if np.ndim(z) != 2 or np.ndim(images) != 4:
            raise ValueError(
                f"expected [N, D] and [N, H, W, C], got {np.shape(z)} and {np.shape(images)}"
            )
        if labels is None:
            columns: Mapping[str, Sequence[str]] = {}
        else:
            columns = labels if isinstance(labels, Mapping) else {"label": labels}
        if {len(images), *map(len, columns.values())} != {len(z)} or not len(z):
            raise ValueError(f"run {name}: not one label and one image per vector")
        # The tab opens on three principal components and stays empty without a third.
        vectors = np.pad(z, ((0, 0), (0, max(0, 3 - np.shape(z)[1]))))
        # The name in the tab, too: TensorBoard puts it into addresses as it stands.
        embedding = config.embeddings.add(
            tensor_name=name, tensor_path=f"{name}.tsv", tensor_shape=vectors.shape
        )
        with atomic_file(log_dir / embedding.tensor_path) as file:
            # 9 digits tell all float32 numbers apart.
            np.savetxt(file, vectors, fmt="%.9g", delimiter="\t")
        if columns:
            embedding.metadata_path = f"{name}_metadata.tsv"
            with atomic_file(log_dir / embedding.metadata_path) as file:
                file.write(_metadata(columns).encode())
        sprite, size = _sprite(images)
        embedding.sprite.image_path = f"{name}_sprite.png"
        embedding.sprite.single_image_dim.extend(size)
        with atomic_file(log_dir / embedding.sprite.image_path) as file:
            file.write(sprite)
    # Last, so that it never names a file that is not there.
    with atomic_file(log_dir / CONFIG_NAME) as file:
        file.write(text_format.MessageToString(config).encode())


def _metadata(columns: Mapping[str, Sequence[str]]) -> str:
    # TensorBoard takes the first row for a header if and only if it has two columns, and
    # skips blank rows: with the index beside it, a blank label keeps its row.
    numbers = range(len(next(iter(columns.values()))))
    rows = [(*columns, "index"), *zip(*columns.values(), numbers, strict=True)]
    return "".join("\t".join(map(_one_line, row)) + "\n" for row in rows)


def _one_line(cell: str | int) -> str:
    return " ".join(str(cell).split())


def _sprite(images: np.ndarray) -> tuple[bytes, tuple[int, int]]:
    """Returns a PNG with the images row by row, and the width and height of one."""
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count))
    limit, longer = _MAX_SPRITE_PIXELS // columns, max(height, width)
    shrink = longer > limit
    if shrink:
        height = max(1, height * limit // longer)
        width = max(1, width * limit // longer)
    # uint8 from the start: as float32 the largest sheet would take 800 MB.
    sheet = np.zeros((columns * height, columns * width, channels), np.uint8)
    for index, image in enumerate(images):
        if shrink:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            image = image.reshape(height, width, channels)
        top, left = index // columns * height, index % columns * width
        # OpenCV's colours are blue first.
        sheet[top : top + height, left : left + width] = image[..., ::-1]
    return cv2.imencode(".png", sheet)[1].tobytes(), (width, height)


def _file_names(names: Iterable[str]) -> list[str]:
    """Names safe as file names and in addresses; equal ones get a number."""
    taken: set[str] = set()
    safe_names = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9.-]", "_", name)[:100] or "run"
        safe, number = base, 1
        # Some file systems take "VAE" for "vae"; metadata files end in .tsv like vectors.
        while taken & {safe.lower(), f"{safe.lower()}_metadata"}:
            number += 1
            safe = f"{base}_{number}"
        taken |= {safe.lower(), f"{safe.lower()}_metadata"}
        safe_names.append(safe)
    return safe_names
