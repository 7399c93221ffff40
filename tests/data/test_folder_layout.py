"""Which files of a folder are images, their splits and classes."""

import os

import numpy as np
import pytest

from dfcvae_tf.data.folder_layout import find_images, is_test_file, lay_out
from dfcvae_tf.errors import UserError


def _touch(root, *files):
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_split_by_name_never_changes():
    # Fixed for good: a run that goes on must not train on what it was tested on.
    numbers = [i for i in range(50) if is_test_file(f"images/{i:03d}.jpg")]
    assert numbers == [1, 12, 18, 30, 36]
    share = np.mean([is_test_file(f"{i}.png") for i in range(5000)])
    assert share == pytest.approx(0.1, abs=0.015)
    assert is_test_file("caf\u00e9.png") == is_test_file("cafe\u0301.png")


def test_what_is_read_and_what_is_counted(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    kinds = ("png", "JPG", "jpeg", "jfif", "webp", "bmp", "gif", "tif", "TIFF")
    images = [f"b/{index}.{kind}" for index, kind in enumerate(kinds)]
    _touch(root, *images, "a.heic", "b/b.HEIC", "b/notes.txt", "b/README")
    _touch(root, ".hidden.png", ".thumbnails/a.png")
    _touch(elsewhere, "deep/c.png")
    (root / "linked").symlink_to(elsewhere)
    (root / "again").symlink_to(elsewhere / "deep")
    (root / "d.png").symlink_to(elsewhere / "deep" / "c.png")
    (root / "b" / "up").symlink_to(root)
    (elsewhere / "deep" / "round").symlink_to(elsewhere)
    os.mkfifo(root / "b" / "pipe.png")
    odd = os.fsdecode(b"caf\xe9.png")
    _touch(root, odd)
    found = find_images(root)
    assert found.images == sorted(
        [
            *images,
            "linked/deep/c.png",
            "again/c.png",
            "d.png",
            odd,
        ]
    )
    assert found.left_out == {
        "linked folder that it lies in itself": 3,
        ".heic": 2,
        ".txt": 1,
        "without an ending": 1,
        "pipe or device": 1,
    }


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test"),
        ("Train", "VAL"),
        ("training", "testing"),
        ("train_images", "valid"),
    ],
)
def test_folders_of_splits(names):
    files = [f"{names[0]}/{i}.png" for i in range(5)] + [f"{names[1]}/1.png"]
    found = lay_out("it", [*files[5:], *files[:5]], "auto")
    assert [
        file for file, split in found.split_of.items() if split == "train"
    ] == files[:5]
    assert [file for file, split in found.split_of.items() if split == "test"] == files[
        5:
    ]
    assert found.text == f"split by its folders {names[0]} and {names[1]}"


def test_validation_is_not_used_beside_a_test():
    files = ["test/a.png", "train/a.png", "validation/a.png", "validation/b.png"]
    found = lay_out("it", files, "auto")
    assert found.split_of == {"train/a.png": "train", "test/a.png": "test"}
    assert found.text.endswith("train and test (2 in validation, not used)")


def test_topmost_folders_are_classes_when_all_images_lie_in_some():
    flat = ["cats/1.png", "cats/old/2.png", "dogs/1.png"]
    found = lay_out("it", flat, "auto")
    assert found.class_of == dict(zip(flat, ("cats", "cats", "dogs"), strict=True))
    assert found.split_of == {f: ("train", "test")[is_test_file(f)] for f in flat}
    assert found.text == "split by file name"
    split = [f"{part}/{file}" for part in ("test", "train") for file in flat]
    found = lay_out("it", split, "auto")
    assert list(found.class_of.values()) == ["cats", "cats", "dogs"] * 2
    for files in (["1.png", "2.png"], ["all/1.png", "all/2.png"]):
        assert not lay_out("it", files, "auto").class_of


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["cats/1.png", "dogs/1.png", "a.png"], r"do not \(a.png\)"),
        (["train/cats/1.png", "train/dogs/1.png", "test/1.png"], r"not \(test/1.png\)"),
        (["train/1.png"], "no test or val beside it; add it, use folder:it/train "),
        (["test/1.png", "cats/1.png"], "a folder test with images and no train"),
        (["test/1.png", "val/1.png"], "a folder test, val with images and no train"),
        (["train/1.png", "test/1.png", "a.png"], "its folders test, train: a.png"),
        (["train/1.png", "test/1.png", "more/a.png"], "train: more/a.png; move"),
        (
            ["set/train/1.png", "set/test/1.png"],
            "splits in that: use folder:it/set, or",
        ),
        (
            ["train/1.png", "Train/1.png", "test/1.png"],
            "2 folders for train: Train, tr",
        ),
    ],
)
def test_what_contradicts_itself_can_be_ignored(files, said):
    with pytest.raises(UserError, match=f"{said}.*--subfolders=ignore"):
        lay_out("it", files, "auto")
    found = lay_out("it", files, "ignore")
    assert list(found.split_of) == files and not found.class_of
