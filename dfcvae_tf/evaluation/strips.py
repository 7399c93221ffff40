"""Pictures small enough to stand in a page: strips of images, and its figures.

They are WebP, which every browser shows, and which takes a third of a PNG.
"""

import cv2
import numpy as np

from dfcvae_tf.images import to_uint8

# Images with more values are no drawings of few pixels: a little loss is not seen.
_LOSSLESS_VALUES = 1024
_LARGEST = 64  # pixels of a side in a strip
_QUALITY = 82
_LOSSLESS = 101  # as OpenCV has it
_MOST_PIXELS = 16_383  # of a side, by WebP's format
_SMALL = 100_000  # bytes


def draw_strip(images: np.ndarray) -> bytes:
    """Images side by side, with gaps that let the page's ground through.

    Args:
      images: [K, H, W, C] float in [0, 1], K at least 1.
    """
    pixels = to_uint8(images)
    height, width, channels = pixels.shape[1:]
    factor = _LARGEST / max(height, width)
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        shrunk = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in pixels]
        pixels = np.stack(shrunk).reshape(len(shrunk), size[1], size[0], channels)
    count, high, wide, _ = pixels.shape
    gap = max(1, wide // 14)
    strip = np.zeros((high, count * (wide + gap) - gap, 4), np.uint8)
    for place, image in enumerate(pixels):
        left = place * (wide + gap)
        strip[:, left : left + wide, :3] = image[..., ::-1]  # OpenCV's BGR
        strip[:, left : left + wide, 3] = 255
    is_small = height * width * channels <= _LOSSLESS_VALUES
    return _webp(strip, _LOSSLESS if is_small else _QUALITY)


def shrink_figure(png: bytes) -> bytes | None:
    """A figure as a smaller file; None where it is larger than WebP can be.

    It is lossless where that is small, or is not the larger file: drawings take less
    without loss, photos with some.
    """
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    if max(picture.shape) > _MOST_PIXELS:
        return None
    lossless = _webp(picture, _LOSSLESS)
    if len(lossless) < _SMALL:
        return lossless
    return min(lossless, _webp(picture, _QUALITY), key=len)


def _webp(picture: np.ndarray, quality: int) -> bytes:
    options = [cv2.IMWRITE_WEBP_QUALITY, quality]
    return cv2.imencode(".webp", picture, options)[1].tobytes()
