"""Keeps the few images of a stream that are looked at again."""

from collections.abc import Iterable, Sequence

import numpy as np

from dfcvae_tf.images import to_float, to_uint8


class ChosenImages:
    """The images at some places of a stream, kept as 8 bits a value as they pass by.

    An image that was read from a file has no more than these 8 bits.
    """

    def __init__(self, places: Iterable[int]):
        """Takes the places, from 0, of those to keep."""
        self._places = np.unique(np.fromiter(places, np.int64))
        self._kept: dict[int, np.ndarray] = {}

    def add(self, start: int, images: np.ndarray) -> None:
        """Takes the next batch, [B, H, W, C] float in [0, 1], whose first is `start`."""
        first, last = np.searchsorted(self._places, [start, start + len(images)])
        for place in self._places[first:last]:
            self._kept[int(place)] = to_uint8(images[place - start])

    def pixels(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """The images at these places, [K, H, W, C] uint8 in [0, 255]; at least one."""
        return np.stack([self._kept[int(place)] for place in places])

    def images(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """The same as float32 in [0, 1]."""
        return to_float(self.pixels(places)).numpy()
