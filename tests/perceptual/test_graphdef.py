"""dfcvae_tf/perceptual/graphdef.py"""

import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual import graph_operators
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
    with pytest.raises(UserError, match="--perceptual_layers .* from .*net/relu:0"):
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


def _write_file(path):
    return tf.io.write_file(str(path), "written")


def by_control(operator):
    """A network that waits for an operator; `operator` gets the marker's path."""

    def build(marker):
        with tf.control_dependencies([operator(marker)]):
            tf.nn.relu(conv(images_at()), name="net/out")

    return build


def by_value(operator):
    """A network whose values pass through an operator."""

    def build(marker):
        tf.identity(operator(tf.nn.relu(conv(images_at())), marker), name="net/out")

    return build


def debugged(x, marker):
    return tf.raw_ops.DebugIdentityV2(
        input=x, debug_urls=[f"file://{marker}"], tensor_debug_mode=2
    )


def read_from_disk(x, marker):
    marker.write_text("1")
    return x * tf.strings.to_number(tf.io.read_file(str(marker)))


def by_table(marker):
    marker.with_suffix(".txt").write_text("a b")
    return tf.raw_ops.InitializeTableFromTextFileV2(
        table_handle=tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64),
        filename=str(marker.with_suffix(".txt")),
        key_index=-2,
        value_index=-1,
    )


def in_function(x, marker):
    @tf.function(autograph=False)
    def inner(values):
        with tf.control_dependencies([_write_file(marker)]):
            return tf.identity(values)

    return inner(x)


HOSTILE = {
    "WriteFile": by_control(_write_file),
    "WriteFile behind a group": by_control(lambda path: tf.group(_write_file(path))),
    "PrintV2": by_control(lambda path: tf.print("x", output_stream=f"file://{path}")),
    "SaveV2": by_control(
        lambda path: tf.raw_ops.SaveV2(
            prefix=str(path), tensor_names=["x"], shape_and_slices=[""], tensors=[1.0]
        )
    ),
    "InitializeTableFromTextFileV2": by_control(by_table),
    "DebugIdentityV2": by_value(debugged),
    "ReadFile": by_value(read_from_disk),
    "PyFunc": by_value(
        lambda x, path: tf.numpy_function(
            lambda y: (path.write_text("ran"), y)[1], [x], tf.float32
        )
    ),
    "WriteFile in a function": by_value(in_function),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_operator_that_is_not_on_the_list_is_named_and_not_run(tmp_path, name):
    marker = tmp_path / "marker"
    path = write(tmp_path / "net.pb", lambda: HOSTILE[name](marker))
    before = {p.name for p in tmp_path.iterdir()}
    with pytest.raises(
        UserError, match=rf"operator {name.split()[0]} \(.*refused"
    ) as error:
        build_graphdef(path, ("net/out",))
    assert "\n" not in str(error.value)
    assert {p.name for p in tmp_path.iterdir()} == before


def test_the_list_has_no_operator_with_effects():
    """TensorFlow marks operators with effects; what it calls stateful here has none."""
    from tensorflow.python.framework import op_def_registry

    stateful = {
        name
        for name in graph_operators.ALLOWED
        if (op := op_def_registry.get(name)) is None or op.is_stateful
    }
    # A call, whose function is checked; the other one only checks.
    assert stateful == {"If", "StatefulPartitionedCall"}
    for name in graph_operators.ALLOWED:
        arguments = op_def_registry.get(name).input_arg
        assert not any(a.type == tf.string.as_datatype_enum for a in arguments), name


def changed(path, change):
    """Rewrites a graph file; returns its path."""
    graph = v1.GraphDef()
    with open(path, "rb") as file:
        graph.ParseFromString(file.read())
    change(graph)
    with open(path, "wb") as file:
        file.write(graph.SerializeToString())
    return path


def test_devices_private_attributes_and_gradients_of_the_file_do_not_count(plain):
    def change(graph):
        for node in graph.node:
            node.device = "/job:worker/task:7/device:GPU:3"
            node.attr["_class"].list.s.append(b"loc:@elsewhere")
            node.attr["_gradient_op_type"].s = b"NoSuchGradient"
            node.input.append("^net/conv") if node.op == "Relu" else None
        graph.library.gradient.add(function_name="Relu", gradient_func="elsewhere")

    expected = build_graphdef(plain, ("net/relu",))(IMAGES)[0]
    extractor = build_graphdef(changed(plain, change), ("net/relu",))
    np.testing.assert_array_equal(extractor(IMAGES)[0], expected)


def test_pure_functions_are_called_and_have_a_gradient(tmp_path):
    def build():
        doubled = tf.function(lambda x: 2.0 * tf.nn.relu(x), autograph=False)
        tf.identity(doubled(conv(images_at())), name="net/out")

    extractor = build_graphdef(write(tmp_path / "net.pb", build), ("net/out",))
    images = tf.constant(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        found = extractor(images)[0]
        expected = 2.0 * tf.nn.relu(tf.nn.conv2d(whitened(images), KERNEL, 1, "SAME"))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(
        tape.gradient(found, images), tape.gradient(expected, images), atol=1e-2
    )


def test_what_comes_before_the_images_is_cut_off(tmp_path):
    """As a graph for serving is frozen: decoding and checks before the network."""

    def build():
        encoded = v1.placeholder(tf.string, [], name="encoded")
        decoded = tf.io.decode_jpeg(encoded, channels=3)
        check = tf.raw_ops.Assert(
            condition=tf.shape(decoded)[0] > 0, data=["no image"], summarize=3
        )
        with tf.control_dependencies([check]):
            resized = tf.image.resize(tf.cast(decoded, tf.float32)[tf.newaxis], (8, 8))
        x = tf.identity(resized, name="input")
        with tf.control_dependencies([check, decoded]):
            tf.nn.relu(conv(x), name="net/out")

    extractor = build_graphdef(write(tmp_path / "net.pb", build), ("net/out",))
    expected = tf.nn.relu(tf.nn.conv2d(whitened(IMAGES), KERNEL, 1, "SAME"))
    np.testing.assert_allclose(extractor(IMAGES)[0], expected, atol=1e-4)


def resource_input(graph):
    graph.node[-1].attr["T"].type = tf.resource.as_datatype_enum


def circle_of_functions(graph):
    for name, other in (("one", "two"), ("two", "one")):
        function = graph.library.function.add()
        function.signature.name = name
        function.node_def.add(name="call", op=other)
    graph.node[-1].op = "one"


def tower_of_functions(graph):
    """Few functions that would be very many operators: each calls the next twice."""
    for level in range(40):
        function = graph.library.function.add()
        function.signature.name = f"f{level}"
        for half in "ab" if level < 39 else "":
            function.node_def.add(name=half, op=f"f{level + 1}")
        function.node_def.add(name="c", op="Relu")
    graph.node[-1].op = "f0"


def very_many_nodes(graph):
    relu = graph.node.pop()
    last = relu.input[0]
    for number in range(50_000):
        node = graph.node.add(name=f"x{number}", op="Identity", input=[last])
        node.attr["T"].type = tf.float32.as_datatype_enum
        last = node.name
    relu.input[0] = last
    graph.node.append(relu)


def circle_of_nodes(graph):
    graph.node[-1].input[0] = graph.node[-1].name


def missing_input(graph):
    graph.node[-1].input[0] = "elsewhere"


def no_dtype(graph):
    for node in graph.node:
        node.attr.clear()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (resource_input, r"net/relu \(Relu\) works on resource values"),
        (circle_of_functions, "the function one calls itself"),
        (tower_of_functions, "at most 20,000"),
        (very_many_nodes, "50,0.. operators or more; at most 20,000"),
        (circle_of_nodes, "cannot be used as a graph"),
        (missing_input, "cannot be used as a graph"),
        (no_dtype, "cannot be used as a graph"),
    ],
)
def test_odd_graphs_are_one_line(plain, change, message):
    with pytest.raises(UserError, match=message) as error:
        build_graphdef(changed(plain, change), ("net/relu",))
    assert "\n" not in str(error.value)


def small_network(size):
    """Much of what networks of images are made of, in a few layers."""
    layers = tf.keras.layers
    images = tf.keras.Input((size, size, 3))
    x = layers.ZeroPadding2D(1)(images)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=6)(x)
    a = layers.AveragePooling2D(3, strides=1, padding="same")(x)
    b = layers.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    c = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(
        layers.MaxPooling2D()(x)
    )
    x = layers.Concatenate()([a, b, layers.Cropping2D(((0, 0), (0, 0)))(c)])
    x = layers.LeakyReLU()(layers.UpSampling2D()(x))
    x = layers.Multiply()([x, layers.Dense(12, "sigmoid")(x)])
    x = layers.Reshape((-1, 12))(x)
    x = layers.LayerNormalization()(x)
    return tf.keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def mobile_net(size):
    return tf.keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(size, size, 3)
    )


@pytest.mark.parametrize(
    ("network", "size"),
    [(small_network, 16), pytest.param(mobile_net, 32, marks=pytest.mark.slow)],
)
def test_networks_of_keras_frozen_as_they_are(tmp_path, network, size):
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    model = network(size)
    spec = tf.TensorSpec((None, size, size, 3), tf.float32, name="input")
    function = tf.function(lambda x: model(x, training=False))
    frozen = convert_variables_to_constants_v2(function.get_concrete_function(spec))
    path = tmp_path / "net.pb"
    path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
    extractor = build_graphdef(str(path), (frozen.outputs[0].op.inputs[0].name,))
    images = RNG.uniform(size=(2, size, size, 3)).astype(np.float32)
    np.testing.assert_allclose(
        extractor(images)[0], model(whitened(images)), rtol=1e-3, atol=1e-4
    )
