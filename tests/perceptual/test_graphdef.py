"""dfcvae_tf/perceptual/graphdef.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual.graphdef import DEFAULT_LAYERS, build_graphdef

v1 = tf.compat.v1
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
IMAGES = RNG.uniform(size=(2, 8, 8, 3)).astype(np.float32)
SHAPE = (None, 8, 8, 3)


def write(path, build):
    """Writes the graph that `build` makes, as TensorFlow 1 made it, and returns its path."""
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            build()
    finally:
        v1.enable_control_flow_v2()
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return str(path)


def images_at(name="input", shape=SHAPE, dtype=tf.float32):
    return v1.placeholder(dtype, shape, name=name)


def conv(x):
    return tf.nn.conv2d(x, KERNEL, 1, "SAME", name="net/conv")


@pytest.fixture(name="plain")
def _plain(tmp_path):
    return write(
        tmp_path / "net.pb", lambda: tf.nn.relu(conv(images_at()), name="net/relu")
    )


@pytest.fixture(name="stem")
def _stem(shared_data):
    path = shared_data / "weights" / "facenet_stem.pb"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return str(path)


def whitened(images):
    return tf.image.per_image_standardization(images * 255.0)


def test_layers_are_those_of_the_graph_for_whitened_images(plain):
    extractor = build_graphdef(plain, ("net/relu", "net/conv:0"))
    relu, convolved = extractor(IMAGES)
    expected = tf.nn.conv2d(whitened(IMAGES), KERNEL, 1, "SAME")
    np.testing.assert_allclose(convolved, expected, atol=1e-4)
    np.testing.assert_allclose(relu, tf.nn.relu(expected), atol=1e-4)
    assert extractor.layers == ("net/relu", "net/conv:0")
    assert extractor.variables == ()


def test_images_are_resized_and_grey_repeated_before_whitening(plain):
    extractor = build_graphdef(plain, ("net/conv",))
    grey = RNG.uniform(size=(2, 4, 6, 1)).astype(np.float32)
    resized = tf.repeat(tf.image.resize(grey, (8, 8)), 3, axis=-1)
    expected = tf.nn.conv2d(whitened(resized), KERNEL, 1, "SAME")
    np.testing.assert_allclose(extractor(grey)[0], expected, atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_gradient_is_that_of_finite_differences(plain, jit_compile):
    extractor = build_graphdef(plain, ("net/relu",))
    images = tf.constant(RNG.uniform(size=(1, 6, 6, 3)), tf.float32)
    direction = RNG.normal(size=images.shape).astype(np.float32)

    def loss(x):
        return tf.reduce_sum(extractor(x)[0] ** 2)

    @tf.function(jit_compile=jit_compile)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return tape.gradient(value, x)

    slope = (loss(images + 1e-3 * direction) - loss(images - 1e-3 * direction)) / 2e-3
    np.testing.assert_allclose(
        np.sum(gradient(images) * direction), slope, rtol=0.01, atol=0.5
    )


def test_a_network_for_training_and_inference_is_used_for_inference(tmp_path):
    """As FaceNet is distributed: behind its queue, with phase_train to be fed."""
    statistics = np.full(4, 2.0, np.float32), np.full(4, 3.0, np.float32)

    def build():
        queue = v1.FIFOQueue(8, [tf.float32], name="queue")
        x = tf.identity(queue.dequeue(), name="input")
        x.set_shape(SHAPE)
        training = v1.placeholder(tf.bool, [], name="phase_train")
        x = conv(x)
        mean, variance = v1.cond(
            training, lambda: tf.nn.moments(x, (0, 1, 2)), lambda: statistics
        )
        tf.nn.relu((x - mean) / tf.sqrt(variance), name="net/relu")
        v1.placeholder(tf.int32, [], name="batch_size")

    path = write(tmp_path / "net.pb", build)
    extractor = build_graphdef(path, ("net/relu",))

    @tf.function(jit_compile=True)  # XLA takes no branches of TensorFlow 1
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            feature = extractor(x)[0]
        return feature, tape.gradient(feature, x)

    def expected(x):
        return tf.nn.relu(
            (tf.nn.conv2d(whitened(x), KERNEL, 1, "SAME") - 2.0) / np.sqrt(3.0)
        )

    x = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = expected(x)
    feature, slope = gradient(x)
    np.testing.assert_allclose(feature, value, atol=1e-4)
    np.testing.assert_allclose(slope, tape.gradient(value, x), rtol=1e-3, atol=1e-3)


def test_the_only_placeholder_for_images_is_the_input(tmp_path):
    def build(names=("pictures",)):
        v1.placeholder(tf.float32, [3], name="vector")
        for name in names:
            tf.nn.relu(images_at(name, (None, None, None, 1)), name=f"net/{name}")

    extractor = build_graphdef(write(tmp_path / "1.pb", build), ("net/pictures",))
    assert extractor(IMAGES[..., :1])[0].shape == (2, 8, 8, 1)
    with pytest.raises(UserError, match="but 2: a:0, b:0"):
        path = write(tmp_path / "2.pb", lambda: build(("a", "b")))
        build_graphdef(path, ("net/a",))


def test_facenet_stem_has_default_layers_and_its_size(stem):
    extractor = build_graphdef(stem, ())
    assert extractor.layers == DEFAULT_LAYERS
    images = tf.constant(RNG.uniform(size=(2, 64, 64, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        features = extractor(images)
        loss = tf.add_n([tf.reduce_sum(f) for f in features])
    assert [tuple(f.shape[1:]) for f in features] == [
        (79, 79, 32),
        (77, 77, 32),
        (77, 77, 64),
    ]
    gradient = tape.gradient(loss, images).numpy()
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_works_in_a_replica(plain):
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    extractor = build_graphdef(plain, ("net/relu",))

    @tf.function
    def run():
        return strategy.run(lambda: extractor(tf.constant(IMAGES))[0])

    np.testing.assert_allclose(run(), extractor(IMAGES)[0], rtol=1e-5)


def test_unknown_tensor_names_the_nearest(plain):
    with pytest.raises(UserError, match="no tensor 'net/rulu:0'; nearest: net/relu:0"):
        build_graphdef(plain, ("net/rulu:0",))
    with pytest.raises(UserError, match="--perceptual_layers from.*net/relu:0"):
        build_graphdef(plain, ())


def argmax(x):
    tf.cast(tf.argmax(x, -1), tf.float32, name="net/out")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (argmax, "net/out passes no gradient .*ArgMax"),
        (lambda x: tf.argmax(x, -1, name="net/out"), "net/out is int64; only float32"),
        (
            lambda x: tf.multiply(x, v1.get_variable("scale", [3]), name="net/out"),
            "is not frozen: scale",
        ),
        (
            lambda x: tf.multiply(x, v1.placeholder(tf.float32, []), name="net/out"),
            "needs values besides the images input:0: Placeholder",
        ),
    ],
)
def test_graphs_that_cannot_serve_say_why(tmp_path, build, message):
    path = write(tmp_path / "net.pb", lambda: build(images_at()))
    with pytest.raises(UserError, match=message) as error:
        build_graphdef(path, ("net/out",))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        (SHAPE, tf.uint8, "takes uint8 at input:0"),
        ((None, 3, 8, 8), tf.float32, "channels in the last axis"),
        ((None, 8), tf.float32, "channels in the last axis"),
    ],
)
def test_an_input_that_is_no_image_is_refused(tmp_path, shape, dtype, message):
    def build():
        tf.identity(images_at("input", shape, dtype), name="net/out")

    with pytest.raises(UserError, match=message):
        build_graphdef(write(tmp_path / "net.pb", build), ("net/out",))


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x0a\xff\xff"])
def test_a_file_that_is_no_graph(tmp_path, content):
    path = tmp_path / "net.pb"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no TensorFlow graph") as error:
        build_graphdef(str(path), ("net/out",))
    assert "\n" not in str(error.value)


def test_missing_file_and_unknown_operator(tmp_path, plain):
    with pytest.raises(UserError, match=r"no such file: .*graphdef:PATH\.pb"):
        build_graphdef(str(tmp_path / "no.pb"), ())
    graph = v1.GraphDef()
    path = tmp_path / "net.pb"
    graph.ParseFromString(path.read_bytes())
    graph.node[-1].op = "NoSuchOperator"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(UserError, match="NoSuchOperator") as error:
        build_graphdef(str(path), ("net/relu",))
    assert "\n" not in str(error.value)
