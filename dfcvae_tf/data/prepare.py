"""One image as the source has it -> the size and colour that training uses."""

import tensorflow as tf

# Luma of ITU-R BT.601, as OpenCV and Pillow use it.
GREY_WEIGHTS = (0.299, 0.587, 0.114)


def prepare_image(
    image: tf.Tensor, image_shape: tuple[int, int, int], crop: str
) -> tf.Tensor:
    """Crops, resizes and recolours one image, rounding to uint8 once, at the end.

    Args:
      image: uint8 [h, w, 1 or 3]; h and w may be unknown until run time.
      image_shape: (height, width, 1 or 3) wanted.
      crop: "center" or "none", see `DataConfig.crop`.

    Returns:
      uint8 [height, width, channels].
    """
    if image.shape == image_shape:
        return image
    height, width, channels = image_shape
    if crop == "center":
        image = _crop_center(image, height, width)
    # Antialiased: when shrinking, every source pixel counts.
    pixels = tf.image.resize(
        tf.cast(image, tf.float32), (height, width), "bilinear", antialias=True
    )
    if channels == 1 and image.shape[-1] == 3:
        pixels = tf.reduce_sum(pixels * GREY_WEIGHTS, axis=-1, keepdims=True)
    elif channels == 3 and image.shape[-1] == 1:
        pixels = tf.repeat(pixels, 3, axis=-1)
    pixels = tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(pixels, image_shape)


def _crop_center(image: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Cuts out the largest centred part with the aspect ratio height : width."""
    size = tf.shape(image)
    # The other side at full height or full width, rounded to the nearest pixel.
    width_at_full_height = (2 * size[0] * width + height) // (2 * height)
    height_at_full_width = (2 * size[1] * height + width) // (2 * width)
    part_height = tf.clip_by_value(height_at_full_width, 1, size[0])
    part_width = tf.clip_by_value(width_at_full_height, 1, size[1])
    top = (size[0] - part_height) // 2
    left = (size[1] - part_width) // 2
    return image[top : top + part_height, left : left + part_width]
