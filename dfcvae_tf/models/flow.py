"""A coupling flow: a smooth map of standard normal noise to latents that can be inverted.

From noise to latents, each layer leaves every other dimension as it is and gives those
between a scale and a shift that depend on it (Dinh et al. 2017, "Density estimation using
Real NVP"); then a matrix mixes all of them (Kingma and Dhariwal 2018, "Glow", section 3.2).
Both directions take as long. From noise to latents there are matrix products, ReLU, tanh
and exp, which every device has.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import tensorflow as tf

NUM_LAYERS = 8
# What is no matter of learning: where the network that makes scale and shift looks, the
# rows' order and the signs in the matrices, and the scale of latents.
FIXED = ("keep", "order", "sign", "mean", "std")

Parameters = Mapping[str, np.ndarray | tf.Variable]


def initial_parameters(
    mean: np.ndarray, std: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Returns the parameters of a flow whose latents are about normal.

    Args:
      mean: [D], of the latents.
      std: [D], of the latents, positive.
      seed: of all that is drawn.

    Returns:
      Name -> float32. "mean" and "std" [D]; of each layer "layer0/…": "keep" [D], 1 where a
      dimension stays; "kernel1" [D, H], "bias1" [H], "kernel2" [H, H], "bias2" [H];
      "scale_kernel", "shift_kernel" [H, D] and "scale_bias", "shift_bias" [D]; "order",
      "lower", "upper" [D, D], "sign", "log_diagonal" and "bias" [D] of the matrix.
    """
    dim = len(mean)
    hidden = min(128, 32 * math.ceil(dim / 16))
    rng = np.random.default_rng(seed)

    def kernel(rows: int, columns: int, gain: float) -> np.ndarray:
        return rng.normal(0, gain / math.sqrt(rows), (rows, columns))

    parameters = {"mean": mean, "std": std}
    for number in range(NUM_LAYERS):
        rotation = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
        order, lower, upper = scipy.linalg.lu(rotation)
        diagonal = np.diag(upper)
        layer = {
            "keep": np.arange(dim) % 2 == number % 2,
            "kernel1": kernel(dim, hidden, math.sqrt(2)),
            "bias1": np.zeros(hidden),
            "kernel2": kernel(hidden, hidden, math.sqrt(2)),
            "bias2": np.zeros(hidden),
            "scale_kernel": kernel(hidden, dim, 0.01),
            "scale_bias": np.zeros(dim),
            "shift_kernel": kernel(hidden, dim, 0.01),
            "shift_bias": np.zeros(dim),
            "order": order,
            "lower": np.tril(lower, -1),
            "upper": np.triu(upper, 1),
            "sign": np.sign(diagonal),
            "log_diagonal": np.log(np.abs(diagonal)),
            "bias": np.zeros(dim),
        }
        parameters |= {f"layer{number}/{name}": v for name, v in layer.items()}
    return {name: np.asarray(v, np.float32) for name, v in parameters.items()}


class CouplingFlow:
    """The distribution of `from_noise` of standard normal noise.

    Attributes:
      parameters: all that it is, as `initial_parameters` names it; while it learns
        variables, and then `from_noise` is of those there were at its first call.
    """

    def __init__(self, parameters: Parameters):
        """Takes the parameters."""
        self.parameters = parameters

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, D] -> z [N, D], float32, distributed as p."""
        x = noise
        for layer in self._layers_from_noise:
            h = tf.nn.relu(tf.matmul(x, layer.kernel1) + layer.bias1)
            h = tf.nn.relu(tf.matmul(h, layer.kernel2) + layer.bias2)
            log_scale = tf.tanh(tf.matmul(h, layer.scale_kernel) + layer.scale_bias)
            x = x * tf.exp(log_scale) + (
                tf.matmul(h, layer.shift_kernel) + layer.shift_bias
            )
            x = tf.matmul(x, layer.matrix)
        return x + self.parameters["mean"]

    def to_noise(self, z: tf.Tensor) -> tf.Tensor:
        """The inverse of `from_noise`, [N, D] -> [N, D] float32."""
        return self._to_noise(z)[0]

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""
        noise, log_det = self._to_noise(z)
        log_normal = tf.square(noise) + math.log(2 * math.pi)
        return log_det - 0.5 * tf.reduce_sum(log_normal, axis=-1)

    def _to_noise(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the noise and the log of the determinant of the way there, [N]."""
        p = self.parameters
        x = (z - p["mean"]) / p["std"]
        log_det = -tf.reduce_sum(tf.math.log(p["std"]))
        for number in reversed(range(NUM_LAYERS)):
            name = f"layer{number}"
            x = tf.matmul(x, _matrix(p, name)) + p[f"{name}/bias"]
            free = 1.0 - p[f"{name}/keep"]
            h = x * p[f"{name}/keep"]
            h = tf.nn.relu(tf.matmul(h, p[f"{name}/kernel1"]) + p[f"{name}/bias1"])
            h = tf.nn.relu(tf.matmul(h, p[f"{name}/kernel2"]) + p[f"{name}/bias2"])
            scale = tf.matmul(h, p[f"{name}/scale_kernel"]) + p[f"{name}/scale_bias"]
            shift = tf.matmul(h, p[f"{name}/shift_kernel"]) + p[f"{name}/shift_bias"]
            # Bounded: far from all latents there was nothing to learn from.
            log_scale = free * tf.tanh(scale)
            x = (x - free * shift) * tf.exp(-log_scale)
            log_det += tf.reduce_sum(p[f"{name}/log_diagonal"])
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return x, log_det

    @functools.cached_property
    def _layers_from_noise(self) -> list["_Layer"]:
        """The layers in the fewest operators."""
        p = {name: np.asarray(v, np.float64) for name, v in self.parameters.items()}
        layers = []
        for number in range(NUM_LAYERS):
            name = f"layer{number}"
            keep = p[f"{name}/keep"]
            free = 1.0 - keep
            matrix = np.linalg.inv(np.asarray(_matrix(p, name)))
            if number == NUM_LAYERS - 1:
                matrix = matrix * p["std"]
            layer = _Layer(
                p[f"{name}/kernel1"] * keep[:, np.newaxis],
                p[f"{name}/bias1"],
                p[f"{name}/kernel2"],
                p[f"{name}/bias2"],
                p[f"{name}/scale_kernel"] * free,
                p[f"{name}/scale_bias"] * free,
                p[f"{name}/shift_kernel"] * free,
                free * p[f"{name}/shift_bias"] - p[f"{name}/bias"],
                matrix,
            )
            layers.append(layer)
        return layers


@dataclass(frozen=True)
class _Layer:
    """One layer from noise to latents; float32 once made."""

    kernel1: np.ndarray
    bias1: np.ndarray
    kernel2: np.ndarray
    bias2: np.ndarray
    scale_kernel: np.ndarray
    scale_bias: np.ndarray
    shift_kernel: np.ndarray
    shift_bias: np.ndarray
    matrix: np.ndarray

    def __post_init__(self):
        for name, value in vars(self).items():
            object.__setattr__(self, name, value.astype(np.float32))


def _matrix(p: Parameters, name: str) -> tf.Tensor:
    """The matrix of a layer from latents to noise, with a determinant that is at hand."""
    lower, upper = p[f"{name}/lower"], p[f"{name}/upper"]
    diagonal = p[f"{name}/sign"] * tf.exp(p[f"{name}/log_diagonal"])
    lower = tf.linalg.set_diag(
        tf.linalg.band_part(lower, -1, 0), tf.ones_like(diagonal)
    )
    upper = tf.linalg.set_diag(tf.linalg.band_part(upper, 0, -1), diagonal)
    return tf.matmul(p[f"{name}/order"], tf.matmul(lower, upper))
