"""The small digit classifiers that ship with the package.

`mnist_classifier` is the perceptual model of the MNIST presets. `mnist_judge` tells
whether a reconstruction is still the same digit; it has another architecture, another
seed and is never a perceptual model, so that what was optimised is not its own judge.
Both take [N, H, W, C] float32 in [0, 1] and return logits [N, classes] float32: the
softmax belongs into the loss, where it is numerically stable.
"""

import tensorflow as tf

from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.files import read_arrays
from dfcvae_tf.run_dir import ASSETS_DIR
from dfcvae_tf.weights import set_arrays

CLASSIFIERS_DIR = ASSETS_DIR / "classifiers"

# Below it, some layer of one of the networks would have no pixel left.
MIN_SIZE = 24

# The layers whose features the DFC-VAE of Krasser's article compares.
DEFAULT_LAYERS = {"mnist_classifier": ("conv1", "conv2")}


def mnist_classifier(
    image_shape: tuple[int, int, int], num_classes: int
) -> tf.keras.Model:
    """The classifier of M. Krasser, "Deep feature consistent variational auto-encoder".

    https://krasserm.github.io/2018/07/27/dfc-vae/ (2018). With 28x28x1 images: conv1
    [26x26x32], pool1, conv2 [11x11x64], pool2, conv3 [3x3x64], dense1 [64], logits.
    """
    layers = tf.keras.layers
    images = tf.keras.Input(image_shape, dtype="float32", name="images")
    x = _conv(32, 3, "conv1", activation="relu")(images)
    x = layers.MaxPooling2D(2, name="pool1", dtype="float32")(x)
    x = _conv(64, 3, "conv2", activation="relu")(x)
    x = layers.MaxPooling2D(2, name="pool2", dtype="float32")(x)
    x = _conv(64, 3, "conv3", activation="relu")(x)
    x = layers.Flatten(name="flatten", dtype="float32")(x)
    x = layers.Dense(64, activation="relu", name="dense1", dtype="float32")(x)
    logits = layers.Dense(num_classes, name="logits", dtype="float32")(x)
    return tf.keras.Model(images, logits, name="mnist_classifier")


def mnist_judge(image_shape: tuple[int, int, int], num_classes: int) -> tf.keras.Model:
    """A classifier unlike `mnist_classifier`: 5x5 kernels, batch norm, average pooling.

    With 28x28x1 images: conv1 [24x24x24], pool1, conv2 [8x8x48], pool2, conv3 [2x2x96],
    average over all positions [96], logits. The design is this project's own.
    """
    layers = tf.keras.layers
    images = tf.keras.Input(image_shape, dtype="float32", name="images")
    x = _conv_norm_relu(images, 24, 5, "1")
    x = layers.AveragePooling2D(2, name="pool1", dtype="float32")(x)
    x = _conv_norm_relu(x, 48, 5, "2")
    x = layers.AveragePooling2D(2, name="pool2", dtype="float32")(x)
    x = _conv_norm_relu(x, 96, 3, "3")
    x = layers.GlobalAveragePooling2D(name="pool3", dtype="float32")(x)
    logits = layers.Dense(num_classes, name="logits", dtype="float32")(x)
    return tf.keras.Model(images, logits, name="mnist_judge")


NETWORKS = {"mnist_classifier": mnist_classifier, "mnist_judge": mnist_judge}


def build_classifier(
    name: str, image_shape: tuple[int, int, int], num_classes: int
) -> tf.keras.Model:
    """Returns a classifier with fresh weights.

    Args:
      name: one of `NETWORKS`.
      image_shape: (height, width, channels) of the images.
      num_classes: number of logits.

    Raises:
      UserError: the name is unknown, or the images are too small for the network.
    """
    if name not in NETWORKS:
        raise unknown_name("classifier", name, NETWORKS)
    if min(image_shape[:2]) < MIN_SIZE:
        raise UserError(
            f"{name} needs images of at least {MIN_SIZE}x{MIN_SIZE}, got "
            f"{image_shape[0]}x{image_shape[1]}"
        )
    return NETWORKS[name](image_shape, num_classes)


def load_classifier(name: str) -> tf.keras.Model:
    """Returns a bundled classifier: 28x28x1 images, 10 digits.

    Raises:
      UserError: the name is unknown.
    """
    model = build_classifier(name, (28, 28, 1), 10)
    set_arrays(model, read_arrays(CLASSIFIERS_DIR / f"{name}.npz"))
    return model


def _conv(filters: int, kernel: int, name: str, **kwargs) -> tf.keras.layers.Layer:
    # dtype: float32 whatever precision policy is set. The same in every layer here.
    return tf.keras.layers.Conv2D(filters, kernel, name=name, dtype="float32", **kwargs)


def _conv_norm_relu(x, filters: int, kernel: int, number: str):
    x = _conv(filters, kernel, f"conv{number}", use_bias=False)(x)
    x = tf.keras.layers.BatchNormalization(name=f"norm{number}", dtype="float32")(x)
    return tf.keras.layers.ReLU(name=f"relu{number}", dtype="float32")(x)
