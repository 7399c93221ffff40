"""What labels do to latents as far as that is linear: they move and narrow them.

A label is seen along directions, those of linear discriminant analysis (Fisher 1936, "The
use of multiple measurements in taxonomic problems"): images that have it lie elsewhere
there than all images do, and closer together. An attribute has some more of its own, along
which its images lie closer together or wider apart, around the same mean. All other
directions stay as they are.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

AXES, MOVES, SHIFT, STRETCH, OVERLAP, COMMON = NAMES = (
    "label_axes",
    "label_moves",
    "label_shift",
    "label_stretch",
    "label_overlap",
    "label_common",
)
# Several labels together may stretch by as much, even if each does by less.
SLIGHT = 0.2


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
            axis is; "label_shift" [2 A, M], M <= K, and "label_stretch" [2 A, K], of a
            label asked for, and in the second half of one that shall not be: steps along
            the first axes, and by how much of them distances grow, above -1; where several
            may be asked for (M = A, an axis each, and K a multiple of A) also
            "label_overlap" [A, A], correlations of latents along the first axes, in the
            row of a label that is to leave others their shares less than that, and
            where K > A "label_common" [2 A, 2 A], how much labels have in common of what
            they do to distances, from 0 to 1; else that is as much as they overlap.
        """
        self._axes, self._moves = parameters[AXES], parameters[MOVES]
        self._stretch = parameters[STRETCH]
        steps = parameters[SHIFT]
        self._shift = steps @ self._moves[: steps.shape[1]]
        self._shares = None
        if OVERLAP in parameters:
            overlap = np.tile(parameters[OVERLAP], (2, 2))
            # Squares are the shares of variance that labels have in common.
            self._shares = np.square(overlap)
            self._common = np.abs(overlap)
            if len(self._moves) > len(parameters[OVERLAP]):
                self._common = parameters[COMMON]

    def __call__(self, x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """[N, D] and label [N, A] -> [N, D], float32."""
        stretch, shift = self._of(label)
        return self._stretched(x, stretch) + shift

    def invert(self, y: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The other way round; and log |det| of that way, [N] float32."""
        stretch, shift = self._of(label)
        y = y - shift
        if self._shares is not None:
            return self._solve(y, stretch), -self._log_det(stretch)
        # Moves along one axis are none along another.
        seen = tf.matmul(y, self._axes) / (1.0 + stretch)
        x = y - tf.matmul(seen * stretch, self._moves)
        return x, -tf.reduce_sum(tf.math.log1p(stretch), axis=-1)

    def _stretched(self, x: tf.Tensor, stretch: tf.Tensor) -> tf.Tensor:
        steps = tf.matmul(x, self._axes) * stretch
        return x + tf.matmul(steps, self._moves)

    def _solve(self, y: tf.Tensor, stretch: tf.Tensor) -> tf.Tensor:
        """x [N, D] that is `_stretched` to y, by steps that devices have.

        By Chebyshev's iteration (Golub and Varga 1961): eigenvalues lie between 1 + the
        smallest and 1 + the largest stretch (see `_of`) or `SLIGHT`, and there are as many
        steps as float32 takes.
        """
        low = min(-SLIGHT, float(np.min(self._stretch)))
        high = max(SLIGHT, float(np.max(self._stretch)))
        center = 1.0 + (low + high) / 2
        rate = (high - low) / 2 / center
        shrinking = rate / (1.0 + math.sqrt(1.0 - rate**2))  # of errors, a step
        x = change = y / center
        weight = 2.0
        for _ in range(math.ceil(math.log(1e-7) / math.log(shrinking))):
            weight = 1.0 / (1.0 - rate**2 * weight / 4)
            missing = y - self._stretched(x, stretch)
            change = missing * (weight / center) + change * (weight - 1.0)
            x += change
        return x

    def _log_det(self, stretch: tf.Tensor) -> tf.Tensor:
        """log |det| of `_stretched`, [N]: of the axes or of the latents (Sylvester)."""
        dim, num_axes = self._axes.shape
        if num_axes <= dim:
            matrix = stretch[:, :, tf.newaxis] * (self._moves @ self._axes)
        else:
            matrix = tf.matmul(self._axes * stretch[:, tf.newaxis], self._moves)
        return tf.linalg.slogdet(tf.eye(min(dim, num_axes)) + matrix)[1]

    def _of(self, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Stretch along the axes, [N, K], and by how much latents move, [N, D]."""
        asked = tf.concat([tf.nn.relu(label), tf.nn.relu(-label)], axis=-1)
        if self._shares is None:  # of two classes, what lies between them
            total = tf.reduce_sum(asked, axis=-1, keepdims=True)
            moved = stretched = asked / tf.maximum(total, 1.0)
        else:
            # The sum of what they have in common keeps the map invertible: of a symmetric
            # matrix no eigenvalue exceeds the largest sum of a row.
            common = tf.matmul(asked, self._common)
            stretched = asked / tf.maximum(common, 1.0)
            moved = asked / tf.maximum(tf.matmul(asked, self._shares), 1.0)
        return tf.matmul(stretched, self._stretch), tf.matmul(moved, self._shift)
