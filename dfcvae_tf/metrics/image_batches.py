"""What every measure asks of the images it is given."""

import numpy as np


def as_image_batches(*batches: np.ndarray) -> list[np.ndarray]:
    """Returns batches of images as float32 arrays.

    Raises:
      ValueError: one is not [N, H, W, 1 or 3], holds integers (as 8-bit images do, whose
        range is another), or their shapes differ.
    """
    arrays = [np.asarray(batch) for batch in batches]
    for array in arrays:
        if array.ndim != 4 or array.shape[-1] not in (1, 3):
            raise ValueError(f"expected images [N, H, W, 1 or 3], got {array.shape}")
        if array.dtype.kind != "f":
            raise ValueError(f"expected floats in [0, 1], got {array.dtype}")
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"expected batches of one shape, got {arrays[0].shape} and {array.shape}"
            )
    return [array.astype(np.float32, copy=False) for array in arrays]
