"""One image as the source has it -> the size and colour that training uses."""

from typing import TypeVar

import tensorflow as tf

Size = TypeVar("Size", int, tf.Tensor)

# Luma of ITU-R BT.601, as OpenCV and Pillow use it.
GREY_WEIGHTS = (0.299, 0.587, 0.114)

# Parts of a face picture, by (top, left, height, width) of the CROP_FRAME pixels of an
# aligned CelebA image, and meant as shares of any picture's height and width.
CROP_FRAME = (218, 178)
PARTS = {
    # x from 30 to 168, y from 40 to 178: published code of Hou et al. 2017.
    "hou": (40, 30, 138, 138),
    "center148": (35, 15, 148, 148),
    # The facenet repository, for its attribute vectors.
    "facenet160": (29, 9, 160, 160),
}


def prepare_image(
    image: tf.Tensor, image_shape: tuple[int, int, int], crop: str
) -> tf.Tensor:
    """Crops, resizes and recolours one image, rounding to uint8 once, at the end.

    Args:
      image: uint8 [h, w, 1 or 3]; h and w may be unknown until run time.
      image_shape: (height, width, 1 or 3) wanted.
      crop: see `DataConfig.crop`. With one of `PARTS` an image that already has the
        wanted size is cropped as any other; else it is returned as it is.

    Returns:
      uint8 [height, width, channels].
    """
    if image.shape == image_shape and crop not in PARTS:
        return image
    height, width, channels = image_shape
    if crop in PARTS:
        size = tf.shape(image)
        top, left, part_height, part_width = part_box(crop, size[0], size[1])
        image = image[top : top + part_height, left : left + part_width]
    elif crop == "center":
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


def part_box(crop: str, height: Size, width: Size) -> tuple[Size, Size, Size, Size]:
    """Returns (top, left, height, width) of one of `PARTS` in a picture of that size.

    Each of the four is its share of the picture rounded to the nearest pixel, halves up;
    so a picture with the proportions of CelebA's gives a square part at any size.
    """
    sides = (height, width, height, width)
    frame = CROP_FRAME + CROP_FRAME
    top, left, part_height, part_width = (
        (2 * share * side + whole) // (2 * whole)
        for share, side, whole in zip(PARTS[crop], sides, frame, strict=True)
    )
    return top, left, part_height, part_width


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
