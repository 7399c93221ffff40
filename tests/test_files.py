"""Files are written whole or not at all, and locks are held by one process."""

import errno
import io
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dfcvae_tf import files
from dfcvae_tf.errors import UserError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError), files.atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    with files.atomic_file(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_is_one_line_and_nothing_half_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="no space left on the disk of .*file"):
        files.write_json(tmp_path / "file", {"a": 1})
    assert os.listdir(tmp_path) == []


def test_a_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot write .*taken"):
        files.write_json(tmp_path / "taken" / "config.json", {})


def test_arrays_round_trip_and_are_byte_for_byte_repeatable(tmp_path):
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "c": np.array(3, np.int64)}
    for name in ("one.npz", "two.npz"):
        files.write_arrays(tmp_path / name, arrays)
    read = files.read_arrays(tmp_path / "one.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].dtype == array.dtype
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_corrupt_truncated_and_pickled_arrays_are_refused(tmp_path):
    good = tmp_path / "good.npz"
    files.write_arrays(good, {"a": np.random.default_rng(0).random(1000)})
    data = good.read_bytes()
    (tmp_path / "truncated.npz").write_bytes(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(flipped)
    (tmp_path / "text.npz").write_text("text")
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    for name in ("truncated", "flipped", "text", "pickled"):
        with pytest.raises(UserError, match=f"{name}.npz is not a readable"):
            files.read_arrays(tmp_path / f"{name}.npz")


HOLD = """
import sys, time
from dfcvae_tf.files import locked
with locked(sys.argv[1]):
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_kept_for_one_process_until_it_ends_however_it_does(tmp_path):
    folder = tmp_path / "deep" / "run"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "locked\n"
        with (
            pytest.raises(UserError, match=rf"run is in use by process {process.pid} "),
            files.locked(folder),
        ):
            raise AssertionError
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with files.locked(folder):
        assert (folder / files.LOCK).read_text().startswith(f"{os.getpid()} on ")
        with pytest.raises(UserError, match="in use"), files.locked(folder):
            raise AssertionError
    # The killed process had made these folders, so they stay.
    assert os.listdir(folder) == []


def test_a_lock_leaves_no_trace(tmp_path):
    (tmp_path / "used").mkdir()
    with files.locked(tmp_path / "used"), files.locked(tmp_path / "a" / "b"):
        (tmp_path / "used" / "file").write_text("")
    assert os.listdir(tmp_path) == ["used"]
    assert os.listdir(tmp_path / "used") == ["file"]
    with (
        pytest.raises(UserError, match="is a file, not a folder"),
        files.locked(tmp_path / "used" / "file"),
    ):
        raise AssertionError


def test_a_plain_path_leads_to_the_folder_and_is_no_pattern(tmp_path):
    folder = tmp_path / "a[b]*?\\c"
    folder.mkdir()
    with files.plain_path(folder) as path:
        (path / "file").write_text("there")
        assert not set("*?[\\") & set(str(path))
    assert (folder / "file").read_text() == "there"
    assert not path.exists()


def test_json_nested_too_deep_is_one_line(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 10**6)
    with pytest.raises(UserError, match="not valid JSON"):
        files.read_json(tmp_path / "deep.json")


def test_a_full_disk_is_said_of_the_lock_too(tmp_path, monkeypatch):
    class Full(io.StringIO):
        def full(self):
            raise OSError(errno.ENOSPC, "full")

        flush = close = full

    monkeypatch.setattr(files, "_open_locked", lambda _: Full())
    with pytest.raises(UserError, match="no space left"), files.locked(tmp_path):
        pass
