"""What a discriminator sees of few images, so that it does not learn them by heart.

Zhao et al. (2020), "Differentiable Augmentation for Data-Efficient GAN Training": originals
and reconstructions are changed alike, and gradients pass through. Brightness, saturation
and contrast; a shift by up to an eighth; a square of half the size is cut out.
"""

import tensorflow as tf

# Numbers in [0, 1) that the changes of an image follow from.
NUM_DRAWS = 7
_SHIFT, _CUTOUT = 0.125, 0.5


def augment(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
    """Changes each image as its draws say.

    Args:
      images: [N, H, W, C] float32.
      draws: [N, NUM_DRAWS] float32 in [0, 1), uniform.

    Returns:
      [N, H, W, C] float32, not limited to a range.
    """
    brightness, saturation, contrast, down, right, top, left = tf.unstack(
        draws[:, :, tf.newaxis, tf.newaxis, tf.newaxis], axis=1
    )
    images += brightness - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + 2.0 * saturation * (images - grey)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    images = mean + (contrast + 0.5) * (images - mean)
    height, width = images.shape[1:3]
    images = _shifted(_shifted(images, down, 1), right, 2)
    rows = tf.reshape(_places(height), [1, height, 1, 1])
    columns = tf.reshape(_places(width), [1, 1, width, 1])
    hidden = (tf.abs(rows - top) < _CUTOUT / 2) & (tf.abs(columns - left) < _CUTOUT / 2)
    return tf.where(hidden, 0.0, images)


def _places(size: int) -> tf.Tensor:
    """Where pixels have their centres, from 0 to 1, [size]."""
    return (tf.range(size, dtype=tf.float32) + 0.5) / size


def _shifted(images: tf.Tensor, draw: tf.Tensor, axis: int) -> tf.Tensor:
    """Moves each image along an axis by its draw, and 0 follows."""
    size = images.shape[axis]
    most = round(_SHIFT * size)
    offsets = tf.cast(tf.floor(draw[:, 0, 0] * (2 * most + 1)), tf.int32) - most
    # Matrices: second derivatives of tf.gather fail within tf.cond.
    places = tf.one_hot(tf.range(size) + offsets, size)
    equation = "nij,njwc->niwc" if axis == 1 else "nij,nhjc->nhic"
    return tf.einsum(equation, places, images)
