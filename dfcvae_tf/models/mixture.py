"""A mixture of Gaussians, drawn by a map of standard normal noise.

The map is smooth but where it goes from one component to the next, and made of what
devices have: the first number of the noise chooses the component and, as what is left of
it is again normal, is used with the others within.
"""

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

# Of F(x) = (1 + tanh(a x + b x^3)) / 2, which is the normal distribution function to 3e-4
# and has an inverse of elementary functions.
_A = math.sqrt(2 / math.pi)
_B = _A * 0.044715
_SMALLEST = 1e-7


class GaussianMixture:
    """p(z) = sum over k of weights[k] N(z; means[k], factors[k] factors[k]').

    Attributes:
      parameters: "weights" [K], positive, of sum 1; "means" [K, D]; "factors" [K, D, D],
        lower triangular with a positive diagonal; float32.
    """

    num_labels = 0

    def __init__(self, parameters: Mapping[str, np.ndarray]):
        """Takes the parameters."""
        self.parameters = parameters
        p = {name: np.asarray(value, np.float64) for name, value in parameters.items()}
        count, dim = p["means"].shape
        ends = np.cumsum(p["weights"])
        self._starts = np.float32(ends - p["weights"])
        self._inverses = np.float32(np.linalg.inv(p["factors"]))
        log_det = np.log(np.diagonal(p["factors"], axis1=1, axis2=2)).sum(axis=1)
        self._log_scales = np.float32(
            np.log(p["weights"]) - log_det - 0.5 * dim * math.log(2 * math.pi)
        )
        # [D, K D] and [K D, D]: all components' points side by side, and their sum.
        self._spread = np.float32(np.concatenate(list(p["factors"]), axis=0).T)
        self._gather = np.tile(np.eye(dim, dtype=np.float32), (count, 1))
        self._repeat = np.repeat(np.eye(count, dtype=np.float32), dim, axis=1)

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, D] -> z [N, D], float32, distributed as p."""
        weights, means = self.parameters["weights"], self.parameters["means"]
        uniform = _distribution(noise[:, :1])
        reached = tf.cast(uniform >= self._starts[np.newaxis], tf.float32)
        # [N, K], 1 at the component: the last whose start is reached.
        chosen = reached - tf.pad(reached[:, 1:], [[0, 0], [0, 1]])
        start = tf.matmul(chosen, self._starts[:, np.newaxis])
        weight = tf.matmul(chosen, weights[:, np.newaxis])
        first = _quantile((uniform - start) / weight)
        points = tf.matmul(tf.concat([first, noise[:, 1:]], axis=1), self._spread)
        points = points * tf.matmul(chosen, self._repeat)
        return tf.matmul(points, self._gather) + tf.matmul(chosen, means)

    def to_noise(self, z: tf.Tensor) -> tf.Tensor:
        """A noise whose z this is, [N, D] -> [N, D] float32.

        Of the noises that give one z, that within the likeliest component.
        """
        chosen = tf.argmax(self._log_parts(z), axis=1)
        points = tf.gather(self._points(z), chosen, axis=1, batch_dims=1)
        start = tf.gather(self._starts, chosen)[:, tf.newaxis]
        weight = tf.gather(self.parameters["weights"], chosen)[:, tf.newaxis]
        first = _quantile(start + weight * _distribution(points[:, :1]))
        return tf.concat([first, points[:, 1:]], axis=1)

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""
        return tf.reduce_logsumexp(self._log_parts(z), axis=1)

    def _log_parts(self, z: tf.Tensor) -> tf.Tensor:
        """log of weight and density of each component, [N, K]."""
        squares = tf.reduce_sum(tf.square(self._points(z)), axis=2)
        return self._log_scales - 0.5 * squares

    def _points(self, z: tf.Tensor) -> tf.Tensor:
        """What standard normal point of each component z is, [N, K, D]."""
        from_means = z[:, tf.newaxis] - self.parameters["means"]
        return tf.einsum("nkd,ked->nke", from_means, self._inverses)


def _distribution(x: tf.Tensor) -> tf.Tensor:
    """F(x)."""
    return 0.5 * (1.0 + tf.tanh(_A * x + _B * x * x * x))


def _quantile(u: tf.Tensor) -> tf.Tensor:
    """The inverse of F; u in [0, 1]."""
    u = tf.clip_by_value(u, _SMALLEST, 1.0 - _SMALLEST)
    y = 0.5 * (tf.math.log(u) - tf.math.log(1.0 - u))
    # The one real root of a x + b x^3 = y, by sinh(3 t) = 3 sinh(t) + 4 sinh(t)^3.
    size = math.sqrt(4 * _A / (3 * _B))
    v = (4 / (_B * size**3)) * y
    t = tf.math.log(v + tf.sqrt(v * v + 1.0)) / 3.0
    return (0.5 * size) * (tf.exp(t) - tf.exp(-t))
