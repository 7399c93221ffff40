import hashlib
import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import folder
from dfcvae_tf.data.folder_layout import is_test_file
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError
from dfcvae_tf.picture_files import read_picture


def _open(root, **options):
    return open_source(DataConfig(dataset=f"folder:{root}", **options), seed=0)


def _blocks(seed, channels=3):
    """Large uniform blocks, which JPEG keeps nearly as they are; BGR."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (2, 3, channels), dtype=np.uint8)
    return np.kron(small, np.ones((16, 16, 1), np.uint8))


def _write(path, image, *options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix.lower(), image, *options)[1].tobytes())


def _fill(root, count, suffix=".png", channels=3):
    for index in range(count):
        _write(root / f"{index:03d}{suffix}", _blocks(index, channels))


def _images(source):
    return {
        split: [e["image"] for e in source.dataset(split).as_numpy_iterator()]
        for split in ("train", "test")
    }


@pytest.fixture(name="said")
def _said(monkeypatch):
    said = []
    monkeypatch.setattr(
        folder.logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


def test_flat_files_come_in_order_and_are_split_by_name(tmp_path, said):
    files = [f"{i:02d}.{'png' if i % 3 else 'PNG'}" for i in range(39)]
    files.append(os.fsdecode(b"caf\xe9.png"))  # a name that is no text
    for index, file in enumerate(files):
        _write(tmp_path / file, _blocks(index))
    (tmp_path / "notes.txt").write_text("not looked at")
    source = _open(tmp_path)
    assert source.image_shape == (32, 48, 3) and source.class_names == ()
    images = _images(source)
    for split in ("train", "test"):
        expected = [f for f in sorted(files) if is_test_file(f) == (split == "test")]
        assert source.num_examples[split] == len(expected) > 0
        names = [file.replace("\udce9", "\ufffd") for file in expected]
        assert source.image_names(split) == names
        for file, image in zip(expected, images[split], strict=True):
            np.testing.assert_array_equal(image, _blocks(files.index(file))[..., ::-1])
    counts = f"{source.num_examples['train']} train, {source.num_examples['test']} test"
    assert said == [
        f"{tmp_path}: {counts}; split by file name",
        f"{tmp_path}: left out: 1 .txt",
    ]


def test_folders_are_splits_and_classes(tmp_path, said):
    for split, count in (("train", 5), ("test", 2)):
        for label, name in enumerate(("cats", "dogs")):
            _fill(tmp_path / split / name, count + label)
    _fill(tmp_path / "train" / "birds" / "deep", 3)
    source = _open(tmp_path)
    assert source.class_names == ("birds", "cats", "dogs")
    assert source.num_examples == {"train": 14, "test": 5}
    for split, labels in (
        ("train", [0] * 3 + [1] * 5 + [2] * 6),
        ("test", [1, 1, 2, 2, 2]),
    ):
        found = list(source.dataset(split).as_numpy_iterator())
        assert [int(e["label"]) for e in found] == labels
        assert found[0]["label"].dtype == np.int64
        for name, example in zip(source.image_names(split), found, strict=True):
            pixels = read_picture(tmp_path / name).pixels
            np.testing.assert_array_equal(example["image"], pixels)
    text = "split by its folders train and test"
    assert said == [
        f"{tmp_path}: 14 train, 5 test, 3 classes; {text}",
        f"{tmp_path}: no test images of birds",
    ]
    assert source.description == f"19 image files of 3 classes, {text}"
    plain = _open(tmp_path, subfolders="ignore")
    assert plain.class_names == () and sum(plain.num_examples.values()) == 19
    assert sum(name.startswith("test/") for name in plain.image_names("train")) > 0


def test_runs_made_before_find_the_same_data(tmp_path):
    # What the digest was made of before folders had a meaning.
    files = [f"{'ab'[index % 2]}/{index:02d}.bmp" for index in range(30)]
    for index, file in enumerate(files):
        _write(tmp_path / file, _blocks(index))
    facts = [
        f"{split}/{file} {32 * 48 * 3 + 54}\0"
        for split in ("train", "test")
        for file in sorted(files)
        if is_test_file(file) == (split == "test")
    ]
    expected = hashlib.sha256("".join(facts).encode()).hexdigest()
    for subfolders in ("auto", "ignore"):
        assert _open(tmp_path, subfolders=subfolders).digest == expected


def test_transparency_and_16_bits_are_said_and_shown(tmp_path, said):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (30, 8, 8, 2), dtype=np.uint8)
    pixels[20:, ..., 1] = 255
    for index, image in enumerate(pixels):
        Image.fromarray(image, "LA").save(tmp_path / f"{index:02d}.png")
    deep = np.full((8, 8), 40_000, np.uint16)
    Image.fromarray(deep).save(tmp_path / "99.png")
    assert not is_test_file("99.png")
    for background, ground in (("white", 255), ("black", 0)):
        said.clear()
        source = _open(tmp_path, background=background)
        assert said[1:] == [
            f"{tmp_path}: images with transparent pixels, which are laid on {background}: 20",
            f"{tmp_path}: images with 16 bits a value, of which 8 are kept (65,535 is white): 1",
        ]
        assert source.image_shape == (8, 8, 1)
        names = [*source.image_names("train"), *source.image_names("test")]
        images = [image for part in _images(source).values() for image in part]
        for name, found in zip(names, images, strict=True):
            if name == "99.png":
                assert (found == 156).all()  # 40,000 / 257
                continue
            image = pixels[int(name[:2])].astype(float)
            alpha = image[..., 1:] / 255
            expected = np.rint(image[..., :1] * alpha + ground * (1 - alpha))
            np.testing.assert_array_equal(found, expected)


def test_too_few_bits_in_use_name_the_setting(tmp_path):
    for index in range(30):
        deep = np.full((8, 8), 100 * index, np.uint16)
        deep[0, 0] = 4095
        Image.fromarray(deep).save(tmp_path / f"{index:02d}.png")
    said = "30 of 30 images .* 16 bits a value and 12 in use .*--bit_depth=12 "
    with pytest.raises(UserError, match=said):
        _open(tmp_path)
    images = _images(_open(tmp_path, bit_depth=12))
    brightest = max(image[1:].max() for image in images["train"] + images["test"])
    assert brightest == np.rint(2900 / 4095 * 255)
    assert _images(_open(tmp_path, bit_depth=16))["train"][0].max() == 16


def test_all_grey_is_one_channel_and_sizes_may_differ(tmp_path):
    _fill(tmp_path, 30, channels=1)
    assert _open(tmp_path).image_shape == (32, 48, 1)
    _write(tmp_path / "other.png", _blocks(0, 1)[:20])
    assert _open(tmp_path).image_shape == (None, None, 1)
    _write(tmp_path / "color.png", _blocks(0))
    source = _open(tmp_path)
    assert source.image_shape == (None, None, 3)
    assert {image.shape[2] for image in _images(source)["train"]} == {3}


def test_few_bad_files_are_reported_and_left_out(tmp_path, said):
    _fill(tmp_path, 198)
    _write(tmp_path / "cut.jpg", _blocks(0))
    cut = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "text.png").write_text("no image")
    source = _open(tmp_path)
    assert "2 of 200" in said[0] and "\n" not in said[0]
    assert "cut.jpg (it is damaged or cut off), text.png (it is no PNG" in said[0]
    images = _images(source)
    assert len(images["train"]) + len(images["test"]) == 198
    assert sum(source.num_examples.values()) == 198

    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="3 of 201 .*cut.jpg .*empty.jpg .*text.png"):
        _open(tmp_path)


def test_a_file_that_has_changed_since_is_named(tmp_path):
    from dfcvae_tf.data.pipeline import eval_batches

    _fill(tmp_path, 30)
    config = DataConfig(dataset=f"folder:{tmp_path}", cache="memory")
    source = open_source(config, seed=0)
    name = source.image_names("train")[3]
    _write(tmp_path / name, _blocks(0)[:20])
    said = f"unreadable image file .*{name}: not a whole image of 48x32 pixels$"
    with pytest.raises(UserError, match=said):
        eval_batches(source, "train", config, (32, 48, 3), 8)


def test_unusable_folders_are_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        _open(tmp_path / "absent")
    with pytest.raises(UserError, match="no images in"):
        _open(tmp_path)
    _write(tmp_path / "one.png", _blocks(0))
    with pytest.raises(UserError, match="too few images"):
        _open(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        _open(tmp_path / "one.png")
    (tmp_path / "one.png").write_bytes(b"bad")
    with pytest.raises(UserError, match="1 of 1 files"):
        _open(tmp_path)


def test_real_photos(shared_data, tmp_path):
    photos = shared_data / "celeba" / "img_align_celeba"
    if not photos.is_dir():
        pytest.skip("needs ../shared/data/celeba")
    for photo in sorted(photos.iterdir())[:60]:
        shutil.copy(photo, tmp_path)
    source = _open(tmp_path)
    assert source.image_shape == (109, 89, 3)
    assert sum(source.num_examples.values()) == 60
    first = next(f for f in sorted(tmp_path.iterdir()) if not is_test_file(f.name))
    expected = cv2.imread(str(first))[..., ::-1]
    found = next(source.dataset("train").as_numpy_iterator())["image"]
    np.testing.assert_array_equal(found, expected)
