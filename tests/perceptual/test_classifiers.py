"""dfcvae_tf/perceptual/classifiers.py and the weights that ship with the package"""

import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays
from dfcvae_tf.perceptual import classifiers
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures
from dfcvae_tf.training.classifier import compute_accuracy, read_split


@pytest.fixture(scope="module")
def mnist_test():
    images, labels = read_split(open_source(DataConfig("mnist_sample"), 0), "test")
    assert len(images) == 10000
    return images, labels


@pytest.mark.parametrize("name", ["mnist_classifier", "mnist_judge"])
def test_bundled_classifier_knows_its_digits(mnist_test, name):
    model = classifiers.load_classifier(name)
    assert compute_accuracy(model, *mnist_test) >= 0.99


def test_conv1_equals_a_convolution_in_numpy(mnist_test):
    images = mnist_test[0][:3].astype(np.float32) / 255.0
    extractor = KerasFeatures(
        "mnist_classifier", classifiers.load_classifier("mnist_classifier"), ("conv1",)
    )
    arrays = read_arrays(classifiers.CLASSIFIERS_DIR / "mnist_classifier.npz")

    windows = np.lib.stride_tricks.sliding_window_view(
        images[..., 0].astype(np.float64), (3, 3), axis=(1, 2)
    )
    kernel = arrays["conv1/kernel"][:, :, 0].astype(np.float64)
    expected = np.einsum("nyxij,ijk->nyxk", windows, kernel) + arrays["conv1/bias"]

    np.testing.assert_allclose(
        extractor(images)[0], np.maximum(expected, 0.0), atol=1e-5
    )


def test_the_judge_is_another_network():
    shape, classes = (28, 28, 1), 10
    classifier = classifiers.build_classifier("mnist_classifier", shape, classes)
    judge = classifiers.build_classifier("mnist_judge", shape, classes)
    assert classifier.count_params() == 93322
    assert judge.count_params() < 120_000
    shapes = [
        {tuple(w.shape) for w in model.weights if len(w.shape) == 4}
        for model in (classifier, judge)
    ]
    assert not shapes[0] & shapes[1]
    assert "mnist_judge" not in classifiers.DEFAULT_LAYERS


@pytest.mark.parametrize("name", sorted(classifiers.NETWORKS))
def test_smallest_images_and_other_classes(name):
    size = classifiers.MIN_SIZE
    model = classifiers.build_classifier(name, (size, size + 1, 3), 4)
    assert model(np.zeros([2, size, size + 1, 3], np.float32)).shape == (2, 4)
    with pytest.raises(UserError, match="at least"):
        classifiers.build_classifier(name, (size - 1, size, 3), 4)


def test_unknown_name():
    with pytest.raises(UserError, match="mnist_judge"):
        classifiers.load_classifier("mnist_juge")


def test_files_are_small():
    for name in classifiers.NETWORKS:
        path = classifiers.CLASSIFIERS_DIR / f"{name}.npz"
        assert path.stat().st_size < 450_000
        assert path.with_suffix(".md").is_file()
