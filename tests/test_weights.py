"""dfcvae_tf/weights.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.weights import draw, get_arrays, number_from_zero, set_arrays


def _model():
    inner = tf.keras.Sequential(
        [tf.keras.Input((4, 4, 2)), tf.keras.layers.BatchNormalization(name="norm")],
        name="inner",
    )
    images = tf.keras.Input((4, 4, 2))
    x = inner(images)
    x = tf.keras.layers.DepthwiseConv2D(3, use_bias=False, name="depthwise")(x)
    outputs = tf.keras.layers.Conv2D(3, 1, name="conv")(x)
    return tf.keras.Model(images, outputs, name="small")


def test_names_and_values_survive_a_round_trip():
    model, other = _model(), _model()
    arrays = get_arrays(model, "encoder/")
    assert {"encoder/conv/kernel", "encoder/conv/bias"} <= set(arrays)
    assert "encoder/inner/norm/moving_variance" in arrays
    assert len(arrays) == len(model.weights)

    changed = {name: np.full_like(array, 0.25) for name, array in arrays.items()}
    set_arrays(other, {**changed, "decoder/conv/kernel": np.zeros(1)}, "encoder/")

    for name, array in get_arrays(other, "encoder/").items():
        np.testing.assert_array_equal(array, changed[name], err_msg=name)


def _unnamed():
    layers = tf.keras.layers
    images = tf.keras.Input((4, 4, 2))
    x = layers.Conv2D(2, 1)(layers.Conv2D(2, 1)(images))
    x = tf.keras.Sequential([layers.Conv2D(2, 1), layers.Flatten(), layers.Dense(2)])(x)
    return tf.keras.Model(images, layers.Reshape((1, 2))(x))


def test_layers_without_names_are_named_by_class_and_place():
    first, second = _unnamed(), _unnamed()
    before = get_arrays(first)  # as Keras has counted them
    for model in (first, second):
        number_from_zero(model)
        draw(model, "model", 0)
    names = {"conv2d", "conv2d_1", "sequential/conv2d", "sequential/dense"}
    arrays = get_arrays(first)
    assert set(arrays) == {f"{name}/{w}" for name in names for w in ("kernel", "bias")}
    for name, array in get_arrays(second).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    top = {name: array for name, array in before.items() if "sequential" not in name}
    rest = {name: array for name, array in arrays.items() if "sequential" in name}
    set_arrays(second, {**top, **rest})
    for was, now in zip(before.values(), get_arrays(second).values(), strict=True):
        assert was.shape == now.shape
    for was, name in zip(top.values(), arrays, strict=False):
        np.testing.assert_array_equal(was, get_arrays(second)[name])


def test_weights_of_one_name_in_a_layer_are_numbered():
    images = tf.keras.Input((4, 2))
    layer = tf.keras.layers.MultiHeadAttention(1, 2, use_bias=False, name="attention")
    model = tf.keras.Model(images, layer(images, images))
    assert list(get_arrays(model)) == [
        f"attention/kernel{number}" for number in ("", "#2", "#3", "#4")
    ]


def test_arrays_are_copies():
    model = _model()
    arrays = get_arrays(model)
    before = arrays["conv/kernel"].copy()
    model.get_layer("conv").kernel.assign_add(tf.ones_like(before))
    np.testing.assert_array_equal(arrays["conv/kernel"], before)


def test_arrays_that_do_not_fit_are_named_and_change_nothing():
    model = _model()
    arrays = get_arrays(model)
    bad = {name: array + 1 for name, array in arrays.items()}
    del bad["conv/bias"]
    bad["conv/kernal"] = np.zeros(3)
    bad["inner/norm/gamma"] = np.zeros(5)

    with pytest.raises(UserError) as error:
        set_arrays(model, bad)

    message = str(error.value)
    assert "missing conv/bias" in message
    assert "unexpected conv/kernal" in message
    assert "inner/norm/gamma has shape (5,), not (2,)" in message
    for name, array in get_arrays(model).items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)


def test_arrays_that_are_no_numbers_are_refused():
    model = _model()
    arrays = get_arrays(model)
    arrays["conv/bias"] = np.array(["a", "b", "c"])
    with pytest.raises(UserError, match="conv/bias"):
        set_arrays(model, arrays)
