"""TFLite Metadata, read by the numbers of fields in metadata_schema.fbs."""

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from flatbuffers import number_types as types
from flatbuffers.table import Table

from dfcvae_tf.exporting.joining import convert_prior
from dfcvae_tf.exporting.metadata import NAME, add_metadata
from dfcvae_tf.exporting.tflite import schema
from dfcvae_tf.models.flow import CouplingFlow

ABOUT = {
    "name": "digits",
    "model_version": "1.2",
    "image": {"height": 6, "width": 4, "channels": 1},
    "preprocessing": {"crop": "center", "resize": "bilinear", "ground": "dark"},
    "licences": {"data": {"name": "CC0"}, "weights": None, "runtime": {"name": "no"}},
    "labels": [],
}


@pytest.fixture(name="content", scope="module")
def _content(tmp_path_factory):
    """A file with encode(image) -> z_mean, z_log_var."""
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([1, 6, 4, 1], name="image")])
    def encode(image):
        z_mean = tf.reduce_mean(image, axis=(1, 2))
        return {"z_mean": z_mean, "z_log_var": z_mean - 1}

    module.encode = encode
    folder = str(tmp_path_factory.mktemp("saved"))
    tf.saved_model.save(module, folder, {"encode": encode})
    return tf.lite.TFLiteConverter.from_saved_model(
        folder, signature_keys=["encode"]
    ).convert()


def metadata_of(content):
    """The root table."""
    model = schema().ModelT.InitFromPackedBuf(content, 0)
    (entry,) = (m for m in model.metadata if m.name == NAME)
    buffer = bytes(bytearray(model.buffers[entry.buffer].data))
    assert buffer[4:8] == b"M001"
    return Table(
        buffer, flatbuffers.encode.Get(types.UOffsetTFlags.packer_type, buffer, 0)
    )


def at(table, slot):
    """Where a field is; 0 where it is left out."""
    offset = table.Offset(4 + 2 * slot)
    return offset and table.Pos + offset


def text(table, slot):
    return table.String(at(table, slot)).decode()


def inner(table, slot):
    return Table(table.Bytes, table.Indirect(at(table, slot)))


def tables(table, slot):
    offset = at(table, slot) - table.Pos
    start = table.Vector(offset)
    return [
        Table(table.Bytes, table.Indirect(start + 4 * i))
        for i in range(table.VectorLen(offset))
    ]


def numbers(table, slot):
    offset = at(table, slot) - table.Pos
    return table.GetVectorAsNumpy(types.Float32Flags, offset).tolist()


def test_a_file_says_what_it_is_and_what_its_pictures_are_like(content):
    found = metadata_of(add_metadata(content, ABOUT))
    assert (text(found, 0), text(found, 2), text(found, 5)) == (
        "digits",
        "1.2",
        "data: CC0",
    )
    (graph,) = tables(found, 3)
    assert text(graph, 0) == "encode"
    (image,) = tables(graph, 2)
    assert text(image, 0) == "image" and "dark" in text(image, 1)
    properties = inner(inner(image, 3), 1)
    assert properties.Get(types.Uint8Flags, at(properties, 0)) == 2  # grey
    size = inner(properties, 1)
    assert [size.Get(types.Uint32Flags, at(size, i)) for i in (0, 1)] == [4, 6]
    (unit,) = tables(image, 4)
    normalization = inner(unit, 1)
    assert (numbers(normalization, 0), numbers(normalization, 1)) == ([0.0], [255.0])
    stats = inner(image, 5)
    assert (numbers(stats, 0), numbers(stats, 1)) == ([1.0], [0.0])
    # Results by the names of the signature, in the order of the graph.
    model = schema().ModelT.InitFromPackedBuf(content, 0)
    (signature,) = model.signatureDefs
    names = {t.tensorIndex: t.name.decode() for t in signature.outputs}
    expected = [names[i] for i in model.subgraphs[0].outputs]
    assert [text(result, 0) for result in tables(graph, 3)] == expected


def test_the_file_computes_what_it_did_and_has_it_once(content):
    once = add_metadata(content, ABOUT)
    twice = add_metadata(once, {**ABOUT, "model_version": None})
    assert len(twice) <= len(once) < len(content) + 2000
    found = metadata_of(twice)
    assert text(found, 0) == "digits" and at(found, 2) == 0
    image = np.random.default_rng(0).random((1, 6, 4, 1), np.float32)
    results = []
    for file in (content, twice):
        runner = tf.lite.Interpreter(model_content=file).get_signature_runner("encode")
        results.append(runner(image=image))
    for name in ("z_mean", "z_log_var"):
        np.testing.assert_array_equal(results[1][name], results[0][name])


def test_a_prior_has_a_part_for_each_way_and_its_labels(flow_parameters, label_kernel):
    flow = CouplingFlow({**flow_parameters(3), "label_kernel": label_kernel(2, 3)})
    file = add_metadata(convert_prior(flow, 3, 1), {**ABOUT, "labels": ["a", "b"]})
    graphs = tables(metadata_of(file), 3)
    given = [{text(t, 0): text(t, 1) for t in tables(graph, 2)} for graph in graphs]
    assert [text(graph, 0) for graph in graphs] == ["from_noise", "to_noise"]
    assert [set(names) for names in given] == [{"noise", "label"}, {"z", "label"}]
    assert given[0]["label"] == "0 = not asked for; of a, b"
