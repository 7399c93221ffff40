"""dfcvae_tf/perceptual/registry.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import ObjectiveConfig
from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.registry import build_perceptual_model


def test_bundled_classifier_and_its_default_layers():
    extractor = build_perceptual_model(ObjectiveConfig(), (28, 28, 1), 0)
    assert (extractor.name, extractor.layers) == (
        "mnist_classifier",
        ("conv1", "conv2"),
    )
    shapes = [f.shape for f in extractor(np.zeros([3, 28, 28, 1], np.float32))]
    assert shapes == [(3, 26, 26, 32), (3, 11, 11, 64)]
    # Other images are brought to the size and channels it was trained on.
    build_perceptual_model(ObjectiveConfig(), (64, 48, 3), 0)


def test_keras_and_file_forms(tmp_path):
    config = ObjectiveConfig(
        perceptual_model="keras:VGG19",
        perceptual_weights="random",
        perceptual_layers=("block1_conv2",),
    )
    assert build_perceptual_model(config, (32, 32, 3), 0).name == "keras:VGG19"

    images = tf.keras.Input((None, None, 1))
    outputs = tf.keras.layers.Conv2D(2, 5, name="conv1")(images)
    path = tmp_path / "net.keras"
    tf.keras.Model(images, outputs).save(path)
    config = ObjectiveConfig(
        perceptual_model=f"file:{path}", perceptual_layers=("conv1",)
    )
    assert build_perceptual_model(config, (8, 8, 1), 0).layers == ("conv1",)
    with pytest.raises(UserError, match="larger images"):
        build_perceptual_model(config, (4, 4, 1), 0)


@pytest.mark.parametrize(
    "name", ["mnist_judge", "VGG19", "keras:", "graphdef:", "tfhub:x", ""]
)
def test_other_names_list_the_valid_forms(name):
    forms = "mnist_classifier, photos, keras:NAME .* file:PATH .* graphdef:PATH"
    with pytest.raises(UserError, match=forms):
        build_perceptual_model(ObjectiveConfig(perceptual_model=name), (28, 28, 1), 0)
