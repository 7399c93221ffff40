"""dfcvae_tf/perceptual/keras_applications.py"""

import h5py
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.keras_applications import (
    build_keras_application,
    load_h5_weights,
)
from tests.made_files import write_h5

IMAGES = np.random.default_rng(0).uniform(size=(2, 40, 36, 3)).astype(np.float32)
SHAPE = IMAGES.shape[1:]


def _conv_model(name="conv2d"):
    images = tf.keras.Input((8, 8, 3))
    outputs = tf.keras.layers.Conv2D(4, 3, name=name)(images)
    return tf.keras.Model(images, outputs)


@pytest.fixture
def vgg_weights(shared_data):
    path = shared_data / "weights" / "vgg19_blocks1-3_notop.h5"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return str(path)


def test_vgg19_equals_keras_vgg19_with_the_same_real_weights(vgg_weights):
    extractor = build_keras_application("VGG19", (), vgg_weights, SHAPE, 0)

    full = tf.keras.applications.VGG19(
        weights=None, include_top=False, input_shape=SHAPE
    )
    with h5py.File(vgg_weights) as file:
        for name in file.attrs["layer_names"]:
            arrays = [file[name][w][()] for w in file[name].attrs["weight_names"]]
            full.get_layer(name).set_weights(arrays)
    layers = ("block1_conv1", "block2_conv1", "block3_conv1")
    outputs = tf.keras.Model(full.input, [full.get_layer(n).output for n in layers])
    prepared = tf.keras.applications.vgg19.preprocess_input(IMAGES * 255.0)

    assert extractor.layers == layers
    for got, expected in zip(extractor(IMAGES), outputs(prepared), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-2)
    assert len(extractor.variables) == 10  # conv 1-1, 1-2, 2-1, 2-2, 3-1


def test_layers_that_a_weights_file_lacks_are_named(vgg_weights):
    missing = "block4_conv1, .*block5_conv1"
    with pytest.raises(UserError, match=f"weights for the layers {missing};") as error:
        build_keras_application("VGG19", ("345",), vgg_weights, SHAPE, 0)
    assert "\n" not in str(error.value)


def _vgg(convolutions, *top):
    """Names of the layers of a VGG, by the number of convolutions of its blocks."""
    blocks = enumerate(convolutions, 1)
    names = [f"block{b}_conv{i}" for b, n in blocks for i in range(1, n + 1)]
    return [*names, *top]


@pytest.mark.parametrize(
    ("network", "names", "message"),
    [
        ("VGG16", _vgg((2, 2, 4)), "VGG16, which has no layer block3_conv4;"),
        (
            "VGG16",
            _vgg((2, 2, 3), "dense"),
            "VGG16, which has no layer dense; .* whole",
        ),
        ("VGG19", _vgg((2, 2, 3, 1)), "no weights for block3_conv4, but for layers b"),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, network, names, message):
    path = write_h5(tmp_path / "w.h5", {name: [np.zeros(1)] for name in names})
    with pytest.raises(UserError, match=message):
        build_keras_application(network, ("block1_conv1",), path, SHAPE, 0)


def test_names_of_one_network_with_shapes_of_another_are_refused(tmp_path):
    right = {"block1_conv1": [np.zeros((3, 3, 3, 64)), np.zeros(64)]}
    odd = {"block1_conv2": [np.zeros((3, 3, 64, 32)), np.zeros(32)]}
    path = write_h5(tmp_path / "w.h5", right | odd)
    with pytest.raises(UserError, match="not of VGG16: layer block1_conv2 has weights"):
        build_keras_application("VGG16", ("block1_conv1",), path, SHAPE, 0)


def test_weights_of_the_networks_own_top_are_left_out(tmp_path):
    kernel, bias = np.full((3, 3, 3, 64), 0.5), np.zeros(64)
    layers = {"block1_conv1": [kernel, bias]}
    layers |= {name: [np.zeros(1)] for name in ("fc1", "fc2", "predictions")}
    path = write_h5(tmp_path / "w.h5", layers)
    built = build_keras_application("VGG16", ("block1_conv1",), path, SHAPE, 0)
    np.testing.assert_array_equal(built.variables[0].numpy(), kernel)


@pytest.mark.parametrize("digits", ["123", "345"])
def test_shorthands_of_the_paper(digits):
    extractor = build_keras_application("VGG19", (digits,), "random", SHAPE, 0)
    assert extractor.layers == tuple(f"block{digit}_conv1" for digit in digits)


def test_unknown_shorthand_lists_the_known():
    with pytest.raises(UserError, match="'234'; known: 123, 345"):
        build_keras_application("VGG19", ("234",), "random", SHAPE, 0)
    with pytest.raises(UserError, match="of VGG16 '123'; known: none"):
        build_keras_application("VGG16", ("123",), "random", SHAPE, 0)


def test_images_smaller_than_the_network_takes_are_enlarged():
    layers = ("block1_conv1",)
    extractor = build_keras_application("VGG19", layers, "random", (28, 40, 1), 0)
    assert extractor(np.zeros([1, 28, 40, 1], np.float32))[0].shape == (1, 32, 40, 64)


def test_random_weights_depend_on_the_seed_alone():
    layers = ("block1_conv1",)
    features = []
    for seed, before in ((0, 1), (0, 2), (3, 1)):
        tf.keras.utils.set_random_seed(before)
        built = build_keras_application("VGG19", layers, "random", SHAPE, seed)
        features.append(built(IMAGES)[0].numpy())
    np.testing.assert_array_equal(features[0], features[1])
    assert np.abs(features[0] - features[2]).max() > 1


def test_layer_names_do_not_depend_on_networks_built_before():
    tf.keras.layers.ReLU()  # takes the name "re_lu"
    for _ in range(2):
        extractor = build_keras_application(
            "MobileNetV3Small", ("re_lu",), "random", SHAPE, 0
        )
        assert extractor.layers == ("re_lu",)


@pytest.mark.parametrize("network", ["VGG16", "VGG19"])
def test_networks_own_preprocessing(network):
    layers = ("block1_conv1",)
    extractor = build_keras_application(network, layers, "random", SHAPE, 0)
    kernel, bias = extractor.variables
    module = getattr(tf.keras.applications, network.lower())
    prepared = module.preprocess_input(IMAGES * 255.0)
    expected = tf.nn.relu(
        tf.nn.conv2d(prepared, kernel.numpy(), 1, "SAME") + bias.numpy()
    )
    np.testing.assert_allclose(extractor(IMAGES)[0], expected, rtol=1e-4, atol=1e-3)


def test_unknown_network_and_weights_are_refused():
    with pytest.raises(UserError, match="VGG19"):
        build_keras_application("VGG91", (), "random", SHAPE, 0)
    with pytest.raises(UserError, match="neither imagenet nor random"):
        build_keras_application("VGG19", (), "no/such/file.h5", SHAPE, 0)


def test_no_default_layers_lists_the_layers():
    with pytest.raises(UserError, match=r"block1_conv1 \[40x36x64\]"):
        build_keras_application("VGG16", (), "random", SHAPE, 0)


def test_imagenet_without_a_network_names_the_way_out(monkeypatch):
    def no_network(**_):
        # What Keras itself raises.
        raise Exception("URL fetch failure")  # noqa: TRY002

    # The names are found by looking for functions; this is one.
    monkeypatch.setattr(tf.keras.applications, "VGG19", no_network)
    with pytest.raises(UserError, match="--perceptual_weights=PATH"):
        build_keras_application("VGG19", (), "imagenet", SHAPE, 0)


@pytest.mark.parametrize("group", [None, "model_weights"])
def test_weights_file_with_and_without_a_group(tmp_path, group):
    model = _conv_model("conv1")
    kernel, bias = np.ones((3, 3, 3, 4)), np.arange(4.0)
    layers = {"conv1": [kernel, bias], "conv2": [np.zeros((1, 1, 4, 4))]}
    load_h5_weights(model, write_h5(tmp_path / "w.h5", layers, group))
    np.testing.assert_array_equal(model.get_layer("conv1").kernel.numpy(), kernel)
    np.testing.assert_array_equal(model.get_layer("conv1").bias.numpy(), bias)


def test_mean_and_variance_of_a_file_are_computed_with(tmp_path):
    images = tf.keras.Input((8, 8, 3))
    model = tf.keras.Model(images, tf.keras.layers.Normalization(name="norm")(images))
    mean, variance = np.array([0.1, 0.2, 0.3]), np.array([0.25, 4.0, 9.0])
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["norm"]
        norm = file.create_group("norm")
        norm.attrs["weight_names"] = ["mean:0", "variance:0", "count:0"]
        norm["mean:0"], norm["variance:0"], norm["count:0"] = mean, variance, 1
    load_h5_weights(model, str(path))
    pixels = IMAGES[:, :8, :8]
    np.testing.assert_allclose(
        model(pixels), (pixels - mean) / np.sqrt(variance), rtol=1e-5, atol=1e-6
    )


def test_shape_mismatch_is_named(tmp_path):
    path = write_h5(tmp_path / "w.h5", {"conv1": [np.ones((5, 5, 3, 4)), np.ones(4)]})
    with pytest.raises(
        UserError, match=r"layer conv1 .*\(5, 5, 3, 4\).*\(3, 3, 3, 4\)"
    ):
        load_h5_weights(_conv_model("conv1"), path)


def test_counted_names_may_start_anywhere_in_a_whole_file(tmp_path):
    # Official files of networks with counted names begin at 1, or at 95.
    arrays = [np.ones((3, 3, 3, 4)), np.ones(4)]
    path = write_h5(tmp_path / "w.h5", {"conv2d_95": arrays, "conv2d_96": arrays})
    load_h5_weights(_conv_model(), path, {"conv2d": 2})
    with pytest.raises(UserError, match="layers conv2d;"):
        load_h5_weights(_conv_model(), path, {"conv2d": 3})


@pytest.mark.parametrize("content", [b"", b"no HDF5 file", b"\x89HDF\r\n\x1a\n" * 9])
def test_corrupt_weights_file(tmp_path, content):
    path = tmp_path / "w.h5"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not an .h5 weights file") as error:
        load_h5_weights(_conv_model(), str(path))
    assert "\n" not in str(error.value)


def test_hdf5_file_of_another_layout(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(UserError, match="not an .h5 weights file"):
        load_h5_weights(_conv_model(), str(path))
