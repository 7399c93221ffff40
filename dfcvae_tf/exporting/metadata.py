"""TFLite Metadata: what a .tflite file says of itself to tools that read it.

The fields are those of metadata_schema.fbs in github.com/google-ai-edge/mediapipe,
mediapipe/tasks/metadata. No package writes them for today's Python: here a table is
the numbers of its fields with what they hold.
"""

from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np

from dfcvae_tf.exporting.signatures import LABEL
from dfcvae_tf.exporting.tflite import schema

NAME = b"TFLITE_METADATA"
_IDENTIFIER, _MODEL_IDENTIFIER = b"M001", b"TFL3"
# Members of unions, and of ColorSpaceType by channels.
_IMAGE_PROPERTIES, _NORMALIZATION = 2, 1
_COLOR_SPACES = {3: 1, 1: 2}

_MEANINGS = {
    "noise": "standard normal numbers",
    "z": "latents",
    "z_mean": "the image's latents",
    "z_log_var": "logarithm of the latents' variance: how sure the encoder is of them",
}


def add_metadata(content: bytes, about: Mapping[str, Any]) -> bytes:
    """Returns a .tflite file with metadata instead of what it may have had.

    Args:
      content: the file, with a signature for each subgraph.
      about: of the manifest: "name", "model_version", "image", "preprocessing" and
        "licences"; and "labels", names of what can be asked for, none if empty.
    """
    model = schema().ModelT.InitFromPackedBuf(content, 0)
    signatures = {s.subgraphIndex: s for s in model.signatureDefs}
    graphs = []
    for index, graph in enumerate(model.subgraphs):
        given, made = signatures[index].inputs, signatures[index].outputs
        graphs.append(
            {
                0: signatures[index].signatureKey.decode(),
                2: [_tensor(name, about, True) for name in _names(given, graph.inputs)],
                3: [
                    _tensor(name, about, False) for name in _names(made, graph.outputs)
                ],
            }
        )
    builder = flatbuffers.Builder(1024)
    terms = [
        f"{kind}: {licence['name']}"
        for kind, licence in about["licences"].items()
        if licence is not None and kind != "runtime"
    ]
    table = {
        0: about["name"],
        2: about["model_version"],
        3: graphs,
        5: "; ".join(terms) or None,
    }
    builder.Finish(_write(builder, table), _IDENTIFIER)
    buffer = schema().BufferT()
    buffer.data = list(builder.Output())
    model.metadata = model.metadata or []
    if had := [entry for entry in model.metadata if entry.name == NAME]:
        model.buffers[had[0].buffer] = buffer
    else:
        entry = schema().MetadataT()
        entry.name, entry.buffer = NAME, len(model.buffers)
        model.metadata.append(entry)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(len(content) + len(buffer.data))
    builder.Finish(model.Pack(builder), _MODEL_IDENTIFIER)
    return bytes(builder.Output())


def _names(signature: list[Any], tensors: list[int]) -> list[str]:
    """Names of a signature's arguments or results, in the order of the graph's."""
    names = {tensor.tensorIndex: tensor.name.decode() for tensor in signature}
    return [names[index] for index in tensors]


def _tensor(name: str, about: Mapping[str, Any], is_argument: bool) -> dict[int, Any]:
    """TensorMetadata."""
    if name != "image":
        labels = ", ".join(about["labels"])
        meaning = (
            f"0 = not asked for; of {labels}" if name == LABEL else _MEANINGS[name]
        )
        return {0: name, 1: meaning}
    image = about["image"]
    size = {0: np.uint32(image["width"]), 1: np.uint32(image["height"])}
    properties = {0: np.uint8(_COLOR_SPACES[image["channels"]]), 1: size}
    tensor = {
        0: name,
        3: {0: np.uint8(_IMAGE_PROPERTIES), 1: properties},
        5: {0: [1.0], 1: [0.0]},
    }
    if is_argument:
        prepared = about["preprocessing"]
        ground = prepared["ground"]
        tensor[1] = f"a picture, {prepared['crop']} crop, {prepared['resize']}" + (
            f", on {ground} ground" if ground else ""
        )
        # (x - mean) / std, of 8 bits.
        tensor[4] = [{0: np.uint8(_NORMALIZATION), 1: {0: [0.0], 1: [255.0]}}]
    return tensor


def _write(builder: flatbuffers.Builder, table: Mapping[int, Any]) -> int:
    """Writes a table and all in it; fields that are None are left out."""
    offsets = {}
    for slot, value in table.items():
        if isinstance(value, str):
            offsets[slot] = builder.CreateString(value)
        elif isinstance(value, dict):
            offsets[slot] = _write(builder, value)
        elif isinstance(value, list) and isinstance(value[0], float):
            offsets[slot] = builder.CreateNumpyVector(np.array(value, np.float32))
        elif isinstance(value, list):
            offsets[slot] = _write_vector(builder, value)
    builder.StartObject(max(table) + 1)
    for slot, value in table.items():
        if slot in offsets:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
        elif isinstance(value, np.uint8):
            builder.PrependUint8Slot(slot, int(value), 0)
        elif isinstance(value, np.uint32):
            builder.PrependUint32Slot(slot, int(value), 0)
    return builder.EndObject()


def _write_vector(builder: flatbuffers.Builder, tables: list[dict[int, Any]]) -> int:
    offsets = [_write(builder, table) for table in tables]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
