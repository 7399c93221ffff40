"""Generated images of simple shapes: no files, no network, known truth."""

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import SPLITS, Source, digest_of

NUM_EXAMPLES = {"train": 2000, "test": 500}
SHAPES = ("circle", "square", "triangle")
DEFAULT_SIZE = (28, 28)


def open_synthetic(config: DataConfig, seed: int) -> Source:
    """Opens the generated shapes; the label is the kind of shape.

    Each image has one filled shape of random kind, place, size, angle and brightness
    (with `color` "rgb": colour) on black. The same seed gives the same images.

    Args:
      config: `image_size` (28x28 when not given) and `color` (grey unless "rgb").
      seed: not negative.
    """
    height, width = config.image_size or DEFAULT_SIZE
    channels = 3 if config.color == "rgb" else 1

    def dataset(split: str) -> tf.data.Dataset:
        rng = np.random.default_rng([seed, SPLITS.index(split)])
        count = NUM_EXAMPLES[split]
        side = min(height, width)
        radius = rng.uniform(0.18, 0.32, count) * side
        parameters = {
            "kind": rng.integers(0, len(SHAPES), count),
            "radius": radius,
            "y": rng.uniform(radius, height - radius),
            "x": rng.uniform(radius, width - radius),
            "angle": rng.uniform(0, 2 * np.pi, count),
            "color": rng.uniform(0.4, 1.0, [count, channels]),
        }
        with tf.device("CPU:0"):
            drawn = tf.data.Dataset.from_tensor_slices(parameters)
        return drawn.map(
            lambda shape: {
                "image": _draw(shape, height, width),
                "label": shape["kind"],
            },
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    description = f"generated {', '.join(SHAPES)} images, seed {seed}"
    return Source(
        name="synthetic",
        description=description,
        num_examples=dict(NUM_EXAMPLES),
        image_shape=(height, width, channels),
        class_names=SHAPES,
        dataset=dataset,
        digest=digest_of([description, f"{height}x{width}x{channels}"]),
    )


def _draw(shape: dict[str, tf.Tensor], height: int, width: int) -> tf.Tensor:
    """Draws one shape, uint8 [height, width, channels], edges softened over one pixel."""
    rows = tf.range(height, dtype=tf.float64)[:, tf.newaxis] + 0.5 - shape["y"]
    columns = tf.range(width, dtype=tf.float64)[tf.newaxis, :] + 0.5 - shape["x"]
    cos, sin = tf.cos(shape["angle"]), tf.sin(shape["angle"])
    u, v = columns * cos + rows * sin, rows * cos - columns * sin
    # Signed distances to the edge, negative inside; all fit in a circle of that radius.
    radius = shape["radius"]
    circle = tf.sqrt(u**2 + v**2) - radius
    square = tf.maximum(tf.abs(u), tf.abs(v)) - radius / np.sqrt(2)
    triangle = tf.maximum(np.sqrt(3) / 2 * tf.abs(u) - v / 2, v) - radius / 2
    distance = tf.stack([circle, square, triangle])[shape["kind"]]
    coverage = tf.clip_by_value(0.5 - distance, 0.0, 1.0)
    pixels = coverage[..., tf.newaxis] * shape["color"] * 255.0
    return tf.cast(tf.round(pixels), tf.uint8)
