import os
import shutil
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import tensorflow as tf

from dfcvae_tf.data import cache
from dfcvae_tf.errors import UserError

GIB = 2**30


def _examples(count=7):
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 4, 1), np.uint8)
    labels = np.arange(count, dtype=np.int64)
    return images, tf.data.Dataset.from_tensor_slices(
        {"image": images, "label": labels}
    )


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_keeps_every_element(place, monkeypatch):
    monkeypatch.setattr(cache, "FILL_BYTES", 24)  # more than one batch
    images, dataset = _examples()
    stored = cache.load(dataset, 7, (3, 4, 1), place, "it")
    np.testing.assert_array_equal(stored["image"], images)
    np.testing.assert_array_equal(stored["label"], np.arange(7))
    unlabelled = dataset.map(lambda example: {"image": example["image"]})
    assert set(cache.load(unlabelled, 7, (3, 4, 1), place, "it")) == {"image"}
    rows = np.arange(14, dtype=np.int8).reshape(7, 2)
    more = tf.data.Dataset.zip((dataset, tf.data.Dataset.from_tensor_slices(rows))).map(
        lambda example, row: {**example, "attributes": row}
    )
    stored = cache.load(more, 7, (3, 4, 1), place, "it")
    assert stored["attributes"].dtype == tf.int8
    np.testing.assert_array_equal(stored["attributes"], rows)
    np.testing.assert_array_equal(stored["label"], np.arange(7))


def test_disk_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    images, dataset = _examples()
    stored = cache.load(dataset, 7, (3, 4, 1), "disk", "it")
    assert os.listdir(tmp_path) == []
    np.testing.assert_array_equal(stored["image"], images)


@pytest.mark.parametrize("announced", [6, 8])
def test_wrong_count_is_an_error(announced):
    _, dataset = _examples(7)
    with pytest.raises(UserError, match=f"it has 7 images where {announced}"):
        cache.load(dataset, announced, (3, 4, 1), "memory", "it")


def test_unreadable_data_is_the_users_to_mend(tmp_path):
    record = tmp_path / "images.tfrecord"
    record.write_bytes(b"no record at all")
    dataset = tf.data.TFRecordDataset(str(record)).map(
        lambda text: {"image": tf.io.decode_png(text)}
    )
    with pytest.raises(UserError, match="cannot read the train split of it: corrupt"):
        cache.load(dataset, 1, (3, 4, 1), "memory", "the train split of it")


def test_full_disk_is_the_users_to_mend(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path))
    # A device that is always full stands in for the file.
    monkeypatch.setattr(cache.Path, "__truediv__", lambda *_: "/dev/full")
    _, dataset = _examples()
    with pytest.raises(UserError, match="no space left"):
        cache.load(dataset, 7, (3, 4, 1), "disk", "it")


def test_auto_takes_what_fits(monkeypatch):
    monkeypatch.setattr(cache, "available_memory", lambda: 10 * GIB)
    disk = SimpleNamespace(free=100 * GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: disk)
    assert cache.choose_place("auto", 4 * GIB) == "memory"
    assert cache.choose_place("auto", 5 * GIB) == "disk"
    assert cache.choose_place("auto", 99 * GIB) == "none"
    assert cache.choose_place("memory", 99 * GIB) == "memory"


def test_memory_of_a_container_counts(tmp_path, monkeypatch):
    machine = SimpleNamespace(available=100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    assert cache.available_memory(tmp_path) == 100
    (tmp_path / "memory.stat").write_text("anon 30\ninactive_file 20\n")
    (tmp_path / "memory.current").write_text("50\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert cache.available_memory(tmp_path) == 100
    (tmp_path / "memory.max").write_text("70\n")
    assert cache.available_memory(tmp_path) == 40
