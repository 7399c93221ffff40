"""dfcvae_tf/perceptual/feature_extractor.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.feature_extractor import KerasFeatures


def _network(shape=(8, 8, 1)):
    layers = tf.keras.layers
    images = tf.keras.Input(shape)
    x = layers.Conv2D(4, 3, padding="same", name="conv1")(images)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Dropout(0.5, name="dropout")(x)
    x = layers.Add(name="add")([x, layers.ReLU(name="relu")(x)])
    x = layers.Conv2D(5, 3, name="conv2")(x)
    x = layers.Conv2D(6, 3, name="conv3")(x)
    network = tf.keras.Model(images, x, name="network")
    rng = np.random.default_rng(0)
    network.set_weights(
        [rng.uniform(0.1, 1.0, w.shape).astype("float32") for w in network.weights]
    )
    return network


def _images(shape=(2, 8, 8, 1)):
    return np.random.default_rng(1).uniform(size=shape).astype(np.float32)


def test_outputs_follow_the_order_asked_for_and_the_networks_inference_mode():
    network = _network()
    extractor = KerasFeatures("net", network, ("conv2", "add"))
    images = _images()

    conv2, add = extractor(images)

    expected = tf.keras.Model(
        network.inputs[0], [network.get_layer(n).output for n in ("conv2", "add")]
    )(images, training=False)
    np.testing.assert_allclose(conv2, expected[0], rtol=1e-6)
    np.testing.assert_allclose(add, expected[1], rtol=1e-6)


def test_deeper_layers_are_not_in_it():
    extractor = KerasFeatures("net", _network(), ("conv2",))
    assert [layer.name for layer in extractor.model.layers][-1] == "conv2"
    assert len(extractor.variables) == 8  # two convolutions, one batch norm


def test_nothing_changes_its_variables():
    network = _network()
    extractor = KerasFeatures("net", network, ("add", "conv2"))
    before = [v.numpy().copy() for v in extractor.variables]
    images = tf.Variable(_images())
    optimizer = tf.keras.optimizers.Adam(0.1)

    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_sum(f**2) for f in extractor(images)])
        # Only the images are watched, though all variables are used.
        assert len(tape.watched_variables()) == 1
        optimizer.apply_gradients([(tape.gradient(loss, images), images)])
    network.set_weights([np.zeros(w.shape) for w in network.weights])

    assert not extractor.model.trainable_variables
    for variable, value in zip(extractor.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_model_that_holds_it_does_not_track_it():
    class Holder(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.extractor = KerasFeatures("net", _network(), ("conv1",))

    holder = Holder()
    assert not holder.weights
    assert not tf.train.Checkpoint(model=holder).model.trainable_variables


def test_float32_whatever_the_policy():
    images = _images()
    expected = KerasFeatures("net", _network(), ("conv2",))(images)[0]
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        network = _network()  # its own layers compute in float16
        assert network(images).dtype == tf.float16
        extractor = KerasFeatures("net", network, ("conv2",))
        features = extractor(tf.cast(images, tf.float32))[0]
        half = extractor(tf.cast(images, tf.float16))[0]
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
    assert features.dtype == half.dtype == tf.float32
    np.testing.assert_allclose(features, expected, rtol=1e-6)


def _normalized(dtype="float32"):
    """A network whose first layer has adapted to images; -> network, mean, deviation."""
    data = np.random.default_rng(2).uniform(0.2, 0.6, (4, 8, 8, 3)).astype(np.float32)
    norm = tf.keras.layers.Normalization(name="norm", dtype=dtype)
    norm.adapt(data)
    images = tf.keras.Input((8, 8, 3))
    outputs = tf.keras.layers.Conv2D(2, 3, name="conv", dtype=dtype)(norm(images))
    return tf.keras.Model(images, outputs), data.mean((0, 1, 2)), data.std((0, 1, 2))


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_what_a_layer_has_adapted_to_is_copied(dtype):
    network, mean, deviation = _normalized(dtype)
    images = _images((2, 8, 8, 3))
    features = KerasFeatures("net", network, ("norm",))(images)[0]
    np.testing.assert_allclose(
        features, (images - mean) / deviation, atol=1e-4 if dtype == "float32" else 0.01
    )


class _Tripled(tf.keras.layers.Layer):
    """A layer with a state that is neither a weight nor in its config."""

    factor = 1.0

    def call(self, inputs):
        return inputs * self.factor


def test_a_copy_that_computes_something_else_is_refused():
    images = tf.keras.Input((None, None, 1))
    layer = _Tripled(name="tripled")
    layer.factor = 3.0
    network = tf.keras.Model(images, layer(images))
    with pytest.raises(UserError, match="^net cannot be copied: .* layer tripled of"):
        KerasFeatures("net", network, ("tripled",))


def test_gradient_reaches_the_images_through_resizing_and_preprocessing():
    extractor = KerasFeatures("net", _network((8, 8, 3)), ("add",), lambda x: x * 2)
    images = tf.constant(_images((2, 6, 5, 1)))
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(extractor(images)[0] ** 2)
    gradient = tape.gradient(loss, images).numpy()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient) > 0).all()


def test_grey_is_repeated_for_a_colour_network():
    extractor = KerasFeatures("net", _network((8, 8, 3)), ("conv1",))
    grey = _images()
    np.testing.assert_array_equal(
        extractor(grey)[0], extractor(np.repeat(grey, 3, axis=-1))[0]
    )


def test_colour_becomes_luma_for_a_grey_network():
    extractor = KerasFeatures("net", _network(), ("conv1",))
    rgb = _images((2, 8, 8, 3))
    luma = rgb @ np.array([[0.299], [0.587], [0.114]], np.float32)
    np.testing.assert_allclose(extractor(rgb)[0], extractor(luma)[0], rtol=1e-5)


def test_images_are_resized_only_where_the_network_has_a_fixed_size():
    fixed = KerasFeatures("net", _network((8, 8, 1)), ("conv1",))
    free = KerasFeatures("net", _network((None, None, 1)), ("conv1",))
    images = _images((2, 16, 12, 1))
    assert free(images)[0].shape == (2, 16, 12, 4)
    np.testing.assert_allclose(
        fixed(images)[0], fixed(tf.image.resize(images, (8, 8)))[0], rtol=1e-6
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_same_in_a_compiled_function(jit_compile):
    extractor = KerasFeatures("net", _network(), ("conv2",))
    images = _images((2, 12, 12, 3))
    function = tf.function(extractor, jit_compile=jit_compile)
    np.testing.assert_allclose(function(images)[0], extractor(images)[0], rtol=1e-4)


def test_works_in_a_replica():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    images = tf.constant(_images())
    with strategy.scope():
        extractor = KerasFeatures("net", _network(), ("conv2",))
    expected = KerasFeatures("net", _network(), ("conv2",))(images)[0]

    @tf.function
    def run():
        return strategy.run(lambda: extractor(images)[0])

    np.testing.assert_allclose(run(), expected, rtol=1e-5)
    assert not any(v.trainable for v in extractor.variables)


def test_unknown_layers_list_names_and_shapes():
    with pytest.raises(UserError) as error:
        KerasFeatures("net", _network(), ("conv9",))
    message = str(error.value)
    assert "'conv9'" in message
    assert "conv1 [8x8x4], norm [8x8x4]" in message
    assert "conv3 [4x4x6]" in message
    assert "\n" not in message


def test_no_layers_list_names_and_shapes():
    with pytest.raises(UserError, match=r"--perceptual_layers.*conv2 \[6x6x5\]"):
        KerasFeatures("net", _network(), ())


def test_integer_images_are_refused():
    inputs = tf.keras.Input((8, 8, 3), dtype="uint8")
    outputs = tf.keras.layers.Flatten(name="flat")(inputs)
    with pytest.raises(UserError, match="takes uint8 images"):
        KerasFeatures("net", tf.keras.Model(inputs, outputs), ("flat",))


def test_a_network_inside_the_network_is_no_layer():
    images = tf.keras.Input((8, 8, 1))
    outputs = tf.keras.layers.ReLU(name="relu")(_network()(images))
    network = tf.keras.Model(images, outputs)
    with pytest.raises(
        UserError, match=r"no layer 'network' .* it has: relu \[4x4x6\]"
    ):
        KerasFeatures("net", network, ("network",))


def test_a_layer_named_twice_is_refused():
    with pytest.raises(UserError, match="twice"):
        KerasFeatures("net", _network(), ("conv1", "conv1"))


def test_a_network_that_takes_no_image_is_refused():
    vectors = tf.keras.Input((3,))
    model = tf.keras.Model(vectors, tf.keras.layers.Dense(2, name="dense")(vectors))
    with pytest.raises(UserError, match="one image"):
        KerasFeatures("net", model, ("dense",))
    with pytest.raises(UserError, match="4 channels"):
        KerasFeatures("net", _network((8, 8, 4)), ("conv1",))
