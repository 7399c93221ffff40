"""What labels do to latents as far as that is linear: they move and narrow them.

A label is seen along directions, those of linear discriminant analysis (Fisher 1936, "The
use of multiple measurements in taxonomic problems"): images that have it lie elsewhere
there than all images do, and closer together. All other directions stay as they are.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

AXES, MOVES, SHIFT, STRETCH, OVERLAP = NAMES = (
    "label_axes",
    "label_moves",
    "label_shift",
    "label_stretch",
    "label_overlap",
)


class LabelMap:
    """An invertible map of latents around their mean, by label; of no label, none.

    Along K axes, and nowhere else, latents x become

        x + ((x axes) * stretch + shift) moves.

    With several labels asked for that lie in about the same direction, each has its share
    of both: what they have in common counts once.
    """

    def __init__(self, parameters: Mapping[str, np.ndarray]):
        """Takes its parameters.

        Args:
          parameters: "label_axes" [D, K]; "label_moves" [K, D], what a step of 1 along an
            axis is; "label_shift" and "label_stretch" [2 A, K], of a label asked for, and
            in the second half of one that shall not be: steps, and by how much of them
            distances grow, above -1; where several may be asked for (K = A, an axis each)
            also "label_overlap" [A, A], correlations of latents along the axes.
        """
        self._axes, self._moves = parameters[AXES], parameters[MOVES]
        self._shift, self._stretch = parameters[SHIFT], parameters[STRETCH]
        self._overlap = None
        if OVERLAP in parameters:
            self._overlap = np.tile(parameters[OVERLAP], (2, 2))
            self._across = np.asarray(self._moves) @ np.asarray(self._axes)

    def __call__(self, x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """[N, D] and label [N, A] -> [N, D], float32."""
        stretch, shift = self._of(label)
        steps = tf.matmul(x, self._axes) * stretch + shift
        return x + tf.matmul(steps, self._moves)

    def invert(self, y: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The other way round; and log |det| of that way, [N] float32."""
        stretch, shift = self._of(label)
        seen = tf.matmul(y, self._axes)
        if self._overlap is None:  # moves along one axis are none along another
            x_seen = (seen - shift) / (1.0 + stretch)
            log_det = tf.reduce_sum(tf.math.log1p(stretch), axis=-1)
        else:
            x_seen = self._solve(seen - tf.matmul(shift, self._across), stretch)
            matrix = stretch[:, :, tf.newaxis] * self._across
            log_det = tf.linalg.slogdet(tf.eye(len(self._across)) + matrix)[1]
        x = y - tf.matmul(x_seen * stretch + shift, self._moves)
        return x, -log_det

    def _solve(self, seen: tf.Tensor, stretch: tf.Tensor) -> tf.Tensor:
        """p [N, K] of p + (p * stretch) across = seen, by steps that devices have.

        By Richardson's iteration: eigenvalues lie between 1 + the smallest and 1 + the
        largest stretch, see `_of`, and there are as many steps as float32 takes.
        """
        low = min(0.0, float(np.min(self._stretch)))
        high = max(0.0, float(np.max(self._stretch)))
        center = 1.0 + (low + high) / 2
        rate = max((high - low) / 2 / center, 1e-3)
        p = seen
        for _ in range(math.ceil(math.log(1e-7) / math.log(rate))):
            now = p + tf.matmul(p * stretch, self._across)
            p += (seen - now) / center
        return p

    def _of(self, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Stretch and shift along the axes, [N, K] each."""
        asked = tf.concat([tf.nn.relu(label), tf.nn.relu(-label)], axis=-1)
        if self._overlap is None:  # of two classes, what lies between them
            total = tf.reduce_sum(asked, axis=-1, keepdims=True)
            moved = narrowed = asked / tf.maximum(total, 1.0)
        else:
            # The sum of the sizes keeps the map invertible: of a symmetric matrix no
            # eigenvalue exceeds the largest sum of a row. Squares are the shares of
            # variance that labels have in common.
            sizes = tf.matmul(asked, np.abs(self._overlap))
            shares = tf.matmul(asked, np.square(self._overlap))
            narrowed = asked / tf.maximum(sizes, 1.0)
            moved = asked / tf.maximum(shares, 1.0)
        return tf.matmul(narrowed, self._stretch), tf.matmul(moved, self._shift)
