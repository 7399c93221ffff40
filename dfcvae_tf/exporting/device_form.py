"""The decoder in a form that devices compute faster, and that their GPUs take whole.

Each step makes the same sums in another order:

- Nearest-neighbour resizing is one operator. Keras makes a reshape and a tile of rank 5 of
  it, which GPUs refuse.
- A 3x3 convolution behind it sees four pixels at most that differ. A 2x2 convolution
  before the resize, with the sums of its weights for each pixel of a 2x2 block, makes
  blocks, which depth-to-space lays out (Shi et al. 2016, "Real-Time Single Image and Video
  Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", figure 1).
  That is 4/9 of the multiplications with 16/9 of the weights: for where weights are few.
- A transposed convolution of stride 2 is four convolutions, one for each pixel of a block.
  As one operator it takes in the ReLU behind it, and of that version GPUs have none.
- The last convolution makes blocks as well: runtimes compute 8 or 16 channels at a time,
  and the 1 or 3 of an image leave most of that idle.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dfcvae_tf.models.vae import VAE

Step = Callable[[tf.Tensor], tf.Tensor]

_BLOCK = 2
# How far pictures may be from those of the plain decoder: rounding.
_SAME = 1e-3
# Of all weights, what convolutions behind a resize may add by making blocks.
_MOST_ADDED = 0.04


def device_decode(vae: VAE, to_images: Step) -> Step:
    """Returns z [N, D] -> images [N, H, W, C].

    Layers that none of the forms is for stay as they are, and so does a whole decoder whose
    layers do not come one after the other, or whose pictures a form would change.

    Args:
      vae: the networks.
      to_images: makes images of the decoder's outputs, pixel by pixel.
    """

    def plain(z: tf.Tensor) -> tf.Tensor:
        return to_images(vae.decoder(z, training=False))

    if not is_chain(vae.decoder):
        return plain
    decode = _in_forms(vae, to_images)
    # What a user wrote may have, behind a convolution, what is of no single pixel.
    z = tf.random.stateless_normal([2, vae.decoder.input_shape[-1]], [0, 0])
    return decode if np.allclose(decode(z), plain(z), atol=_SAME) else plain


def is_chain(network: tf.keras.Model) -> bool:
    """Whether each layer takes what the one before it makes, once and nothing else."""
    x = network.inputs[0]  # a sequential model has no `input` in Keras 3
    for layer in network.layers:
        if _kind(layer) == "InputLayer":
            continue
        # A model in the model has inputs of its own.
        if len(layer._inbound_nodes) != 1 or layer.input is not x:
            return False
        x = layer.output
    return x is network.outputs[0] and len(network.outputs) == 1


def _in_forms(vae: VAE, to_images: Step) -> Step:
    groups = _groups(vae.decoder)
    blocks = _as_blocks(groups, vae.decoder.count_params())
    *others, last = groups
    steps = [_form(group, group in blocks) for group in others]
    if _is_conv(last.layer):  # before pixels of blocks are laid out
        last.behind.append(to_images)
        steps.append(_form(last, last in blocks, is_last=True))
    else:
        steps += [_form(last), to_images]

    def decode(z: tf.Tensor) -> tf.Tensor:
        for step in steps:
            z = step(z)
        return z

    return decode


@dataclasses.dataclass(eq=False)
class _Group:
    """A layer and those that belong to it.

    Attributes:
      layer: a convolution, or one that stays as it is.
      before: a resize, and padding, of its inputs.
      behind: of what a convolution makes, pixel by pixel.
    """

    layer: Any
    before: list[Any]
    behind: list[Step] = dataclasses.field(default_factory=list)


def _groups(decoder: tf.keras.Model) -> list[_Group]:
    groups: list[_Group] = []
    before: list[Any] = []
    for layer in decoder.layers:
        kind = _kind(layer)
        if kind == "InputLayer":
            continue
        if kind in ("UpSampling2D", "ReplicationPadding"):
            before.append(layer)
        elif groups and _belongs_behind(layer, groups[-1]):
            groups[-1].behind.append(layer)
        else:
            groups.append(_Group(layer, before))
            before = []
    if before:  # resizes come last
        groups.append(_Group(before.pop(), before))
    return groups


def _belongs_behind(layer: Any, group: _Group) -> bool:
    if "Conv2D" not in _kind(group.layer):
        return False
    if _kind(layer) == "BatchNormalization":  # becomes part of the kernel
        linear = group.layer.activation is tf.keras.activations.linear
        # Of one without a scale or an offset there are fewer.
        return linear and not group.behind and len(layer.weights) == 4
    return _kind(layer) in ("Activation", "LeakyReLU")


def _as_blocks(groups: list[_Group], num_weights: int) -> list[_Group]:
    """Those that make blocks of what is resized: from the last on, while few are added."""
    found, left = [], _MOST_ADDED * num_weights
    for group in reversed(groups):
        if not _is_resized(group):
            continue
        left -= group.layer.weights[0].shape.num_elements() * (16 / 9 - 1)
        if left >= 0:
            found.append(group)
    return found


def _form(group: _Group, blocks: bool = False, is_last: bool = False) -> Step:
    layer, replicate = group.layer, len(group.before) == 2
    if _is_resized(group):
        make = _blocks_of_resized if blocks else _resized
        return functools.partial(make, _Sums(group), replicate)
    if _is_transposed(group):
        return functools.partial(_transposed, _Sums(group))
    if is_last and not group.before and _makes_even_images(layer):
        return functools.partial(_folded, _Sums(group))

    def as_it_is(x: tf.Tensor) -> tf.Tensor:
        for each in (*group.before, layer):
            x = each(x, training=False)
        return _in_turn(group.behind, x)

    return as_it_is


class _Sums:
    """The sums of a convolution with what is pointwise behind it.

    Attributes:
      kernel: [3, 3, I, O], a following batch normalisation included.
    """

    def __init__(self, group: _Group):
        layer = group.layer
        self.kernel, *bias = layer.get_weights()
        if _kind(layer) == "Conv2DTranspose":
            self.kernel = self.kernel.transpose(0, 1, 3, 2)
        self._bias = bias[0] if bias else np.zeros(layer.filters, np.float32)
        behind = list(group.behind)
        if behind and _kind(behind[0]) == "BatchNormalization":
            self._normalize(behind.pop(0))
        self._behind = [layer.activation, *behind]

    def _normalize(self, layer: Any) -> None:
        gamma, beta, mean, variance = layer.get_weights()
        scale = gamma / np.sqrt(variance + layer.epsilon)
        self.kernel = self.kernel * scale
        self._bias = (self._bias - mean) * scale + beta

    def __call__(
        self, x: tf.Tensor, kernel: np.ndarray, strides: int, padding: str
    ) -> tf.Tensor:
        """Convolves with `kernel`, whose channels may be those of several pixels."""
        x = tf.nn.conv2d(x, kernel, strides, padding)
        bias = np.tile(self._bias, kernel.shape[-1] // len(self._bias))
        return _in_turn(self._behind, tf.nn.bias_add(x, bias))


def _resized(sums: _Sums, replicate: bool, x: tf.Tensor) -> tf.Tensor:
    _, height, width, _ = x.shape
    x = tf.image.resize(x, (2 * height, 2 * width), "nearest")
    if replicate:  # the two rows at the border are alike, and GPUs only have REFLECT
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "REFLECT")
    return sums(x, sums.kernel, 1, "VALID" if replicate else "SAME")


def _blocks_of_resized(sums: _Sums, replicate: bool, x: tf.Tensor) -> tf.Tensor:
    if replicate:
        x = tf.concat([x[:, :1], x, x[:, -1:]], axis=1)
        x = tf.concat([x[:, :, :1], x, x[:, :, -1:]], axis=2)
    else:
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = sums(x, of_blocks(sums.kernel), 1, "VALID")
    # A block lies between four pixels: half of the outer ones is beyond the border.
    return tf.nn.depth_to_space(x, _BLOCK)[:, 1:-1, 1:-1]


def _transposed(sums: _Sums, x: tf.Tensor) -> tf.Tensor:
    # Each makes one pixel of the blocks, of those before it that reach so far.
    padded = tf.pad(x, [[0, 0], [1, 0], [1, 0], [0, 0]])
    pixels = [
        sums(
            padded[:, row:, column:],
            sums.kernel[2 - row :: -2, 2 - column :: -2],
            1,
            "VALID",
        )
        for row in range(_BLOCK)
        for column in range(_BLOCK)
    ]
    return tf.nn.depth_to_space(tf.concat(pixels, axis=-1), _BLOCK)


def _folded(sums: _Sums, x: tf.Tensor) -> tf.Tensor:
    blocks = sums(x, fold(sums.kernel), _BLOCK, "SAME")
    return tf.nn.depth_to_space(blocks, _BLOCK)


def of_blocks(kernel: np.ndarray) -> np.ndarray:
    """[3, 3, I, O] for resized pixels -> [2, 2, I, 4 O] for four pixels, of their corner.

    The four pixels of a block around the corner see one, one, one and two thirds of the
    kernel's rows at the pixel above, and the rest below; columns alike.
    """
    # Of the block's first and second row: which rows of the kernel see the upper pixel.
    rows = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
    folded = np.einsum("pyk,qxl,klio->yxipqo", rows, rows, kernel)
    return folded.reshape(2, 2, kernel.shape[2], -1).astype(kernel.dtype)


def fold(kernel: np.ndarray) -> np.ndarray:
    """[3, 3, I, O] -> [4, 4, I, 4 O]: the kernel once for each pixel of a 2x2 block."""
    rows = np.array([np.eye(4)[:, :3], np.eye(4)[:, 1:]])
    folded = np.einsum("pyk,qxl,klio->yxipqo", rows, rows, kernel)
    return folded.reshape(4, 4, kernel.shape[2], -1).astype(kernel.dtype)


def _in_turn(steps: list[Step], x: tf.Tensor) -> tf.Tensor:
    for step in steps:
        x = step(x)
    return x


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _is_conv(layer: Any, kind: str = "Conv2D", strides: int = 1) -> bool:
    """Whether it is one of 3x3, in one piece."""
    return (
        _kind(layer) == kind
        and tuple(layer.kernel_size) == (3, 3)
        and tuple(layer.strides) == (strides, strides)
        and tuple(layer.dilation_rate) == (1, 1)
        and getattr(layer, "groups", 1) == 1
    )


def _is_resized(group: _Group) -> bool:
    """Whether it is a 3x3 convolution of what is twice as large, "same" or replicated."""
    kinds = [_kind(layer) for layer in group.before]
    padding = {
        ("UpSampling2D",): "same",
        ("UpSampling2D", "ReplicationPadding"): "valid",
    }.get(tuple(kinds))
    return (
        padding is not None
        and _is_conv(group.layer)
        and group.layer.padding == padding
        and tuple(group.before[0].size) == (2, 2)
        and group.before[0].interpolation == "nearest"
    )


def _is_transposed(group: _Group) -> bool:
    """Whether it is a transposed convolution that doubles height and width."""
    layer = group.layer
    return (
        not group.before
        and _is_conv(layer, "Conv2DTranspose", 2)
        and layer.padding == "same"
        and layer.output_padding is None
    )


def _makes_even_images(layer: Any) -> bool:
    _, height, width, _ = layer.output.shape
    return layer.padding == "same" and height % _BLOCK == width % _BLOCK == 0
