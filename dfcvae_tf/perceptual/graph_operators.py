"""Which operators of a frozen graph from elsewhere may run: pure functions of tensors.

A graph is a program, and TensorFlow has operators that write files, call Python or read
what is on the disk. So a graph is taken only when every operator between the images and
the layers, also in functions, is on a list.
"""

import typing
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf

from dfcvae_tf.errors import UserError

# Generated classes, of which type checkers know nothing.
GraphDef: typing.TypeAlias = typing.Any
NodeDef: typing.TypeAlias = typing.Any
FunctionDef: typing.TypeAlias = typing.Any

# In a file, and again with every call of a function counted as its body. Networks have
# some thousands.
MAX_NODES = 20_000
# Of functions that call functions.
MAX_DEPTH = 50

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf"})
# How a call is carried out, which is not for the file to say.
_CALL_OPTIONS = ("config", "config_proto", "executor_type")
_OPERATORS = {
    "Values": (
        "Const Placeholder PlaceholderV2 PlaceholderWithDefault Identity IdentityN "
        "Snapshot StopGradient PreventGradient EnsureShape Switch Merge Cast"
    ),
    "Arithmetic": (
        "Abs Add AddN AddV2 BiasAdd BiasAddV1 Ceil ClipByValue Cos Cumprod Cumsum Div "
        "DivNoNan Erf Erfc Exp Expm1 Floor FloorDiv FloorMod Inv Log Log1p Maximum "
        "Minimum Mod Mul MulNoNan Neg Pow RealDiv Reciprocal Rint Round Rsqrt Sign "
        "Sin Sqrt Square SquaredDifference Sub Tan TruncateDiv Xdivy Xlogy"
    ),
    "Comparisons": (
        "Equal Greater GreaterEqual IsFinite IsInf IsNan Less LessEqual LogicalAnd "
        "LogicalNot LogicalOr NotEqual Select SelectV2 Where"
    ),
    "Activations": (
        "Elu LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign "
        "Tanh"
    ),
    "Convolutions, products, pooling": (
        "AvgPool BatchMatMul BatchMatMulV2 BatchMatMulV3 Conv2D Conv2DBackpropInput "
        "DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput Dilation2D Einsum "
        "LRN MatMul MaxPool MaxPoolV2 MaxPoolWithArgmax"
    ),
    "Normalization, quantization": (
        "BatchNormWithGlobalNormalization FakeQuantWithMinMaxArgs "
        "FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm "
        "FusedBatchNormV2 FusedBatchNormV3 L2Loss"
    ),
    "Reductions": ("All Any ArgMax ArgMin Max Mean Min Prod Sum TopKV2"),
    "Shapes and places": (
        "BatchToSpace BatchToSpaceND BroadcastArgs BroadcastTo Concat ConcatOffset "
        "ConcatV2 DepthToSpace ExpandDims Fill Gather GatherNd GatherV2 "
        "InvertPermutation MirrorPad OneHot OnesLike Pack Pad PadV2 Range Rank "
        "Reshape Reverse ReverseV2 Roll Shape ShapeN Size Slice SpaceToBatch "
        "SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice Tile Transpose "
        "Unpack ZerosLike"
    ),
    "Sizes of images": (
        "CropAndResize ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor"
    ),
}
ALLOWED = _CALLS.union(*(names.split() for names in _OPERATORS.values()))
# What a network may wait for besides: it is not computed, and nothing is lost by it.
_NOT_WAITED_FOR = ALLOWED | {
    "Assert",
    "CheckNumerics",
    "DecodeBmp",
    "DecodeGif",
    "DecodeImage",
    "DecodeJpeg",
    "DecodePng",
    "FIFOQueueV2",
    "NoOp",
    "QueueDequeueManyV2",
    "QueueDequeueUpToV2",
    "QueueDequeueV2",
    "RandomShuffleQueueV2",
    "RandomUniform",
}
_NUMBERS = frozenset(
    {
        tf.bool,
        tf.float16,
        tf.bfloat16,
        tf.float32,
        tf.float64,
        tf.int8,
        tf.int16,
        tf.int32,
        tf.int64,
        tf.uint8,
        tf.uint16,
        tf.uint32,
        tf.uint64,
    }
)
_NUMBER_TYPES = frozenset(dtype.as_datatype_enum for dtype in _NUMBERS)


def check_size(path: str, graph_def: GraphDef) -> None:
    """Raises UserError when a file has more operators than any network of images."""
    count = len(graph_def.node)
    count += sum(len(function.node_def) for function in graph_def.library.function)
    if count > MAX_NODES:
        raise _too_large(path, count)


def control_inputs(nodes: Iterable[NodeDef]) -> dict[str, list[str]]:
    """Returns node name -> names of the nodes it only waits for ("^NAME")."""
    return {
        node.name: [name[1:] for name in node.input if name.startswith("^")]
        for node in nodes
    }


def without_control_inputs(graph_def: GraphDef) -> GraphDef:
    """Returns a graph whose nodes wait for nothing but their inputs.

    Order is all that control inputs give, and pure operators need none.
    """
    plain = tf.compat.v1.GraphDef()
    plain.CopyFrom(graph_def)
    for node in plain.node:
        _drop_control_inputs(node)
    return plain


def check_waits(
    path: str,
    names: Iterable[str],
    waits: Mapping[str, list[str]],
    operator_of: Mapping[str, str],
) -> None:
    """Checks what a network would have waited for.

    None of it runs; but a network that waits for a file to be written is no network.

    Args:
      path: the file.
      names: of the nodes of the network.
      waits: as `control_inputs` returns it, of the whole graph.
      operator_of: node name -> operator, of the whole graph.

    Raises:
      UserError: it is anything but a check, a decoder, a queue or a listed operator.
    """
    new, seen = [wait for name in names for wait in waits.get(name, ())], set()
    while new:
        name = new.pop()
        if name in seen:
            continue
        seen.add(name)
        operator = operator_of.get(name, "NoOp")
        if operator not in _NOT_WAITED_FOR:
            raise _refused(path, name, operator)
        new += waits.get(name, ())


def only_allowed(path: str, graph_def: GraphDef) -> GraphDef:
    """Returns a graph that is nothing but listed operators on numbers.

    Its functions are those it calls. Devices, control inputs, private attributes and
    gradients that the file defines are left out.

    Args:
      path: the file, for messages.
      graph_def: the part of the graph that is needed.

    Raises:
      UserError: an operator, also one in a function, is not on the list or works on
        something else than numbers; a function is missing or calls itself; or the graph
        is too large.
    """
    pure = tf.compat.v1.GraphDef(versions=graph_def.versions)
    pure.node.extend(graph_def.node)
    functions = {f.signature.name: f for f in graph_def.library.function}
    calls = _Calls(path, functions)
    count = sum(calls.check_node(node) for node in pure.node)
    if count > MAX_NODES:
        raise _too_large(path, count)
    called = [functions[name] for name in calls.sizes]
    for nodes in (pure.node, *(function.node_def for function in called)):
        _check_numbers(path, nodes)
    for name in calls.sizes:
        pure.library.function.append(functions[name])
        function = pure.library.function[-1]
        for node in function.node_def:
            _strip(node)
        function.attr.clear()
        function.arg_attr.clear()
        function.control_ret.clear()
        del function.signature.control_output[:]
    for node in pure.node:
        _strip(node)
    return pure


class _Calls:
    """Walks through functions.

    Attributes:
      sizes: name of a checked function -> its operators, those of its calls included.
    """

    def __init__(self, path: str, functions: Mapping[str, FunctionDef]):
        self.sizes: dict[str, int] = {}
        self._path = path
        self._functions = functions
        self._open: set[str] = set()

    def check_node(self, node: NodeDef) -> int:
        """Returns how many operators a node is: 1, and those it calls."""
        if node.op not in ALLOWED and node.op not in self._functions:
            raise _refused(self._path, node.name, node.op)
        called = list(_called(node))
        if node.op in self._functions:
            called.append(node.op)
        return 1 + sum(self._check_function(name, node) for name in called)

    def _check_function(self, name: str, caller: NodeDef) -> int:
        if name not in self._functions:
            raise UserError(
                f"{self._path}: {caller.name} calls the function {name}, which is not "
                "in the file"
            )
        if name in self._open:
            raise UserError(f"{self._path}: the function {name} calls itself")
        if len(self._open) == MAX_DEPTH:
            raise UserError(
                f"{self._path}: functions call each other more than {MAX_DEPTH} deep"
            )
        if name not in self.sizes:
            function = self._functions[name]
            self._open.add(name)
            size = sum(self.check_node(node) for node in function.node_def)
            self._open.remove(name)
            self.sizes[name] = size
        return self.sizes[name]


def _check_numbers(path: str, nodes: Iterable[NodeDef]) -> None:
    """Raises UserError when a node works on anything but numbers."""
    for node in nodes:
        for attribute in node.attr.values():
            types = [attribute.type] if attribute.type else []
            types += attribute.list.type
            if attribute.HasField("tensor"):
                types.append(attribute.tensor.dtype)
            for kind in types:
                if kind not in _NUMBER_TYPES:
                    raise UserError(
                        f"{path}: {node.name} ({node.op}) works on {_type_name(kind)} "
                        "values; a network of images has only numbers"
                    )


def _called(node: NodeDef) -> Iterator[str]:
    for attribute in node.attr.values():
        if attribute.HasField("func"):
            yield attribute.func.name
        yield from (function.name for function in attribute.list.func)


def _strip(node: NodeDef) -> None:
    """Leaves a node's operator, inputs and public attributes."""
    _drop_control_inputs(node)
    node.device = ""
    node.ClearField("experimental_debug_info")
    private = [key for key in node.attr if key.startswith("_")]
    options = _CALL_OPTIONS if node.op in _CALLS else ()
    for key in (*private, *(key for key in options if key in node.attr)):
        del node.attr[key]


def _drop_control_inputs(node: NodeDef) -> None:
    inputs = [name for name in node.input if not name.startswith("^")]
    if len(inputs) < len(node.input):
        del node.input[:]
        node.input.extend(inputs)


def _refused(path: str, name: str, operator: str) -> UserError:
    return UserError(
        f"{path}: the operator {operator} ({name}) is refused: of a file, only operators "
        "run that compute numbers from numbers, as networks of images need them"
    )


def _too_large(path: str, count: int) -> UserError:
    return UserError(
        f"{path} has {min(count, 10**12):,} operators or more; at most {MAX_NODES:,} are "
        "taken, networks of images have some thousands"
    )


def _type_name(kind: int) -> str:
    try:
        return tf.as_dtype(kind).name
    except TypeError:
        return f"type {kind}"
