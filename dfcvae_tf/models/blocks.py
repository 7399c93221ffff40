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
