import shutil

import cv2
import numpy as np
import pytest
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import celeba
from dfcvae_tf.data.folder_layout import is_test_file
from dfcvae_tf.data.pipeline import eval_batches, prepared_shape
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.source import unreadable_file
from dfcvae_tf.errors import UserError
from tests import faces


def _open(folder):
    return open_source(DataConfig(dataset=f"celeba:{folder}"), seed=0)


@pytest.fixture(name="copy")
def _copy(tiny_celeba, tmp_path):
    """A folder of faces to be spoilt."""
    return shutil.copytree(tiny_celeba, tmp_path / "celeba")


@pytest.fixture(name="said")
def _said(monkeypatch):
    said = []
    monkeypatch.setattr(
        celeba.logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


def _rows(folder):
    """File name -> list of 0 and 1."""
    lines = (folder / "list_attr_celeba.txt").read_text().split("\n")[2:]
    table = [line.split() for line in lines if line]
    return {row[0]: [int(value == "1") for value in row[1:]] for row in table}


def test_images_and_attributes_are_those_of_the_files(tiny_celeba, said):
    source = _open(tiny_celeba)
    assert source.num_examples == {"train": 40, "test": 14}
    assert source.image_shape == (218, 178, 3) and source.class_names == ()
    assert source.attribute_names == faces.NAMES and len(faces.NAMES) == 40
    assert "60 images with 40 attributes, split by list_eval_partition" in (
        source.description
    )
    assert "6 for validation" in source.description and not said
    rows = _rows(tiny_celeba)
    for split, numbers in (("train", range(1, 41)), ("test", range(47, 61))):
        names = [f"{number:06d}.jpg" for number in numbers]
        assert source.image_names(split) == names
        found = list(source.dataset(split).as_numpy_iterator())
        assert [e["attributes"].tolist() for e in found] == [rows[n] for n in names]
        assert found[0]["attributes"].dtype == np.int8
        for name, example in zip(names, found, strict=True):
            path = tiny_celeba / "img_align_celeba" / name
            np.testing.assert_array_equal(
                example["image"], cv2.imread(str(path))[..., ::-1]
            )


def test_without_a_partition_the_split_is_that_of_the_folder(copy, said):
    (copy / "list_eval_partition.txt").unlink()
    source = _open(copy)
    tests = [file for file in _rows(copy) if is_test_file(file)]
    assert source.image_names("test") == tests
    assert source.num_examples == {"train": 60 - len(tests), "test": len(tests)}
    assert len(said) == 1 and "there is no list_eval_partition.txt" in said[0]
    assert "there is no list_eval_partition.txt" in source.description


def test_a_wrong_header_is_reported_and_no_more(copy, said):
    path = copy / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("60\n", "59\n", 1))
    source = _open(copy)
    assert len(said) == 1 and "announces 59 images and has 60" in said[0]
    assert "announces 59 images and has 60" in source.description
    assert source.num_examples == {"train": 40, "test": 14}


def _drop_image(folder):
    for number in (7, 3):
        (folder / "img_align_celeba" / f"{number:06d}.jpg").unlink()


def _drop_row(folder):
    path = folder / "list_attr_celeba.txt"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:7] + lines[8:]))


def _drop_part(folder):
    path = folder / "list_eval_partition.txt"
    path.write_text(path.read_text().split("\n", 1)[1])


def _no_test(folder):
    path = folder / "list_eval_partition.txt"
    path.write_text(path.read_text().replace(".jpg 2", ".jpg 1"))


def _escape(folder):
    path = folder / "list_attr_celeba.txt"
    path.write_text(path.read_text().replace("000001.jpg", "../list_attr_celeba.txt"))


def _first_is_text(folder):
    (folder / "img_align_celeba" / "000001.jpg").write_text("no image")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_drop_image, "lacks 2 of the 60 images .*: 000003.jpg and 1 more"),
        (_drop_row, "no row for 1 of the 60 images in img_align_celeba: 000006.jpg$"),
        (_drop_part, "partition.txt has no row for 1 of 60 images: 000001.jpg$"),
        (_no_test, "none of the 60 images .* test split: split by list_eval"),
        (_escape, "lacks 1 of the 60 images .*: ../list_attr_celeba.txt"),
        (_first_is_text, "000001.jpg is not a readable image"),
        (lambda f: (f / "list_attr_celeba.txt").unlink(), "or use folder:"),
        (lambda f: shutil.rmtree(f / "img_align_celeba"), "no folder img_align_celeba"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_unusable_folders_are_the_users_to_mend(copy, spoil, said):
    spoil(copy)
    with pytest.raises(UserError, match=said) as raised:
        _open(copy)
    assert "\n" not in str(raised.value)


def test_the_folder_of_images_itself_is_recognised(tiny_celeba):
    with pytest.raises(UserError, match=f"try celeba:{tiny_celeba}$"):
        _open(tiny_celeba / "img_align_celeba")


def test_hidden_files_and_others_are_not_images(copy):
    for name in ("._000001.jpg", "Thumbs.db"):
        (copy / "img_align_celeba" / name).write_text("not looked at")
    assert _open(copy).num_examples["train"] == 40


def test_a_damaged_file_is_named_when_met(copy):
    file = copy / "img_align_celeba" / "000040.jpg"
    contents = file.read_bytes()
    other_size = cv2.imencode(".jpg", np.zeros((218, 170, 3), np.uint8))[1].tobytes()
    config = DataConfig(dataset=f"celeba:{copy}", image_size=(16, 16), cache="memory")
    source = open_source(config, seed=0)
    for damaged in (contents[: len(contents) // 2], b"", other_size):
        file.write_bytes(damaged)
        message = f"{file.name}: not a whole JPEG of 178x218 pixels$"
        with pytest.raises(UserError, match=message):
            eval_batches(source, "train", config, (16, 16, 3), 8)
        with pytest.raises(tf.errors.InvalidArgumentError) as raised:
            list(source.dataset("train"))
        assert str(file) in str(unreadable_file(raised.value))
    file.unlink()
    with pytest.raises(UserError, match=message):
        eval_batches(source, "train", config, (16, 16, 3), 8)


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_the_pipeline_carries_attributes(tiny_celeba, cache):
    config = DataConfig(
        dataset=f"celeba:{tiny_celeba}", image_size=(64, 64), crop="hou", cache=cache
    )
    source = open_source(config, seed=0)
    shape = prepared_shape(source, config)
    batches = list(eval_batches(source, "test", config, shape, 10).as_numpy_iterator())
    assert [batch["image"].shape for batch in batches] == [
        (10, 64, 64, 3),
        (4, 64, 64, 3),
    ]
    rows = _rows(tiny_celeba)
    found = np.concatenate([batch["attributes"] for batch in batches])
    assert found.tolist() == [rows[name] for name in source.image_names("test")]


def test_real_images(shared_data):
    folder = shared_data / "celeba"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/celeba")
    source = _open(folder)
    assert sum(source.num_examples.values()) == 10_000
    assert source.num_examples["test"] == pytest.approx(1000, abs=100)
    assert source.image_shape == (109, 89, 3)
    assert source.attribute_names == faces.NAMES

    # Only these, not the images: known frequencies, parsed by NumPy.
    names = [*source.image_names("train"), *source.image_names("test")]
    table = np.loadtxt(folder / "list_attr_celeba.txt", skiprows=2, dtype=str)
    assert sorted(names) == table[:, 0].tolist()
    config = DataConfig(image_size=(64, 64), crop="hou", cache="none")
    batches = eval_batches(source, "test", config, (64, 64, 3), 500)
    found = list(batches.as_numpy_iterator())
    attributes = np.concatenate([batch["attributes"] for batch in found])
    is_test = np.isin(table[:, 0], source.image_names("test"))
    expected = (table[is_test, 1:] == "1").mean(axis=0)
    np.testing.assert_allclose(attributes.mean(axis=0), expected, atol=1e-12)

    # At half size x 15 to 84, y 20 to 89; OpenCV averages over areas, which is close.
    first = folder / "img_align_celeba" / source.image_names("test")[0]
    part = cv2.imread(str(first))[20:89, 15:84, ::-1]
    shrunk = cv2.resize(part, (64, 64), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(found[0]["image"][0] - shrunk).mean() < 0.02
    moved = cv2.imread(str(first))[22:91, 15:84, ::-1]
    shrunk = cv2.resize(moved, (64, 64), interpolation=cv2.INTER_AREA) / 255
    assert np.abs(found[0]["image"][0] - shrunk).mean() > 0.02
