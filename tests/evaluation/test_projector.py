"""The projector's files, read back and served by TensorBoard's own plugin."""

import json

import cv2
import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import (
    EventMultiplexer,
)
from tensorboard.plugins import base_plugin, projector
from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
from werkzeug.test import Client

from dfcvae_tf.evaluation.projector import CONFIG_NAME, write_projector
from dfcvae_tf.picture_files import read_picture


@pytest.fixture(name="rng")
def _rng():
    return np.random.default_rng(0)


def make_run(rng, count=7, dimensions=5, shape=(4, 6, 1)):
    z = rng.normal(size=(count, dimensions)).astype(np.float32)
    images = rng.integers(256, size=(count, *shape)).astype(np.uint8)
    return z, [f"class {i % 3}" for i in range(count)], images


def read_embeddings(log_dir):
    text = (log_dir / CONFIG_NAME).read_text()
    return text_format.Parse(text, projector.ProjectorConfig()).embeddings


def read_cells(log_dir, embedding, channels):
    """The thumbnails of the sprite, as TensorBoard cuts it."""
    width, height = embedding.sprite.single_image_dim
    sheet = read_picture(log_dir / embedding.sprite.image_path).pixels / 255
    rows, columns = sheet.shape[0] // height, sheet.shape[1] // width
    assert sheet.shape[:2] == (rows * height, columns * width)
    assert rows == columns
    cells = sheet.reshape(rows, height, columns, width, channels).swapaxes(1, 2)
    return cells.reshape(-1, height, width, channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_hold_vectors_labels_and_images(tmp_path, rng, channels):
    z, labels, images = make_run(rng, shape=(4, 6, channels))
    write_projector(tmp_path / "new", {"vae": (z, labels, images)})
    (embedding,) = read_embeddings(tmp_path / "new")
    assert embedding.tensor_name == "vae"
    assert list(embedding.tensor_shape) == [7, 5]
    vectors = np.loadtxt(tmp_path / "new" / embedding.tensor_path, dtype=np.float32)
    np.testing.assert_array_equal(vectors, z)
    metadata = (tmp_path / "new" / embedding.metadata_path).read_text()
    rows = [line.split("\t") for line in metadata.splitlines()]
    assert rows == [["label", "index"], *([c, str(i)] for i, c in enumerate(labels))]
    cells = read_cells(tmp_path / "new", embedding, channels)
    assert len(cells) == 9
    np.testing.assert_allclose(cells[:7], images / 255, atol=1e-6)
    np.testing.assert_array_equal(cells[7:], 0.0)


def test_tensorboard_lists_and_serves_every_run(tmp_path, rng):
    runs = {"vae": make_run(rng), "my dfc: v2 &c#": make_run(rng, count=3)}
    write_projector(tmp_path, runs)
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(tmp_path))
    plugin = ProjectorPlugin(
        base_plugin.TBContext(logdir=str(tmp_path), data_provider=provider)
    )
    apps = plugin.get_plugin_apps()

    def get(route, query=""):
        response = Client(apps[route]).get(f"{route}?run=.{query}")
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_data()

    assert json.loads(get("/runs")) == ["."]
    listed = json.loads(get("/info"))["embeddings"]
    assert [e["tensorShape"] for e in listed] == [[7, 5], [3, 5]]
    for embedding, (z, labels, images) in zip(listed, runs.values(), strict=True):
        query = f"&name={embedding['tensorName']}"  # unquoted, as its page asks
        vectors = np.frombuffer(get("/tensor", query), np.float32)
        np.testing.assert_array_equal(vectors.reshape(z.shape), z)
        rows = get("/metadata", query + "&num_rows=100000").decode().splitlines()[1:]
        assert [row.split("\t")[0] for row in rows] == labels
        sprite = cv2.imdecode(np.frombuffer(get("/sprite_image", query), np.uint8), 0)
        np.testing.assert_allclose(sprite[:4, :6], images[0, ..., 0])


def test_labels_may_be_several_named_columns(tmp_path, rng):
    z, _, images = make_run(rng, count=3)
    columns = {"image": ["a b.jpg", "", "c"], "Smiling": ["yes", "no", "yes"]}
    write_projector(tmp_path, {"vae": (z, columns, images)})
    (embedding,) = read_embeddings(tmp_path)
    metadata = (tmp_path / embedding.metadata_path).read_text()
    assert metadata == ("image\tSmiling\tindex\na b.jpg\tyes\t0\n\tno\t1\nc\tyes\t2\n")
    with pytest.raises(ValueError, match="not one label"):
        write_projector(tmp_path, {"vae": (z, {**columns, "Male": ["no"]}, images)})


def test_large_thumbnails_shrink_until_the_sprite_is_allowed(
    tmp_path, rng, monkeypatch
):
    monkeypatch.setattr("dfcvae_tf.evaluation.projector._MAX_SPRITE_PIXELS", 31)
    z, labels, images = make_run(rng, count=9, shape=(20, 40, 1))
    images[:] = np.arange(9).reshape(-1, 1, 1, 1) / 10  # flat, so shrinking keeps them
    write_projector(tmp_path, {"vae": (z, labels, images)})
    (embedding,) = read_embeddings(tmp_path)
    assert list(embedding.sprite.single_image_dim) == [10, 5]
    cells = read_cells(tmp_path, embedding, 1)
    np.testing.assert_allclose(cells, images[:, :5, :10] / 255, atol=1 / 255)


@pytest.mark.parametrize("dimensions", [1, 2])
def test_few_dimensions_are_filled_up_to_three(tmp_path, rng, dimensions):
    z, _, images = make_run(rng, dimensions=dimensions)
    write_projector(tmp_path, {"vae": (z, None, images)})
    (embedding,) = read_embeddings(tmp_path)
    assert list(embedding.tensor_shape) == [7, 3]
    vectors = np.loadtxt(tmp_path / embedding.tensor_path, dtype=np.float32)
    np.testing.assert_array_equal(vectors[:, :dimensions], z)
    np.testing.assert_array_equal(vectors[:, dimensions:], 0.0)
    assert not embedding.metadata_path


def test_any_names_and_labels_give_files_of_their_own(tmp_path, rng):
    z, _, images = make_run(rng, count=3)
    labels = ["a\tb", "", "line\nbreak"]
    names = [
        "a",
        "A",
        "a_metadata",
        "b_metadata",
        "b",
        "",
        "../up",
        "x:0",
        "x/0",
        "ü" * 300,
    ]
    write_projector(tmp_path, dict.fromkeys(names, (z, labels, images)))
    embeddings = read_embeddings(tmp_path)
    paths = [
        path.lower()
        for e in embeddings
        for path in (e.tensor_path, e.metadata_path, e.sprite.image_path)
    ]
    assert len(set(paths)) == 3 * len(names)
    assert sorted(path.name.lower() for path in tmp_path.iterdir()) == sorted(
        [*paths, CONFIG_NAME]
    )
    assert len({e.tensor_name for e in embeddings}) == len(names)
    metadata = (tmp_path / embeddings[0].metadata_path).read_text()
    assert metadata == "label\tindex\na b\t0\n\t1\nline break\t2\n"


def test_runs_that_do_not_fit_together_are_an_error(tmp_path, rng):
    z, labels, images = make_run(rng)
    for bad in [
        (z[:3], labels, images),
        (z, labels[:3], images),
        (z, None, images[:3]),
        (z[:0], None, images[:0]),
        (z[0], None, images),
        (z, None, images[..., 0]),
    ]:
        with pytest.raises(ValueError, match="expected|not one label"):
            write_projector(tmp_path, {"vae": bad})
    assert not (tmp_path / CONFIG_NAME).exists()
