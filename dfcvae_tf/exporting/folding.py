"""The decoder's last convolution in a form that devices compute faster.

Runtimes compute 8 or 16 output channels at a time; a convolution to the 1 or 3 channels of
an image leaves most of that idle. The 2x2 pixels of a block lie in one window of 4x4, so
that one convolution of stride 2 with four times the channels makes the same sums, and
depth-to-space puts them where they belong (as Shi et al. 2016, "Real-Time Single Image and
Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", figure 1,
but with the kernel that was trained).
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from dfcvae_tf.models.vae import VAE

_BLOCK = 2


def fast_decode(
    vae: VAE, to_images: Callable[[tf.Tensor], tf.Tensor]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns z [N, D] -> images [N, H, W, C] with the last convolution folded.

    Where it is not one of 3x3 with stride 1 and "same" padding to images of even height
    and width, it stays as it is.

    Args:
      vae: the networks.
      to_images: makes images of the decoder's outputs, pixel by pixel.
    """
    decoder = vae.decoder
    *_, last = (layer for layer in decoder.layers if layer.weights)
    if not _can_fold(last, decoder):
        return lambda z: to_images(decoder(z, training=False))
    features = tf.keras.Model(decoder.input, last.input)
    kernel, bias = last.get_weights()
    kernel, bias = fold(kernel), np.tile(bias, _BLOCK**2)

    def decode(z: tf.Tensor) -> tf.Tensor:
        blocks = tf.nn.conv2d(features(z, training=False), kernel, _BLOCK, "SAME")
        # Before the pixels move: what follows a convolution directly is fused with it.
        images = to_images(tf.nn.bias_add(blocks, bias))
        return tf.nn.depth_to_space(images, _BLOCK)

    return decode


def fold(kernel: np.ndarray) -> np.ndarray:
    """[3, 3, I, C] -> [4, 4, I, 4 C]: the kernel once for each pixel of a 2x2 block."""
    height, width, inputs, channels = kernel.shape
    folded = np.zeros(
        (height + _BLOCK - 1, width + _BLOCK - 1, inputs, _BLOCK, _BLOCK, channels),
        kernel.dtype,
    )
    for y in range(_BLOCK):
        for x in range(_BLOCK):
            folded[y : y + height, x : x + width, :, y, x] = kernel
    return folded.reshape(*folded.shape[:3], -1)


def _can_fold(last: tf.keras.layers.Layer, decoder: tf.keras.Model) -> bool:
    _, height, width, _ = decoder.output_shape
    return (
        type(last).__name__ == "Conv2D"
        and tuple(last.kernel_size) == (3, 3)
        and tuple(last.strides) == (1, 1)
        and tuple(last.dilation_rate) == (1, 1)
        and last.groups == 1
        and last.padding == "same"
        and last.use_bias
        and last.activation is tf.keras.activations.linear
        and last.output.shape[1:] == decoder.output.shape[1:]
        and height % _BLOCK == width % _BLOCK == 0
    )
