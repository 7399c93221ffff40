import os
import shutil
import stat
import zipfile

import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data import celeba_zip
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError

QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head>
<body><p>Too many users have viewed or downloaded this file recently.</p></body></html>"""
SCAN = "\n<html><head><title>Google Drive - Virus scan\n warning</title></head></html>"
ONE = "img_align_celeba/000001.jpg"


@pytest.fixture(name="archive")
def _archive(tiny_celeba, tmp_path):
    path = tmp_path / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tiny_celeba / "img_align_celeba", "img_align_celeba/")
        for file in sorted((tiny_celeba / "img_align_celeba").iterdir()):
            archive.write(file, f"img_align_celeba/{file.name}")
    return path


def _lists(folder):
    return folder / "list_attr_celeba.txt", folder / "list_eval_partition.txt"


def _files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _fails(source, output, said, attributes=None, partition=None):
    before = sorted(os.listdir(output.parent))
    with pytest.raises(UserError, match=said) as raised:
        celeba_zip.unpack(source, output, attributes, partition)
    assert "\n" not in str(raised.value)
    assert sorted(os.listdir(output.parent)) == before


def test_unpacks_what_celeba_reads(tiny_celeba, archive, tmp_path):
    output = tmp_path / "new" / "celeba"
    text = celeba_zip.unpack(archive, output, *_lists(tiny_celeba))
    assert "60 images with 40 attributes" in text
    assert _files(output) == _files(tiny_celeba)
    assert os.listdir(output.parent) == ["celeba"]
    assert stat.S_IMODE(output.stat().st_mode) == 0o777 & ~_umask()
    source = open_source(DataConfig(dataset=f"celeba:{output}"), seed=0)
    assert source.num_examples == {"train": 40, "test": 14}


def _umask():
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_without_a_list_all_of_celeba_must_be_there(archive, tmp_path, monkeypatch):
    output = tmp_path / "celeba"
    _fails(archive, output, "has 60 images, CelebA has 202599")
    monkeypatch.setattr(celeba_zip, "NUM_IMAGES", 60)
    said = celeba_zip.unpack(archive, output, None, None)
    assert "put list_attr_celeba.txt there too" in said
    assert os.listdir(output) == ["img_align_celeba"]


def test_never_overwrites(tiny_celeba, archive, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("empty", "file", "link"):
        _fails(archive, tmp_path / name, "exists", *_lists(tiny_celeba))


def test_lists_that_do_not_fit_are_named(tiny_celeba, archive, tmp_path):
    output = tmp_path / "celeba"
    attributes, partition = _lists(tiny_celeba)
    lines = attributes.read_text().splitlines()
    less, more = tmp_path / "less.txt", tmp_path / "more.txt"
    less.write_text("\n".join(lines[:10] + lines[12:]))
    _fails(archive, output, "no row for 2 .* 60 .*: 000009.jpg and 1 more", less)
    more.write_text("\n".join([*lines, lines[-1].replace("000060", "000061")]))
    _fails(archive, output, "lacks 1 of the 61 .*: 000061.jpg", more)
    parts = tmp_path / "parts.txt"
    parts.write_text("000001.jpg 0\n")
    _fails(archive, output, "no row for 59 .*: 000002.jpg", attributes, parts)
    _fails(archive, output, "cannot read .*absent", tmp_path / "absent", partition)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (QUOTA, r"web page \(Google Drive - Quota exceeded\): .* again in a day"),
        (SCAN, "Virus scan.*warning.*fetch the file with a browser"),
        ("<html>\x1b[2J", r"web page \(without a title\)"),
        ("", r"no zip file.*\(0 bytes\)"),
        ("PK\x03\x04 the beginning", "only the beginning"),
    ],
)
def test_what_is_no_zip_is_recognised(tmp_path, contents, said):
    path = tmp_path / "img_align_celeba.zip"
    path.write_text(contents)
    _fails(path, tmp_path / "celeba", said)


def test_missing_zip(tmp_path):
    _fails(tmp_path / "absent.zip", tmp_path / "celeba", "cannot read .*absent.zip: No")
    _fails(tmp_path, tmp_path / "celeba", "cannot read .*: Is a directory")


def _link():
    entry = zipfile.ZipInfo(ONE)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    "names",
    [
        ["../000001.jpg"],
        ["img_align_celeba/../../000001.jpg"],
        ["/tmp/000001.jpg"],
        ["C:/img_align_celeba/000001.jpg"],
        ["img_align_celeba\\000001.jpg"],
        ["img_align_celeba/000001.jpg/"],
        ["img_align_celeba/000001.jpg\n"],
        ["img_align_celeba/٠٠٠٠٠١.jpg"],
        ["other/000001.jpg"],
        ["000001.jpg"],
        ["__MACOSX/._img_align_celeba"],
        [_link()],
        pytest.param([ONE, ONE], marks=pytest.mark.filterwarnings("ignore:Duplicate")),
    ],
)
def test_only_plain_images_by_their_official_names_pass(
    tiny_celeba, tmp_path, monkeypatch, names
):
    monkeypatch.setattr(celeba_zip, "NUM_IMAGES", len(names))
    path = tmp_path / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"../list_attr_celeba.txt")
    _fails(path, tmp_path / "celeba", "has an entry .* each once")


def test_too_much_is_refused_before_it_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(celeba_zip, "MAX_BYTES", 2**20)
    path = tmp_path / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ONE, bytes(2**20 + 1))
    _fails(path, tmp_path / "celeba", "would unpack to 0.0 GB")


def _flip(archive):
    """Spoils the contents of an image in the middle."""
    with zipfile.ZipFile(archive) as opened:
        offset = opened.getinfo("img_align_celeba/000030.jpg").header_offset
    contents = bytearray(archive.read_bytes())
    contents[offset + 500] ^= 0xFF
    archive.write_bytes(contents)


def _lie(archive):
    """Makes the last entry of the directory announce a size of 1 byte."""
    contents = bytearray(archive.read_bytes())
    entry = contents.rindex(b"PK\x01\x02")
    contents[entry + 24 : entry + 28] = (1).to_bytes(4, "little")
    archive.write_bytes(contents)


def _encrypt(archive):
    contents = bytearray(archive.read_bytes())
    contents[contents.rindex(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(contents)


@pytest.mark.parametrize("spoil", [_flip, _lie, _encrypt])
def test_damage_met_while_unpacking_leaves_nothing(
    tiny_celeba, archive, tmp_path, spoil
):
    spoil(archive)
    output = tmp_path / "celeba"
    _fails(archive, output, "damaged or only part", *_lists(tiny_celeba))


def test_full_disk_leaves_nothing(tiny_celeba, archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    output = tmp_path / "celeba"
    _fails(archive, output, "no space left", *_lists(tiny_celeba))
