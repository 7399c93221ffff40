"""A coupling flow: a smooth map of standard normal noise to latents that can be inverted.

From noise to latents, each layer leaves every other dimension as it is and gives those
between a scale and a shift that depend on it (Dinh et al. 2017, "Density estimation using
Real NVP"); then a matrix mixes all of them (Kingma and Dhariwal 2018, "Glow", section 3.2).
Both directions take as long. From noise to latents there are matrix products, ReLU, tanh
and exp, which every device has.

Where latents have labels, scale and shift may depend on them too, and a `LabelMap` moves
and narrows what comes in the end: then the flow is p(z | label), and where nothing is
asked for, p(z).
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.linalg
import tensorflow as tf

from dfcvae_tf.models import label_map
from dfcvae_tf.models.label_map import LabelMap

NUM_LAYERS = 8
# What is no matter of learning: which dimensions a layer keeps, the rows' order and the
# signs in its matrix, the scale of latents, and what labels do to them.
FIXED = ("keep", "order", "sign", "mean", "std", *label_map.NAMES)
LABEL_KERNEL = "label_kernel"
# What a flow has that knows labels; the map, one fitted before there was one has not.
OF_LABELS = (LABEL_KERNEL, *label_map.NAMES)

Parameters = Mapping[str, np.ndarray | tf.Variable]


def initial_parameters(
    mean: np.ndarray, std: np.ndarray, seed: int, num_labels: int = 0
) -> dict[str, np.ndarray]:
    """Returns the parameters of a flow whose latents are about normal.

    Args:
      mean: [D], of the latents.
      std: [D], of the latents, positive.
      seed: of all that is drawn.
      num_labels: A; 0 for a flow without labels.

    Returns:
      Name -> float32. "mean" and "std" [D]; of L layers "keep" [L, D], 1 where a dimension
      stays; "kernel1" [L, D, H], "bias1" [L, H], "kernel2" [L, H, H], "bias2" [L, H],
      "scale_kernel" and "shift_kernel" [L, H, D], "scale_bias" and "shift_bias" [L, D];
      and of their matrices "order", "lower", "upper" [L, D, D], "sign", "log_diagonal",
      "bias" [L, D]; with labels "label_kernel" [L, A, H]. The map is for others to add.
    """
    dim = len(mean)
    hidden = min(128, 28 * math.ceil(dim / 16))
    rng = np.random.default_rng(seed)

    def kernel(rows: int, columns: int, gain: float) -> np.ndarray:
        return rng.normal(0, gain / math.sqrt(rows), (NUM_LAYERS, rows, columns))

    rotations = [
        np.linalg.qr(rng.normal(size=(dim, dim)))[0] for _ in range(NUM_LAYERS)
    ]
    order, lower, upper = map(
        np.stack, zip(*map(scipy.linalg.lu, rotations), strict=True)
    )
    diagonal = np.diagonal(upper, axis1=1, axis2=2)
    parameters = {
        "mean": mean,
        "std": std,
        "keep": np.add.outer(np.arange(NUM_LAYERS), np.arange(dim)) % 2 == 0,
        "kernel1": kernel(dim, hidden, math.sqrt(2)),
        "bias1": np.zeros((NUM_LAYERS, hidden)),
        "kernel2": kernel(hidden, hidden, math.sqrt(2)),
        "bias2": np.zeros((NUM_LAYERS, hidden)),
        "scale_kernel": kernel(hidden, dim, 0.01),
        "scale_bias": np.zeros((NUM_LAYERS, dim)),
        "shift_kernel": kernel(hidden, dim, 0.01),
        "shift_bias": np.zeros((NUM_LAYERS, dim)),
        "order": order,
        "lower": np.tril(lower, -1),
        "upper": np.triu(upper, 1),
        "sign": np.sign(diagonal),
        "log_diagonal": np.log(np.abs(diagonal)),
        "bias": np.zeros((NUM_LAYERS, dim)),
    }
    if num_labels:
        parameters[LABEL_KERNEL] = np.zeros((NUM_LAYERS, num_labels, hidden))
    return {name: np.asarray(v, np.float32) for name, v in parameters.items()}


class Flow(ABC):
    """The distribution of an invertible map of standard normal noise."""

    num_labels = 0

    def to_noise(self, z: tf.Tensor) -> tf.Tensor:
        """The inverse of `from_noise`, [N, D] -> [N, D] float32."""
        return self._to_noise(z)[0]

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        """log p(z), [N, D] -> [N] float32, nats."""
        noise, log_det = self._to_noise(z)
        log_normal = tf.square(noise) + math.log(2 * math.pi)
        return log_det - 0.5 * tf.reduce_sum(log_normal, axis=-1)

    @abstractmethod
    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """Standard normal noise [N, D] -> z [N, D], float32, distributed as p."""

    @abstractmethod
    def _to_noise(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the noise and the log of the determinant of the way there, [N]."""


class CouplingFlow(Flow):
    """A flow of affine couplings.

    Attributes:
      parameters: all that it is, as `initial_parameters` names it: arrays; while it
        learns, variables, which only `log_prob` and `to_noise` go along with.
      num_labels: A, of the labels that `given` takes; 0 without any.
    """

    def __init__(self, parameters: Parameters, label: tf.Tensor | None = None):
        """Takes the parameters; `label` is for `given`."""
        self.parameters = parameters
        if LABEL_KERNEL in parameters:
            self.num_labels = parameters[LABEL_KERNEL].shape[1]
        self._label = label
        self._label_map = None
        if label is not None and label_map.AXES in parameters:
            self._label_map = LabelMap(parameters)

    def given(self, label: tf.Tensor) -> "CouplingFlow":
        """Returns p(z | label), for as many rows as there are labels.

        Args:
          label: [N, A] float32: 0 = not asked for, 1 = with, -1 = without.
        """
        if not self.num_labels:
            raise ValueError("this flow knows no labels")
        return CouplingFlow(self.parameters, label)

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        x = noise
        for layer in self._layers_from_noise:
            h = layer.hidden(x, self._label)
            scale = tf.exp(tf.tanh(tf.matmul(h, layer.scale_kernel) + layer.scale_bias))
            x = x * scale + (tf.matmul(h, layer.shift_kernel) + layer.shift_bias)
            x = tf.matmul(x, layer.matrix)
        if self._label_map is not None:
            x = self._label_map(x, self._label)
        return x + self.parameters["mean"]

    def _to_noise(self, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        p = self.parameters
        x = z - p["mean"]
        log_det = tf.reduce_sum(p["log_diagonal"]) - tf.reduce_sum(
            tf.math.log(p["std"])
        )
        if self._label_map is not None:
            x, log_det_of_map = self._label_map.invert(x, self._label)
            log_det += log_det_of_map
        x = x / p["std"]
        biases = tf.unstack(tf.convert_to_tensor(p["bias"]))
        for layer, bias in zip(reversed(_layers(p)), reversed(biases), strict=True):
            x = tf.matmul(x, layer.matrix) + bias
            h = layer.hidden(x, self._label)
            log_scale = tf.tanh(tf.matmul(h, layer.scale_kernel) + layer.scale_bias)
            shift = tf.matmul(h, layer.shift_kernel) + layer.shift_bias
            x = (x - shift) * tf.exp(-log_scale)
            log_det -= tf.reduce_sum(log_scale, axis=-1)
        return x, log_det

    @functools.cached_property
    def _layers_from_noise(self) -> list["_Layer"]:
        """The layers in the fewest operators, as arrays."""
        p = {name: np.asarray(v, np.float64) for name, v in self.parameters.items()}
        layers = []
        with tf.init_scope():  # values, also where a graph is being made
            parts = [_Layer(*map(np.asarray, layer)) for layer in _layers(p)]
        for layer, bias in zip(parts, p["bias"], strict=True):
            matrix = np.linalg.inv(layer.matrix)
            shift_bias = layer.shift_bias - bias
            layers.append(layer._replace(matrix=matrix, shift_bias=shift_bias))
        layers[-1] = layers[-1]._replace(matrix=layers[-1].matrix * p["std"])
        return [
            _Layer(*(None if part is None else np.float32(part) for part in layer))
            for layer in layers
        ]


class _Layer(NamedTuple):
    """One layer; what a dimension that it keeps would be given is 0."""

    kernel1: tf.Tensor
    bias1: tf.Tensor
    kernel2: tf.Tensor
    bias2: tf.Tensor
    scale_kernel: tf.Tensor
    scale_bias: tf.Tensor
    shift_kernel: tf.Tensor
    shift_bias: tf.Tensor
    matrix: tf.Tensor
    label_kernel: tf.Tensor | None = None

    def hidden(self, x: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        """[N, D], [N, A] -> [N, H], of the dimensions that stay and the label."""
        h = tf.matmul(x, self.kernel1) + self.bias1
        if label is not None:
            h += tf.matmul(label, self.label_kernel)
        h = tf.nn.relu(h)
        return tf.nn.relu(tf.matmul(h, self.kernel2) + self.bias2)


def _layers(p: Parameters) -> list[_Layer]:
    """Returns the layers, with their matrices from latents to noise."""
    keep = p["keep"][:, :, np.newaxis]
    free = 1.0 - p["keep"]
    parts = [
        p["kernel1"] * keep,
        p["bias1"],
        p["kernel2"],
        p["bias2"],
        p["scale_kernel"] * free[:, np.newaxis],
        p["scale_bias"] * free,
        p["shift_kernel"] * free[:, np.newaxis],
        p["shift_bias"] * free,
        _matrices(p),
    ]
    if LABEL_KERNEL in p:
        parts.append(p[LABEL_KERNEL])
    # Taken apart at once: gradients then come together in one operator.
    apart = (tf.unstack(tf.convert_to_tensor(part)) for part in parts)
    return [_Layer(*layer) for layer in zip(*apart, strict=True)]


def _matrices(p: Parameters) -> tf.Tensor:
    """[L, D, D], with determinants that are at hand: a product of triangular ones."""
    diagonal = p["sign"] * tf.exp(p["log_diagonal"])
    lower = tf.linalg.band_part(p["lower"], -1, 0)
    lower = tf.linalg.set_diag(lower, tf.ones_like(diagonal))
    upper = tf.linalg.set_diag(tf.linalg.band_part(p["upper"], 0, -1), diagonal)
    return tf.matmul(p["order"], tf.matmul(lower, upper))
