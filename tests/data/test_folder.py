import shutil

import cv2
import numpy as np
import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import folder
from dfcvae_tf.data.folder import is_test_file, open_folder
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError


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


def test_reads_nested_files_in_order_and_splits_them_by_name(tmp_path):
    files = [
        f"{'ab'[i % 2]}/deep/{i:02d}.{'png' if i % 3 else 'PNG'}" for i in range(40)
    ]
    for index, file in enumerate(files):
        _write(tmp_path / file, _blocks(index))
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "a" / "._00.png").write_text("nor are hidden files")
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "00.png").write_text("or folders")

    source = open_source(DataConfig(dataset=f"folder:{tmp_path}"), seed=0)
    assert source.image_shape == (32, 48, 3) and source.class_names == ()
    expected = {"train": [], "test": []}
    for file in sorted(files):
        image = _blocks(files.index(file))[..., ::-1]
        expected["test" if is_test_file(file) else "train"].append(image)
    images = _images(source)
    for split in ("train", "test"):
        assert source.num_examples[split] == len(expected[split]) > 0
        np.testing.assert_array_equal(images[split], expected[split])


def test_split_never_changes():
    # Fixed for good: a run that goes on must not train on what it was tested on.
    numbers = [i for i in range(50) if is_test_file(f"images/{i:03d}.jpg")]
    assert numbers == [1, 12, 18, 30, 36]
    share = np.mean([is_test_file(f"{i}.png") for i in range(5000)])
    assert share == pytest.approx(0.1, abs=0.015)
    assert is_test_file("caf\u00e9.png") == is_test_file("cafe\u0301.png")


def test_files_of_many_kinds_look_as_expected(tmp_path):
    image = _blocks(1)
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    alpha = np.dstack([image, np.full(image.shape[:2], 7, np.uint8)])
    _write(tmp_path / "0_alpha.png", alpha)
    _write(tmp_path / "1_deep.png", image.astype(np.uint16) * 257)
    _write(tmp_path / "2_photo.JPEG", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    _write(tmp_path / "3_grey.jpg", grey)
    shutil.copy(tmp_path / "0_alpha.png", tmp_path / "4_misnamed.jpg")
    _fill(tmp_path / "more", 20)
    source = open_folder("it", str(tmp_path))
    images = _images(source)
    found = np.stack(images["train"][:5]).astype(int)
    for index in (0, 1, 2, 4):
        assert np.abs(found[index] - image[..., ::-1]).mean() < 8, index
    assert np.abs(found[3] - grey[..., None]).mean() < 3


def test_all_grey_is_one_channel_and_sizes_may_differ(tmp_path):
    _fill(tmp_path, 30, channels=1)
    assert open_folder("it", str(tmp_path)).image_shape == (32, 48, 1)
    _write(tmp_path / "other.png", _blocks(0, 1)[:20])
    assert open_folder("it", str(tmp_path)).image_shape == (None, None, 1)
    _write(tmp_path / "color.png", _blocks(0))
    assert open_folder("it", str(tmp_path)).image_shape == (None, None, 3)


def test_few_bad_files_are_reported_and_left_out(tmp_path, monkeypatch):
    _fill(tmp_path, 198)
    _write(tmp_path / "cut.jpg", _blocks(0))
    cut = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "text.png").write_text("no image")
    said = []
    monkeypatch.setattr(
        folder.logging, "warning", lambda text, *args: said.append(text % args)
    )
    source = open_folder("it", str(tmp_path))
    assert len(said) == 1 and "2 of 200" in said[0]
    assert "cut.jpg, text.png" in said[0] and "\n" not in said[0]
    images = _images(source)
    assert len(images["train"]) + len(images["test"]) == 198
    assert sum(source.num_examples.values()) == 198

    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="3 of 201 .*cut.jpg, empty.jpg, text.png"):
        open_folder("it", str(tmp_path))


def test_unusable_folders_are_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        open_folder("it", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="no images in"):
        open_folder("it", str(tmp_path))
    _write(tmp_path / "one.png", _blocks(0))
    with pytest.raises(UserError, match="too few images"):
        open_folder("it", str(tmp_path))
    with pytest.raises(UserError, match="is a file"):
        open_folder("it", str(tmp_path / "one.png"))
    (tmp_path / "one.png").write_bytes(b"bad")
    with pytest.raises(UserError, match="1 of 1 files"):
        open_folder("it", str(tmp_path))


def test_real_photos(shared_data, tmp_path):
    photos = shared_data / "celeba" / "img_align_celeba"
    if not photos.is_dir():
        pytest.skip("needs ../shared/data/celeba")
    for photo in sorted(photos.iterdir())[:60]:
        shutil.copy(photo, tmp_path)
    source = open_folder("it", str(tmp_path))
    assert source.image_shape == (109, 89, 3)
    assert sum(source.num_examples.values()) == 60
    first = next(f for f in sorted(tmp_path.iterdir()) if not is_test_file(f.name))
    expected = cv2.imread(str(first))[..., ::-1].astype(int)
    found = next(source.dataset("train").as_numpy_iterator())["image"]
    # Decoders may differ by a step or two.
    assert np.abs(found - expected).mean() < 1
