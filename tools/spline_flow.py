"""A coupling flow of splines, to compare the package's own with.

Durkan et al. (2019), "Neural Spline Flows": from latents to noise, each layer mixes the
dimensions with a matrix, leaves the first half of them as they are, and bends each other
one by a monotonic rational-quadratic spline that depends on those; outside of [-BOUND,
BOUND] it is the identity.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from dfcvae_tf.models.flow import Flow, Parameters
from dfcvae_tf.training.prior_fitting import Fit, Posteriors, fit_by_gradients

NUM_LAYERS = 4
HIDDEN = 64
BINS = 8
BOUND = 5.0
FIXED = ("mean", "std", "rotation")
# Least share of the interval that a bin has, and least slope at a knot.
_LEAST = 1e-3
# Where softplus and _LEAST make a slope of 1.
_SLOPE_1 = math.log(math.expm1(1 - _LEAST))
# [K, K], sums up what is before each.
_BEFORE = np.triu(np.ones((BINS, BINS), np.float32), 1)


def fit_spline_flow(train: Posteriors, test: Posteriors, seed: int) -> Fit:
    """Fits one; see `prior_fitting.fit_flow`."""
    start = initial_parameters(*train.moments(), seed)
    return fit_by_gradients("spline flow", start, FIXED, SplineFlow, train, test, seed)


def initial_parameters(
    mean: np.ndarray, std: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns the parameters of a flow whose latents are about normal.

    Args:
      mean: [D], of the latents.
      std: [D], of the latents, positive.
      seed: of all that is drawn.

    Returns:
      Name -> float32. "mean" and "std" [D]; of L layers, where F of the dimensions are
      bent, "kernel1" [L, D - F, H], "bias1" [L, H], "kernel2" [L, H, H], "bias2" [L, H],
      "kernel3" [L, H, F (3 K - 1)], "bias3" [L, F (3 K - 1)]; and of their matrices
      "rotation", "lower", "upper" [L, D, D], "log_diagonal", "bias" [L, D].
    """
    dim = len(mean)
    kept = dim // 2
    values = (dim - kept) * (3 * BINS - 1)
    rng = np.random.default_rng(seed)

    def kernel(rows: int, columns: int, gain: float) -> np.ndarray:
        scale = gain / math.sqrt(max(rows, 1))
        return rng.normal(0, scale, (NUM_LAYERS, rows, columns))

    parameters = {
        "mean": mean,
        "std": std,
        "kernel1": kernel(kept, HIDDEN, math.sqrt(2)),
        "bias1": np.zeros((NUM_LAYERS, HIDDEN)),
        "kernel2": kernel(HIDDEN, HIDDEN, math.sqrt(2)),
        "bias2": np.zeros((NUM_LAYERS, HIDDEN)),
        "kernel3": kernel(HIDDEN, values, 0.01),
        "bias3": np.zeros((NUM_LAYERS, values)),
        "rotation": np.linalg.qr(rng.normal(size=(NUM_LAYERS, dim, dim)))[0],
        "lower": np.zeros((NUM_LAYERS, dim, dim)),
        "upper": np.zeros((NUM_LAYERS, dim, dim)),
        "log_diagonal": np.zeros((NUM_LAYERS, dim)),
        "bias": np.zeros((NUM_LAYERS, dim)),
    }
    return {name: np.asarray(v, np.float32) for name, v in parameters.items()}


class SplineFlow(Flow):
    """A flow of spline couplings.

    Attributes:
      parameters: as `initial_parameters` names them, arrays or variables.
    """

    def __init__(self, parameters: Parameters):
        """Takes the parameters."""
        self.parameters = parameters

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        p = self.parameters
        inverses = tf.linalg.inv(_matrices(p))
        x = noise
        for index in reversed(range(NUM_LAYERS)):
            kept, bent = _halves(x)
            bent = inverse_spline(bent, self._raw(index, kept))
            x = tf.concat([kept, bent], axis=1) - p["bias"][index]
            x = tf.matmul(x, inverses[index])
        return x * p["std"] + p["mean"]

    def _to_noise(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        p = self.parameters
        matrices = _matrices(p)
        x = (z - p["mean"]) / p["std"]
        log_det = tf.reduce_sum(p["log_diagonal"]) - tf.reduce_sum(
            tf.math.log(p["std"])
        )
        for index in range(NUM_LAYERS):
            x = tf.matmul(x, matrices[index]) + p["bias"][index]
            kept, bent = _halves(x)
            bent, log_slope = spline(bent, self._raw(index, kept))
            x = tf.concat([kept, bent], axis=1)
            log_det += tf.reduce_sum(log_slope, axis=1)
        return x, log_det

    def _raw(self, index: int, kept: tf.Tensor) -> tf.Tensor:
        """What splines are made of, [N, D - F] -> [N, F, 3 K - 1]."""
        p = {name: values[index] for name, values in _of_layers(self.parameters)}
        h = tf.nn.relu(tf.matmul(kept, p["kernel1"]) + p["bias1"])
        h = tf.nn.relu(tf.matmul(h, p["kernel2"]) + p["bias2"])
        raw = tf.matmul(h, p["kernel3"]) + p["bias3"]
        return tf.reshape(raw, [-1, raw.shape[1] // (3 * BINS - 1), 3 * BINS - 1])


def spline(x: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Durkan et al. (2019), equations 4 and 5.

    Args:
      x: [N, F] float32.
      raw: [N, F, 3 K - 1] float32, any values: of the widths, heights, and slopes within;
        all 0 make the identity.

    Returns:
      The values, and the logs of the slopes, [N, F] float32 each.
    """
    x_in = tf.clip_by_value(x, -BOUND, BOUND)
    x0, y0, width, height, slope0, slope1 = _bin_of(x_in, raw, by_height=False)
    steepness = height / width
    t = (x_in - x0) / width
    bend = t * (1.0 - t)
    below = steepness + (slope0 + slope1 - 2.0 * steepness) * bend
    y = y0 + height * (steepness * t * t + slope0 * bend) / below
    above = slope1 * t * t + 2.0 * steepness * bend + slope0 * tf.square(1.0 - t)
    log_slope = 2.0 * tf.math.log(steepness / below) + tf.math.log(above)
    # What is beyond the ends stays there: added, as it needs no choice and no branch.
    is_in = tf.cast(tf.abs(x) < BOUND, tf.float32)
    return y + (x - x_in), log_slope * is_in


def inverse_spline(y: tf.Tensor, raw: tf.Tensor) -> tf.Tensor:
    """The inverse of `spline`, [N, F] float32; equations 6 to 8."""
    y_in = tf.clip_by_value(y, -BOUND, BOUND)
    x0, y0, width, height, slope0, slope1 = _bin_of(y_in, raw, by_height=True)
    steepness = height / width
    bend = (y_in - y0) * (slope0 + slope1 - 2.0 * steepness)
    a = height * (steepness - slope0) + bend
    b = height * slope0 - bend
    c = -steepness * (y_in - y0)
    root = tf.sqrt(tf.maximum(b * b - 4.0 * a * c, 0.0))
    return x0 + width * 2.0 * c / (-b - root) + (y - y_in)


def _bin_of(position: tf.Tensor, raw: tf.Tensor, by_height: bool) -> list[tf.Tensor]:
    """Returns of the bins that positions are in: x0, y0, width, height, both slopes.

    Args:
      position: [N, F] in [-BOUND, BOUND].
      raw: see `spline`.
      by_height: whether positions are values of the spline, not its arguments.

    Returns:
      [N, F] float32 each.
    """

    def shares(values: tf.Tensor) -> tf.Tensor:
        return 2.0 * BOUND * (_LEAST + (1.0 - BINS * _LEAST) * tf.nn.softmax(values))

    widths, heights = shares(raw[..., :BINS]), shares(raw[..., BINS : 2 * BINS])
    x_starts = tf.matmul(widths, _BEFORE) - BOUND
    y_starts = tf.matmul(heights, _BEFORE) - BOUND
    inner = _LEAST + tf.nn.softplus(raw[..., 2 * BINS :] + _SLOPE_1)
    one = tf.ones_like(inner[..., :1])
    slopes0, slopes1 = tf.concat([one, inner], -1), tf.concat([inner, one], -1)

    later = (y_starts if by_height else x_starts)[..., 1:]
    reached = tf.cast(position[..., tf.newaxis] >= later, tf.float32)
    # [N, F, K], 1 at the last bin whose start is reached; the first's always is.
    chosen = tf.concat([one, reached], -1) - tf.concat([reached, 0.0 * one], -1)
    of_bins = (x_starts, y_starts, widths, heights, slopes0, slopes1)
    return [tf.reduce_sum(chosen * values, axis=-1) for values in of_bins]


def _halves(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Those that a layer leaves as they are, and those that it bends."""
    kept = x.shape[1] // 2
    return x[:, :kept], x[:, kept:]


def _of_layers(p: Parameters) -> list[tuple[str, Any]]:
    """The parameters that layers' networks are made of, with their names."""
    return [(n, v) for n, v in p.items() if n.startswith(("kernel", "bias"))]


def _matrices(p: Parameters) -> tf.Tensor:
    """[L, D, D], with determinants that are at hand: a rotation and triangular ones."""
    diagonal = tf.exp(p["log_diagonal"])
    lower = tf.linalg.band_part(p["lower"], -1, 0)
    lower = tf.linalg.set_diag(lower, tf.ones_like(diagonal))
    upper = tf.linalg.set_diag(tf.linalg.band_part(p["upper"], 0, -1), diagonal)
    return tf.matmul(p["rotation"], tf.matmul(lower, upper))
