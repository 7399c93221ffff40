import numpy as np
import pytest

from dfcvae_tf.data.celeba_lists import first_and_count, read_attributes, read_partition
from dfcvae_tf.errors import UserError

LIST = "2\nBald Male Young\n000001.jpg  1 -1  1\n000002.jpg -1 -1 -1\n"


def _write(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        LIST,
        LIST.replace("\n", "\r\n"),
        LIST.replace("Young", "Young ").rstrip(),
        "\ufeff" + LIST + "\n\n",
    ],
)
def test_reads_every_way_of_ending_lines(tmp_path, text):
    found = read_attributes(_write(tmp_path, text))
    assert found.names == ("Bald", "Male", "Young")
    assert found.files == ("000001.jpg", "000002.jpg")
    assert found.values.dtype == np.int8
    assert found.values.tolist() == [[1, 0, 1], [0, 0, 0]]
    assert found.announced == 2


def test_a_wrong_count_is_kept_for_others_to_report(tmp_path):
    found = read_attributes(_write(tmp_path, LIST.replace("2\n", "202598\n", 1)))
    assert found.announced == 202598 and len(found.files) == 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "2\nBald",
            "<!DOCTYPE html>\nBald",
            "line 1: '<!DOCTYPE html>' is not the number",
        ),
        ("2\nBald", "\nBald", "line 1: '' is not the number"),
        ("2\nBald", "+2\nBald", "line 1: .* is not the number"),
        ("Bald Male Young", "Bald Male Bald", "line 2: .* each once"),
        ("Bald Male Young", "", "line 2: .* each once"),
        ("000001.jpg  1 -1  1", "000001.jpg  1 -1", "line 3: 2 values for 3"),
        (
            "000002.jpg -1 -1 -1",
            "000002.jpg -1 -1 0",
            "line 4: Young is '0'; .* -1 or 1",
        ),
        ("000002", "000001", "line 4: 000001.jpg for the second time"),
        (LIST[16:], "", "has no images"),
        (LIST, "", "line 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, old, new, said):
    assert old in LIST
    with pytest.raises(UserError, match=said) as raised:
        read_attributes(_write(tmp_path, LIST.replace(old, new)))
    assert "\n" not in str(raised.value)


def test_other_files_are_the_users_to_mend(tmp_path):
    with pytest.raises(UserError, match="cannot read .*absent"):
        read_attributes(tmp_path / "absent")
    (tmp_path / "image").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match="image is not a text file"):
        read_partition(tmp_path / "image")


def test_partition(tmp_path):
    path = _write(tmp_path, "a.jpg 0\r\nb.jpg 1\r\nc.jpg 2\r\n\r\n")
    assert read_partition(path) == {
        "a.jpg": "train",
        "b.jpg": "validation",
        "c.jpg": "test",
    }
    for bad in ("b.jpg 3", "b.jpg", "b.jpg 0 1", "a.jpg 1"):
        with pytest.raises(UserError, match="line 2"):
            read_partition(_write(tmp_path, f"a.jpg 0\n{bad}\n"))


def test_first_and_count():
    assert first_and_count(["a"]) == "a"
    assert first_and_count(["b", "a", "c"]) == "b and 2 more"
