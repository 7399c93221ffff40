"""What GPUs take of a .tflite file, by its operators; see `accelerator` for one that does.

The limits are the stricter ones of LiteRT's two GPU backends, the older delegate
(tflite/delegates/gpu/common/model_builder.cc) and the one behind its `CompiledModel`
(ml_drift_delegate/tflite/model_builder.cc, August 2026; github.com/google-ai-edge/LiteRT).
"""

from typing import Any

from dfcvae_tf.exporting.tflite import builtin_names, schema

# Operator -> its highest version.
MOST_VERSION = {
    "ADD": 2,
    "AVERAGE_POOL_2D": 2,
    "CONCATENATION": 2,
    "CONV_2D": 6,
    "DEPTHWISE_CONV_2D": 6,
    "DEPTH_TO_SPACE": 2,
    "DEQUANTIZE": 3,
    "DIV": 2,
    "EXP": 2,
    "FULLY_CONNECTED": 9,
    "HARD_SWISH": 1,
    "LEAKY_RELU": 2,
    "LOG": 2,
    "LOGISTIC": 2,
    "MAXIMUM": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "MINIMUM": 2,
    "MIRROR_PAD": 2,
    "MUL": 3,
    "NEG": 2,
    "PAD": 2,
    "POW": 2,
    "PRELU": 1,
    "QUANTIZE": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 3,
    "RESIZE_NEAREST_NEIGHBOR": 3,
    "RSQRT": 2,
    "SLICE": 2,
    "SOFTMAX": 2,
    "SPACE_TO_DEPTH": 2,
    "SQRT": 2,
    "SQUARE": 2,
    "SQUARED_DIFFERENCE": 2,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "SUM": 2,
    "TANH": 2,
    "TILE": 2,
    "TRANSPOSE": 4,
    "TRANSPOSE_CONV": 3,
}
_MOST_RANK = 4


def refusals(model: bytes) -> list[str]:
    """Returns what GPUs refuse of a .tflite file, in words; [] of one that they take.

    Args:
      model: the file.
    """
    content = schema().ModelT.InitFromPackedBuf(model, 0)
    found: dict[str, None] = {}
    for graph in content.subgraphs:
        for operator in graph.operators:
            code = content.operatorCodes[operator.opcodeIndex]
            places = (*operator.inputs, *operator.outputs)
            tensors = [graph.tensors[place] for place in places if place >= 0]
            found |= dict.fromkeys(_of_operator(code, operator, tensors))
    return list(found)


def _of_operator(code: Any, operator: Any, tensors: list[Any]) -> list[str]:
    name = builtin_names()[code.builtinCode]
    if name not in MOST_VERSION:
        return [name]
    found = []
    if code.version > MOST_VERSION[name]:
        most = MOST_VERSION[name]
        found.append(f"{name} of version {code.version} (up to {most} would do)")
    mode = getattr(operator.builtinOptions, "mode", None)
    if name == "MIRROR_PAD" and mode != schema().MirrorPadMode.REFLECT:
        found.append("MIRROR_PAD that is not REFLECT")
    rank = max((len(t.shape) for t in tensors if t.shape is not None), default=0)
    if rank > _MOST_RANK:
        found.append(f"{name} of rank {rank} (up to {_MOST_RANK} would do)")
    if any(t.shapeSignature is not None and -1 in t.shapeSignature for t in tensors):
        found.append(f"{name} of any number of rows")
    return found
