"""Layers that several networks share."""

import tensorflow as tf


def conv(
    filters: int, dtype: str, name: str, strides: int = 1
) -> tf.keras.layers.Layer:
    """A 3x3 convolution with "same" padding and ReLU.

    Args:
      filters: output channels.
      dtype: Keras dtype policy.
      name: the layer's name.
      strides: output size is input size divided by it, rounded up.
    """
    return tf.keras.layers.Conv2D(
        filters, 3, strides, padding="same", activation="relu", dtype=dtype, name=name
    )


def batch_norm(decay: float, dtype: str, name: str) -> tf.keras.layers.Layer:
    """Batch normalisation over all replicas of the distribution strategy in scope.

    With its own statistics in each replica, a result would depend on how many there are,
    and on Keras 3 their moving statistics would drift apart.

    Args:
      decay: of the moving statistics that inference uses.
      dtype: Keras dtype policy; statistics are float32 with every one.
      name: the layer's name.
    """
    return tf.keras.layers.BatchNormalization(
        momentum=decay,
        epsilon=1e-3,
        synchronized=tf.distribute.get_strategy().num_replicas_in_sync > 1,
        dtype=dtype,
        name=name,
    )


def norm_relu(
    x: tf.Tensor, decay: float, slope: float, dtype: str, number: int
) -> tf.Tensor:
    """Batch normalisation, see `batch_norm`, and a leaky ReLU of that slope below 0.

    `number` is in the names of the two layers.
    """
    x = batch_norm(decay, dtype, f"norm{number}")(x)
    # Keras 3 has another name for the slope than Keras 2.
    return tf.keras.layers.LeakyReLU(slope, dtype=dtype, name=f"relu{number}")(x)


class ReplicationPadding(tf.keras.layers.Layer):
    """Repeats the border of images: [N, H, W, C] -> [N, H + 2, W + 2, C]."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.pad(inputs, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return batch, height + 2, width + 2, channels


def output_conv(
    x: tf.Tensor,
    channels: int,
    decoder_output: str,
    dtype: str,
    name: str,
    kernel: str | tf.keras.initializers.Initializer = "glorot_uniform",
) -> tf.Tensor:
    """A decoder's last 3x3 convolution, to outputs [N, H, W, channels] in float32.

    `kernel` is the initializer of its kernel.
    """
    x = tf.keras.layers.Conv2D(
        channels,
        3,
        padding="same",
        kernel_initializer=kernel,
        bias_initializer=output_bias(decoder_output),
        dtype=dtype,
        name=name,
    )(x)
    return tf.keras.layers.Activation("linear", dtype="float32", name="recon_logits")(x)


def output_bias(decoder_output: str) -> tf.keras.initializers.Initializer:
    """The bias with which a decoder's last layer starts, so that images start grey."""
    # From 0 to 0.5 it would take Adam a thousand steps at a rate of 0.0005.
    grey = 0.5 if decoder_output == "linear" else 0.0
    return tf.keras.initializers.Constant(grey)
