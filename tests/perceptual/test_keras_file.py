"""dfcvae_tf/perceptual/keras_file.py"""

import json
import zipfile

import h5py
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.keras_file import build_keras_file, load_keras_file

IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 8, 1)).astype(np.float32)
SUFFIXES = ["keras", "h5"]


def _network(extra=None, channels=1):
    images = tf.keras.Input((8, 8, channels))
    x = tf.keras.layers.Conv2D(4, 3, name="conv1")(images)
    if extra is not None:
        x = extra(x)
    outputs = tf.keras.layers.Conv2D(5, 3, name="conv2")(x)
    return tf.keras.Model(images, outputs)


def _save(model, path):
    model.save(path)
    return str(path)


def _change_config(path, change):
    """Rewrites the model's description in a file; `change` maps text to text."""
    if path.endswith(".keras"):
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        text = entries["config.json"].decode()
        entries["config.json"] = change(text).encode()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return
    with h5py.File(path, "r+") as file:
        text = file.attrs["model_config"]
        file.attrs["model_config"] = change(text)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_features_equal_those_of_the_saved_model(tmp_path, suffix):
    network = _network()
    path = _save(network, tmp_path / f"net.{suffix}")
    extractor = build_keras_file(path, ("conv1", "conv2"), "-1_1")

    np.testing.assert_allclose(
        extractor(IMAGES)[1], network(IMAGES * 2.0 - 1.0), rtol=1e-4, atol=1e-5
    )
    assert extractor.name == f"file:{path}"
    assert not any(variable.trainable for variable in extractor.variables)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_an_inner_network_has_adapted_to_is_read(tmp_path, suffix):
    norm = tf.keras.layers.Normalization(name="norm")
    norm.adapt(IMAGES / 2)
    image = tf.keras.Input((8, 8, 1))
    inner = tf.keras.Model(image, norm(image), name="inner")
    outputs = tf.keras.layers.Activation("linear", name="same")(inner(image))
    path = _save(tf.keras.Model(image, outputs), tmp_path / f"net.{suffix}")
    features = build_keras_file(path, ("same",), "none")(IMAGES / 2)[0]
    np.testing.assert_allclose(
        features, (IMAGES - IMAGES.mean()) / IMAGES.std(), atol=1e-5
    )


def test_sequential_model(tmp_path):
    network = tf.keras.Sequential(
        [
            tf.keras.Input((8, 8, 1)),
            tf.keras.layers.Conv2D(3, 3, name="conv1"),
            tf.keras.layers.Flatten(name="flatten"),
        ]
    )
    path = _save(network, tmp_path / "net.keras")
    extractor = build_keras_file(path, ("flatten",), "none")
    np.testing.assert_allclose(extractor(IMAGES)[0], network(IMAGES), rtol=1e-5)


def test_unknown_and_missing_layers_list_names_and_shapes(tmp_path):
    path = _save(_network(), tmp_path / "net.keras")
    for layers in ((), ("conv3",)):
        with pytest.raises(UserError, match=r"conv1 \[6x6x4\], conv2 \[4x4x5\]"):
            build_keras_file(path, layers, "none")


def test_colour_preprocessing_for_a_grey_network_is_refused(tmp_path):
    path = _save(_network(), tmp_path / "net.keras")
    with pytest.raises(UserError, match="caffe is for RGB"):
        build_keras_file(path, ("conv1",), "caffe")
    rgb = _save(_network(channels=3), tmp_path / "rgb.keras")
    build_keras_file(rgb, ("conv1",), "caffe")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("nested", [False, True])
def test_a_lambda_layer_is_refused_and_not_run(tmp_path, suffix, nested):
    marker = str(tmp_path / "ran")
    extra = tf.keras.layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])
    if nested:
        extra = tf.keras.Sequential([tf.keras.Input((6, 6, 4)), extra])
    path = _save(_network(extra), tmp_path / f"net.{suffix}")
    (tmp_path / "ran").unlink()  # building the network ran it

    with pytest.raises(UserError, match="Lambda"):
        load_keras_file(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_any_tensorflow_function_as_a_layer_is_refused(tmp_path, suffix):
    path = _save(_network(), tmp_path / f"net.{suffix}")
    _change_config(path, lambda text: text.replace('"Conv2D"', '"TFOpLambda"', 1))
    with pytest.raises(UserError, match="TFOpLambda"):
        load_keras_file(path)


def test_foreign_modules_are_refused(tmp_path):
    path = _save(_network(), tmp_path / "net.keras")

    def change(text):
        config = json.loads(text)
        layer = config["config"]["layers"][1]
        layer["module"], layer["class_name"] = "subprocess", "Popen"
        return json.dumps(config)

    _change_config(path, change)
    with pytest.raises(UserError, match="subprocess"):
        load_keras_file(path)


@pytest.mark.parametrize(
    "layer",
    [
        # Each of these has run code or read a file at loading, in one Keras or another.
        {"module": "keras.layers", "class_name": "TFSMLayer"},
        {"module": "keras.layers", "class_name": "TorchModuleWrapper"},
        {"module": "keras.layers", "class_name": "StringLookup"},
        {"module": "keras.layers", "class_name": "TextVectorization"},
        {"module": "keras.utils", "class_name": "function", "config": "get_file"},
        {"module": "keras.src.saving.saving_lib", "class_name": "load_model"},
        {"module": "keras", "class_name": "__lambda__"},
        {"module": "keras.models", "class_name": "load_model"},
        {"module": "builtins", "class_name": "eval"},
        {"module": "kerasx.layers", "class_name": "Conv2D"},
        {"class_name": "StringLookup"},
    ],
    ids=lambda layer: layer["class_name"],
)
def test_a_class_that_is_not_on_the_list_is_refused(tmp_path, layer):
    path = _save(_network(), tmp_path / "net.keras")

    def change(text):
        config = json.loads(text)
        config["config"]["layers"][1]["config"]["activation"] = layer
        return json.dumps(config)

    _change_config(path, change)
    with pytest.raises(UserError, match=f"uses '{layer['class_name']}'.*no code"):
        load_keras_file(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truncated_foreign_and_missing_files(tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    with pytest.raises(UserError, match="no such file"):
        load_keras_file(str(path))
    whole = _save(_network(), path)
    content = path.read_bytes()
    for bad in (b"", b"neither of the two", content[: len(content) // 2]):
        path.write_bytes(bad)
        with pytest.raises(UserError) as error:
            load_keras_file(whole)
        assert "\n" not in str(error.value)


def test_damaged_weights_inside_a_sound_archive(tmp_path):
    path = _save(_network(), tmp_path / "net.keras")
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", config)
    with pytest.raises(UserError, match="cannot be loaded by Keras") as error:
        load_keras_file(path)
    assert "\n" not in str(error.value)


def test_a_file_of_weights_alone_is_no_model(tmp_path):
    path = tmp_path / "net.weights.h5"
    _network().save_weights(path)
    with pytest.raises(UserError, match="only weights"):
        load_keras_file(str(path))


def test_other_suffixes_are_refused(tmp_path):
    path = tmp_path / "net.pb"
    path.write_bytes(b"graph")
    with pytest.raises(UserError, match=r"not a .keras or .h5 file"):
        load_keras_file(str(path))
