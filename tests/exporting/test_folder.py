"""An export's folder appears whole, or the one before it stays."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.exporting.folder import file_list, replaced_folder


def write_export(folder, text):
    (folder / "model").write_text(text)
    manifest = {"format_version": 1, "files": file_list(folder)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_new_export_replaces_the_whole_old_one(tmp_path):
    output = tmp_path / "deep" / "export"
    with replaced_folder(output) as folder:
        (folder / "only in one").write_text("")
        write_export(folder, "one")
        assert not output.exists()
    with replaced_folder(output) as folder:
        assert os.listdir(folder) == []
        write_export(folder, "two")
        assert (output / "model").read_text() == "one"
    assert (output / "model").read_text() == "two"
    assert sorted(os.listdir(output)) == ["manifest.json", "model"]
    assert os.listdir(output.parent) == ["export"]


def test_an_error_names_the_place_that_the_user_knows(tmp_path):
    output = tmp_path / "export [1]"
    with (
        pytest.raises(UserError, match=r"^cannot write .*/export \[1\]/model$"),
        replaced_folder(output) as folder,
    ):
        raise UserError(f"cannot write {folder / 'model'}")


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_export(tmp_path, error):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    with pytest.raises(error), replaced_folder(output) as folder:
        write_export(folder, "two")
        raise error
    assert (output / "model").read_text() == "one"
    assert os.listdir(tmp_path) == ["export"]


def test_a_killed_process_costs_nothing(tmp_path):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    code = (
        "import os, signal; from pathlib import Path\n"
        "from dfcvae_tf.exporting.folder import replaced_folder\n"
        f"with replaced_folder(Path({str(output)!r})) as folder:\n"
        "    (folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (output / "model").read_text() == "one"
    with replaced_folder(output) as folder:
        write_export(folder, "two")
    assert os.listdir(tmp_path) == ["export"]
    # Killed between the two renames: the old export has another name.
    code = (
        "import os, signal; from pathlib import Path\n"
        "from dfcvae_tf.exporting.folder import replaced_folder\n"
        "replace = os.replace\n"
        "def replace_one(source, target):\n"
        "    replace(source, target)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        f"with replaced_folder(Path({str(output)!r})) as folder:\n"
        "    os.replace = replace_one\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()
    with pytest.raises(ValueError), replaced_folder(output) as folder:
        assert os.listdir(folder) == []
        raise ValueError
    assert (output / "model").read_text() == "two"
    assert os.listdir(tmp_path) == ["export"]


def test_a_failed_rename_puts_the_old_export_back(tmp_path, monkeypatch):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    replace = os.replace

    def fail(source, target):
        if str(source).endswith("new"):
            raise PermissionError(13, "not now")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with (
        pytest.raises(UserError, match="cannot write .*export: Permission denied"),
        replaced_folder(output) as folder,
    ):
        write_export(folder, "two")
    assert (output / "model").read_text() == "one"
    assert os.listdir(tmp_path) == ["export"]


def test_what_is_no_export_is_left_alone(tmp_path):
    thesis = tmp_path / "folder" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("precious")
    (tmp_path / "link").symlink_to(thesis.parent)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"name": "an app"}')
    for output, message in (
        (thesis.parent, "exists and is not an export"),
        (thesis, "is a file or a link"),
        (tmp_path / "link", "is a file or a link"),
        (tmp_path / "other", "exists and is not an export"),
        (tmp_path.parents[-1], "is a whole file system"),
    ):
        with pytest.raises(UserError, match=message), replaced_folder(output):
            raise AssertionError
    assert thesis.read_text() == "precious"
    with replaced_folder(tmp_path / "empty") as folder:
        (folder / "model").write_text("")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"variants": []}, "is not an export"),  # an app's own
        ({"format_version": 99, "files": {}}, "is not an export"),  # of a later version
        ({"format_version": 1, "files": ["model"]}, "is not an export"),
        (None, "files that the export there did not write .notes.txt.; move"),
    ],
)
def test_nothing_is_deleted_that_an_export_did_not_write(tmp_path, manifest, message):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    if manifest is None:
        (output / "notes.txt").write_text("precious")
    else:
        (output / "manifest.json").write_text(json.dumps(manifest))
    before = sorted(os.listdir(output))
    with pytest.raises(UserError, match=message), replaced_folder(output):
        raise AssertionError
    assert sorted(os.listdir(output)) == before


@pytest.mark.parametrize("what", ["changed", "link", "folder", "fifo"])
def test_a_changed_or_foreign_thing_in_an_export_stays(tmp_path, what):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    thing = output / "thing"
    if what == "changed":
        (output / "model").write_text("edited")
    elif what == "link":
        thing.symlink_to(tmp_path)
    elif what == "folder":
        (thing / "deep").mkdir(parents=True)
        (thing / "deep" / "file").write_text("precious")
    else:
        os.mkfifo(thing)
    with (
        pytest.raises(
            UserError, match="model.; move" if what == "changed" else "thing"
        ),
        replaced_folder(output),
    ):
        raise AssertionError
    assert os.path.lexists(thing) or (output / "model").read_text() == "edited"


def test_what_appears_while_an_export_is_written_stays(tmp_path):
    output = tmp_path / "export"
    with replaced_folder(output) as folder:
        write_export(folder, "one")
    with (
        pytest.raises(UserError, match="notes.txt"),
        replaced_folder(output) as folder,
    ):
        write_export(folder, "two")
        (output / "notes.txt").write_text("precious")
    assert (output / "notes.txt").read_text() == "precious"
    assert (output / "model").read_text() == "one"


def test_folders_of_others_beside_an_export_stay(tmp_path):
    output = tmp_path / "export"
    mine = [".export.new", ".export.old", ".export.abcdefgh.exporting"]
    for name in mine:
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("precious")
    for text in ("one", "two"):
        with replaced_folder(output) as folder:
            write_export(folder, text)
    assert sorted(os.listdir(tmp_path)) == sorted([*mine, "export"])
    assert all(os.listdir(tmp_path / name) == ["thesis.txt"] for name in mine)


def test_an_export_that_is_being_written_is_left_alone(tmp_path):
    output = tmp_path / "export"
    with replaced_folder(output) as first:
        write_export(first, "one")
        with replaced_folder(output) as second:
            write_export(second, "two")
        assert (first / "model").read_text() == "one"
    assert (output / "model").read_text() == "one"
    assert os.listdir(tmp_path) == ["export"]


def test_every_file_is_listed_with_its_hash(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"")
    files = file_list(tmp_path)
    assert list(files) == ["a", "deep/b"]
    # The known hash of "abc" (FIPS 180-4, appendix).
    assert files["deep/b"] == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
    }
    assert files["a"]["sha256"] == hashlib.sha256().hexdigest()
