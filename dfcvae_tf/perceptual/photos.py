"""`photos`: VGG19's first three blocks, distilled into a network that ships with the package.

Its outputs imitate relu1_1, relu2_1 and relu3_1 of VGG19 (Simonyan and Zisserman 2014,
arXiv:1409.1556) in shape and scale, so that distances between them and their gradients
are nearly VGG19's, at about a quarter of the time. relu1_1 is VGG19's own; beside it
stands a network with a quarter or less of VGG19's filters, out of which 1x1 convolutions
read the other outputs. `tools/distill_vgg19.py` trained it.
"""

import tensorflow as tf

from dfcvae_tf.files import read_arrays
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures
from dfcvae_tf.perceptual.preprocessing import to_caffe
from dfcvae_tf.run_dir import ASSETS_DIR
from dfcvae_tf.weights import set_arrays

NAME = "photos"
LAYERS = ("relu1_1", "relu2_1", "relu3_1")
WEIGHTS = ASSETS_DIR / "perceptual" / "photos.npz"


def build_photos(layers: tuple[str, ...] = ()) -> KerasFeatures:
    """Returns the network with the weights that ship, for images of any size from 4x4.

    Args:
      layers: names of layers; LAYERS when empty.

    Raises:
      UserError: a layer is unknown.
    """
    model = photos_network()
    set_arrays(model, read_arrays(WEIGHTS))
    return KerasFeatures(NAME, model, layers or LAYERS, to_caffe)


def photos_network(batch_norm: bool = False) -> tf.keras.Model:
    """Returns the network with fresh weights.

    It maps float32 [N, H, W, 3], BGR in [0, 255] minus the means of ImageNet
    (`to_caffe`), to relu1_1 [N, H, W, 64], relu2_1 [N, H/2, W/2, 128] and relu3_1
    [N, H/4, W/4, 256], float32.

    Args:
      batch_norm: whether batch normalisation stands behind the inner convolutions, for
        training; layer NAME is followed by NAME_norm.
    """
    images = tf.keras.Input((None, None, 3), dtype="float32", name="images")
    relu1_1 = _conv(64, 3, "relu1_1", activation="relu")(images)
    # From the images again: 64 features at full size cost more than all that follows.
    x = _relu("conv1_1", _inner(8, "conv1_1", batch_norm, images))
    x = _pool(_inner(16, "conv1_2", batch_norm, x), "1")
    x = _relu("conv2_1", _inner(32, "conv2_1", batch_norm, x))
    relu2_1 = _conv(128, 1, "relu2_1", activation="relu")(x)
    x = _pool(_inner(32, "conv2_2", batch_norm, x), "2")
    x = _relu("conv3_1", _inner(64, "conv3_1", batch_norm, x))
    relu3_1 = _conv(256, 1, "relu3_1", activation="relu")(x)
    return tf.keras.Model(images, [relu1_1, relu2_1, relu3_1], name=NAME)


def _conv(filters: int, kernel: int, name: str, **kwargs) -> tf.keras.layers.Layer:
    # dtype: float32 whatever precision policy is set. The same in every layer here.
    return tf.keras.layers.Conv2D(
        filters,
        kernel,
        padding="same",
        kernel_initializer="he_normal",
        name=name,
        dtype="float32",
        **kwargs,
    )


def _inner(filters: int, name: str, batch_norm: bool, x):
    x = _conv(filters, 3, name)(x)
    if batch_norm:
        x = tf.keras.layers.BatchNormalization(
            momentum=0.95, name=f"{name}_norm", dtype="float32"
        )(x)
    return x


def _relu(name: str, x):
    return tf.keras.layers.ReLU(name=f"{name}_relu", dtype="float32")(x)


def _pool(x, block: str):
    # ReLU behind the pooling is the same as before it, on a quarter of the values.
    x = tf.keras.layers.MaxPooling2D(2, name=f"pool{block}", dtype="float32")(x)
    return _relu(f"pool{block}", x)
