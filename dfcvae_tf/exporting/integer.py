"""The decoder in a form that survives 8-bit activations; the pictures stay the same.

Two things cost an 8-bit decoder its accuracy, and neither needs other weights to mend:

- One scale serves all channels of a layer, though their ranges differ by 20 and more.
  Between two layers with a ReLU, a channel's scale can be moved from the weights behind
  to those before (Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization
  and Bias Correction", section 4.1; here by measured activations instead of weights).
  Batch normalisation leaves nothing to do.
- Logits reach from -280 to 16 in a trained run, so that a step of 1 / 255 of that range is
  a large part of what the sigmoid does between -5 and 5. They are cut off before.
"""

import itertools
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from dfcvae_tf.exporting.device_form import is_chain
from dfcvae_tf.models.vae import VAE

# A sigmoid at this distance is within half an 8-bit step of 0 or 1: ln(511) = 6.24.
MAX_LOGIT_BOUND = 7.0
# Pictures without black and white need less; of all latents alike, so that a few extreme
# ones do not make everything coarser, this share of logits stays uncut.
_UNCUT = 0.999
# A channel that hardly ever speaks keeps room to speak up.
MIN_RELATIVE_RANGE = 1 / 16
_ROWS = 50

_OUTPUT_AXIS = {"Conv2D": 3, "Conv2DTranspose": 2, "Dense": 1}
_INPUT_AXIS = {"Conv2D": 2, "Conv2DTranspose": 3, "Dense": 0}
_LETS_THROUGH = ("Reshape", "Flatten", "UpSampling2D", "ReplicationPadding", "Dropout")


def output_range(vae: VAE, latents: np.ndarray) -> tuple[float, float]:
    """Returns between what the decoder's outputs matter to its images.

    Args:
      vae: the networks.
      latents: [M, D] float32 that cover what the decoder may be given.
    """
    if vae.decoder_output == "linear":
        return 0.0, 1.0
    # Of a part at a time: all logits of large images would take too much memory.
    reached = [
        np.quantile(np.abs(vae.decoder(part, training=False).numpy()), _UNCUT)
        for part in _parts(latents)
    ]
    bound = min(MAX_LOGIT_BOUND, float(np.mean(reached)))
    return -bound, bound


def bounded_images(vae: VAE, outputs: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """The images of a decoder's outputs cut at `low` and `high`.

    Of operators that quantize well: in TFLite a ReLU6 is part of the convolution before
    it, and fixes that one's range. The convolution that undoes the scaling is one, not a
    multiplication, because the converter mixes up the ranges of elementwise operators
    that compute in place.

    Args:
      vae: whose `to_images` follows.
      outputs: [N, H, W, C] float32.
      low: less than `high`.
      high: see `output_range`.

    Returns:
      [N, H, W, C] float32 in [0, 1].
    """
    channels = outputs.shape[-1]
    scale = (high - low) / 6.0
    from_0_to_6 = tf.nn.relu6(outputs / scale - low / scale)
    kernel = np.eye(channels, dtype=np.float32)[None, None] * scale
    bounded = tf.nn.conv2d(from_0_to_6, kernel, 1, "SAME")
    return vae.to_images(tf.nn.bias_add(bounded, [low] * channels))


def equalize_channels(network: tf.keras.Model, inputs: np.ndarray) -> None:
    """Gives the channels of each hidden layer one range; the outputs stay the same.

    Changes the weights in place. Only pairs of a layer with ReLU and the next one are
    treated; whatever else there is stays as it was.

    Args:
      network: layers one after the other; another one stays as it is.
      inputs: [M, ...] float32, what the ranges are measured on.
    """
    if not is_chain(network):
        return
    # Whatever else is between two layers may not let a scale through.
    layers = [layer for layer in network.layers if _kind(layer) not in _LETS_THROUGH]
    pairs = [
        (layer, following)
        for layer, following in itertools.pairwise(layers)
        if _kind(layer) in _OUTPUT_AXIS
        and _kind(following) in _INPUT_AXIS
        and layer.activation is tf.keras.activations.relu
        and layer.use_bias
    ]
    if not pairs:
        return
    hidden = tf.keras.Model(
        network.inputs[0], [following.input for _, following in pairs]
    )
    ranges = [np.zeros(1)] * len(pairs)
    for part in _parts(inputs):
        values = hidden(part, training=False)
        values = values if isinstance(values, list | tuple) else [values]
        for index, value in enumerate(values):
            maxima = value.numpy().reshape(-1, value.shape[-1]).max(0)
            ranges[index] = np.maximum(ranges[index], maxima)
    for (layer, following), measured in zip(pairs, ranges, strict=True):
        _move_scale(layer, following, measured)


def _kind(layer) -> str:
    return type(layer).__name__


def _move_scale(layer, following, ranges: np.ndarray) -> None:
    """Divides a layer's channels by their range and multiplies the next one's weights.

    Args:
      layer: the layer before the ReLU.
      following: the layer after it.
      ranges: [channels of the input of `following`], largest value of each.
    """
    kernel, bias = layer.get_weights()
    next_kernel, *next_bias = following.get_weights()
    out_axis = _OUTPUT_AXIS[_kind(layer)]
    in_axis = _INPUT_AXIS[_kind(following)]
    # Between a dense layer and an image, one side counts positions as channels; the
    # channel is the last and fastest index on both sides.
    outs, ins = kernel.shape[out_axis], next_kernel.shape[in_axis]
    channels = min(outs, ins)
    largest = ranges.reshape(-1, channels).max(0)
    if not largest.any():
        return
    scale = np.maximum(largest / largest.max(), MIN_RELATIVE_RANGE).astype(np.float32)
    kernel = kernel / _along(np.tile(scale, outs // channels), out_axis, kernel.ndim)
    bias = bias / np.tile(scale, outs // channels)
    next_scale = _along(np.tile(scale, ins // channels), in_axis, next_kernel.ndim)
    layer.set_weights([kernel, bias])
    following.set_weights([next_kernel * next_scale, *next_bias])


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(values), _ROWS):
        yield values[start : start + _ROWS]


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """[K] -> [1, …, K, …, 1] of a rank, with K at `axis`."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])
