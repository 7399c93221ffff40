"""`graphdef:PATH.pb`: a frozen TensorFlow graph, such as a distributed FaceNet.

A frozen graph is a GraphDef whose variables have become constants: what TensorFlow 1
wrote with `freeze_graph`. The networks of https://github.com/davidsandberg/facenet are
distributed as such files: https://github.com/davidsandberg/facenet/wiki.
"""

import difflib
import os
from collections import deque
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from dfcvae_tf.errors import UserError
from dfcvae_tf.perceptual import graph_operators
from dfcvae_tf.perceptual.feature_extractor import FeatureExtractor
from dfcvae_tf.perceptual.graph_operators import GraphDef, NodeDef
from dfcvae_tf.perceptual.preprocessing import whiten

InputShape = tuple[int | None, int | None, int]

# What the VAE of the facenet repository compares, where the graph has them.
DEFAULT_LAYERS = tuple(
    f"InceptionResnetV1/{layer}/Relu:0"
    for layer in ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
)
# FaceNet's graphs were frozen behind their input queue, whose shape they do not say.
_FACENET_SHAPE: InputShape = (160, 160, 3)

_INPUT = "input"
_PLACEHOLDERS = frozenset({"Placeholder", "PlaceholderV2"})
_WITH_DEFAULT = "PlaceholderWithDefault"
_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})
_LISTED = 5
# Protocol buffers hold no more.
_MAX_BYTES = 2**31


def build_graphdef(path: str, layers: tuple[str, ...]) -> FeatureExtractor:
    """Returns the network in a frozen graph as a feature extractor.

    Images are resized to the size of the graph's input and whitened one by one. The input
    is the tensor `input:0`, else the only placeholder for images; what comes before it in
    the file, such as a decoder of JPEG, is cut off. Boolean placeholders, such as
    `phase_train`, are false. Nothing of the file runs but the operators listed in
    `graph_operators.py`.

    Args:
      path: a .pb file.
      layers: names of tensors, with or without ":0"; empty for the default of a FaceNet.

    Raises:
      UserError: the file is missing or no frozen graph; the input is not one float32
        image; a tensor is unknown or not float32, or passes no gradient to the images; an
        operator is not on the list, or there are too many.
    """
    graph_def = _read(path)
    nodes = {node.name: node for node in graph_def.node}
    is_facenet = all(_node_name(layer) in nodes for layer in DEFAULT_LAYERS)
    if is_facenet and not layers:
        layers = DEFAULT_LAYERS
    if not layers:
        raise UserError(
            f"{path} has no default layers; choose --perceptual_layers (of a judge "
            "--judge_layers) from tensors like "
            + ", ".join(_tensors_to_choose(graph_def)[:_LISTED])
        )
    if len(set(layers)) < len(layers):
        raise UserError(f"a layer is named twice in {', '.join(layers)}")
    for layer in layers:
        if _node_name(layer) not in nodes:
            raise _unknown_tensor(path, layer, graph_def)

    tensors = [layer if ":" in layer else f"{layer}:0" for layer in layers]
    try:
        image = _find_input(path, graph_def)
        shape = _input_shape(path, image, is_facenet)
        graph_def = _needed_part(path, graph_def, image.name, layers)

        def import_graph(images: tf.Tensor) -> list[tf.Tensor]:
            return tf.graph_util.import_graph_def(
                graph_def, {f"{image.name}:0": images}, tensors, name="frozen"
            )

        with tf.Graph().as_default():
            images = tf.compat.v1.placeholder(tf.float32, (None, *shape))
            outputs = import_graph(images)
            for layer, output in zip(layers, outputs, strict=True):
                _check_differentiable(path, layer, output, images)
    # Operators that this TensorFlow lacks, inputs that are missing or do not fit each
    # other, attributes that are no dtypes, ...
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        tf.errors.OpError,
    ) as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise UserError(f"{path} cannot be used as a graph: {reason}") from error

    # Traced anew for images of another shape, so that the features' shape is known.
    network = tf.function(import_graph, reduce_retracing=True)
    return FeatureExtractor(
        f"graphdef:{path}",
        layers,
        network,
        shape,
        whiten,
        constants=lambda: _float_constants(graph_def),
    )


def _read(path: str) -> GraphDef:
    if not Path(path).is_file():
        raise UserError(
            f"no such file: {path}; --perceptual_model=graphdef:PATH.pb takes a frozen "
            "TensorFlow graph"
        )
    if os.path.getsize(path) >= _MAX_BYTES:
        raise UserError(f"{path} is no TensorFlow graph: it has 2 GiB or more")
    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(Path(path).read_bytes())
    except (DecodeError, OSError) as error:
        raise UserError(f"{path} is no TensorFlow graph ({error})") from error
    if not graph_def.node:
        raise UserError(
            f"{path} is no TensorFlow graph (a GraphDef): it has no operators; a "
            "SavedModel must be frozen first"
        )
    graph_operators.check_size(path, graph_def)
    return graph_def


def _find_input(path: str, graph_def: GraphDef) -> NodeDef:
    """Returns the node that stands for the images."""
    for node in graph_def.node:
        if node.name == _INPUT:
            return node
    found = [
        node
        for node in graph_def.node
        if (
            (node.op in _PLACEHOLDERS and _shape(node).rank in (None, 4))
            or (node.op == _WITH_DEFAULT and _shape(node).rank == 4)
        )
        and _dtype(node).is_floating
    ]
    if len(found) != 1:
        names = ", ".join(f"{node.name}:0" for node in found) or "none"
        raise UserError(
            f"{path} has no tensor {_INPUT}:0, and not one placeholder for images "
            f"[N, H, W, C] but {len(found)}: {names}"
        )
    return found[0]


def _input_shape(path: str, image: NodeDef, is_facenet: bool) -> InputShape:
    """Returns (H, W, C) of the input; H and W are None where any size goes."""
    if _dtype(image) != tf.float32:
        raise UserError(
            f"{path} takes {_dtype(image).name} at {image.name}:0; only float32 images "
            "have a gradient"
        )
    shape = _shape(image)
    if shape.rank is None:
        return _FACENET_SHAPE if is_facenet else (None, None, 3)
    if shape.rank != 4 or shape[3] not in (1, 3):
        raise UserError(
            f"{path} takes {shape} at {image.name}:0; it must be images [N, H, W, C] "
            "with 1 (grey) or 3 (RGB) channels in the last axis"
        )
    return tuple(shape[1:])


def _needed_part(
    path: str, graph_def: GraphDef, image: str, layers: tuple[str, ...]
) -> GraphDef:
    """Returns what lies between the images and the layers, without open ends.

    The images' node becomes a placeholder, whatever it was; boolean placeholders become
    constants, and branches that depend on them are decided.
    """
    part = graph_operators.without_control_inputs(graph_def)
    for node in part.node:
        if node.name == image:
            node.CopyFrom(_node(image, "Placeholder", dtype=tf.float32))
        elif node.op in (*_PLACEHOLDERS, _WITH_DEFAULT) and _dtype(node) == tf.bool:
            node.CopyFrom(_node(node.name, "Const", dtype=tf.bool, value=False))
    names = [_node_name(layer) for layer in layers]
    part = _up_to(names, _decide_branches(_up_to(names, part)))
    variables = [node.name for node in part.node if node.op in _VARIABLES]
    if variables:
        raise UserError(
            f"{path} is not frozen: {variables[0]} and {len(variables) - 1} more of its "
            "operators are variables, whose values are not in the file; freeze the graph "
            "with its checkpoint first"
        )
    graph_operators.check_waits(
        path,
        [node.name for node in part.node if node.name != image],
        graph_operators.control_inputs(graph_def.node),
        {node.name: node.op for node in graph_def.node},
    )
    part = graph_operators.only_allowed(path, part)
    open_ends = [
        node.name
        for node in part.node
        if node.op in _PLACEHOLDERS and node.name != image
    ]
    if open_ends:
        raise UserError(
            f"{path} needs values besides the images {image}:0: {', '.join(open_ends)}"
        )
    return part


def _up_to(names: list[str], graph_def: GraphDef) -> GraphDef:
    """Returns the named nodes and all that they depend on, in the order they had."""
    nodes = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    new = list(names)
    while new:
        name = new.pop()
        if name in nodes and name not in needed:
            needed.add(name)
            new += [_node_name(tensor) for tensor in nodes[name].input]
    part = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    part.node.extend(node for node in graph_def.node if node.name in needed)
    return part


def _decide_branches(graph_def: GraphDef) -> GraphDef:
    """Replaces Switch and Merge of TensorFlow 1, which XLA cannot compile.

    Those whose branch is decided by a constant pass on what comes by that branch.
    """
    nodes = {node.name: node for node in graph_def.node}

    def constant(tensor: str) -> bool | None:
        node = nodes[_node_name(tensor)]
        for _ in nodes:  # no chain of identities is longer, unless it is a circle
            if node.op != "Identity":
                break
            node = nodes[_node_name(node.input[0])]
        if node.op != "Const" or _dtype(node) != tf.bool:
            return None
        return bool(tf.make_ndarray(node.attr["value"].tensor))

    dead: set[str] = set()  # tensors that are never computed; "^NODE": nothing of it is

    def is_dead(tensor: str) -> bool:
        return tensor in dead or f"^{_node_name(tensor)}" in dead

    decided = {}  # node -> the tensor it passes on
    for node in _in_order(graph_def):
        if node.op == "Merge":
            live = [tensor for tensor in node.input if not is_dead(tensor)]
            if len(live) == 1:
                decided[node.name] = live[0]
            elif not live:
                dead.add(f"^{node.name}")
        elif any(is_dead(tensor) for tensor in node.input):
            dead.add(f"^{node.name}")
        elif node.op == "Switch" and constant(node.input[1]) is not None:
            decided[node.name] = node.input[0]
            # Output 0 is the false one; its ":0" is left out.
            dead.add(node.name if constant(node.input[1]) else f"{node.name}:1")
    for node in graph_def.node:
        if node.name in decided:
            value = decided[node.name]
            kind = tf.as_dtype(node.attr["T"].type)
            node.CopyFrom(_node(node.name, "Identity", T=kind))
            node.input.append(value)
        for index, tensor in enumerate(node.input):
            if _node_name(tensor) in decided:
                node.input[index] = _node_name(tensor)
    return graph_def


def _in_order(graph_def: GraphDef) -> list[NodeDef]:
    """Returns nodes behind those they depend on; without those in or behind a loop."""
    waiting = {
        node.name: len({_node_name(i) for i in node.input}) for node in graph_def.node
    }
    users: dict[str, list[NodeDef]] = {}
    for node in graph_def.node:
        for name in {_node_name(tensor) for tensor in node.input}:
            users.setdefault(name, []).append(node)
    ready = deque(node for node in graph_def.node if not waiting[node.name])
    ordered = []
    while ready:
        ordered.append(ready.popleft())
        for user in users.get(ordered[-1].name, ()):
            waiting[user.name] -= 1
            if not waiting[user.name]:
                ready.append(user)
    return ordered


def _check_differentiable(
    path: str, layer: str, output: tf.Tensor, images: tf.Tensor
) -> None:
    if output.dtype != tf.float32:
        raise UserError(
            f"{path}: {layer} is {output.dtype.name}; only float32 tensors can be layers"
        )
    reason = "an operator on the way, such as ArgMax, Round or a cast, has none"
    try:
        gradient = tf.gradients(output, images)[0]
    except LookupError as error:
        gradient, reason = None, str(error).strip().split("\n")[0]
    if gradient is None:
        raise UserError(
            f"{path}: {layer} passes no gradient to the images ({reason}); choose an "
            "earlier layer"
        )


def _float_constants(graph_def: GraphDef) -> list[np.ndarray]:
    constants = [node for node in graph_def.node if node.op == "Const"]
    return [
        tf.make_ndarray(node.attr["value"].tensor)
        for node in constants
        if _dtype(node).is_floating
    ]


def _unknown_tensor(path: str, layer: str, graph_def: GraphDef) -> UserError:
    names = _tensors_to_choose(graph_def)
    near = difflib.get_close_matches(layer, names, _LISTED, cutoff=0.0)
    return UserError(f"{path} has no tensor {layer!r}; nearest: {', '.join(near)}")


def _tensors_to_choose(graph_def: GraphDef) -> list[str]:
    """Returns the names of all tensors that are computed."""
    nodes = [node for node in graph_def.node if node.input]
    return [f"{node.name}:0" for node in nodes or graph_def.node]


def _node(name: str, op: str, value: object = None, **dtypes: tf.DType) -> NodeDef:
    """Makes a node with attributes that are dtypes and, of a constant, its value."""
    node = tf.compat.v1.NodeDef(name=name, op=op)
    for key, dtype in dtypes.items():
        node.attr[key].type = dtype.as_datatype_enum
    if value is not None:
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def _node_name(tensor: str) -> str:
    """NODE or NODE:1 -> NODE."""
    return tensor.partition(":")[0]


def _dtype(node: NodeDef) -> tf.DType:
    return tf.as_dtype(node.attr["dtype"].type or node.attr["T"].type)


def _shape(node: NodeDef) -> tf.TensorShape:
    """The shape that a node says it has, of unknown rank when it says none."""
    if "shape" in node.attr:
        return tf.TensorShape(node.attr["shape"].shape)
    return tf.TensorShape(None)
