import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import requests
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError
from tests.made_files import write_prepared_set

# Of the official sets, digits 0 to 9.
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def _make(
    data_dir,
    splits,
    *,
    channels=3,
    labelled=True,
    image="image",
    attributes=(),
    pictures=None,
):
    """Prepares a set "tiny": image number i is filled with i, its label is i % 2.

    Attribute number k of it is bit k of i. With pictures, uint8 [N, 4, 5, 3], image
    number i is the JPEG of that one.
    """
    import tensorflow_datasets as tfds

    encoding = None if pictures is None else "jpeg"
    features = {
        image: tfds.features.Image(shape=(4, 5, channels), encoding_format=encoding)
    }
    if labelled:
        features["label"] = tfds.features.ClassLabel(names=["even", "odd"])
    if attributes:
        features["attributes"] = dict.fromkeys(attributes, np.bool_)
        features["landmarks"] = {"nose_x": np.int64}
    features = tfds.features.FeaturesDict(features)
    examples = {}
    for split, count in splits.items():
        examples[split] = []
        for number in range(count):
            example = {image: np.full((4, 5, channels), number, np.uint8)}
            if pictures is not None:
                example[image] = pictures[number]
            if labelled:
                example["label"] = number % 2
            if attributes:
                bits = [bool(number >> k & 1) for k in range(len(attributes))]
                example["attributes"] = dict(zip(attributes, bits, strict=True))
                example["landmarks"] = {"nose_x": 0}
            examples[split].append(example)
    write_prepared_set(data_dir, "tiny", "1.0.0", features, examples)


def _open(data_dir, name="tfds:tiny", offline=True, **options):
    config = DataConfig(
        dataset=name, data_dir=str(data_dir), offline=offline, **options
    )
    return open_source(config, seed=0)


def _values(source, split):
    return [int(e["image"].max()) for e in source.dataset(split).as_numpy_iterator()]


@pytest.mark.parametrize("offline", [True, False])
def test_labelled_set_with_test_split(tmp_path, offline):
    _make(tmp_path, {"train": 6, "test": 3, "validation": 2})
    source = _open(tmp_path, offline=offline)
    assert source.num_examples == {"train": 6, "test": 3}
    assert source.image_shape == (4, 5, 3)
    assert source.class_names == ("even", "odd")
    assert "tiny/1.0.0" in source.description
    examples = list(source.dataset("train").as_numpy_iterator())
    assert all(e["image"].shape == (4, 5, 3) for e in examples)
    assert all(e["image"].max() % 2 == e["label"] for e in examples)
    assert examples[0]["label"].dtype == np.int64
    assert sorted(_values(source, "train")) == list(range(6))
    assert _values(source, "train") == _values(source, "train")


def test_validation_stands_in_for_test(tmp_path):
    _make(tmp_path, {"train": 6, "validation": 2})
    source = _open(tmp_path)
    assert source.num_examples == {"train": 6, "test": 2}
    assert "validation" in source.description


def test_last_tenth_of_train_stands_in_for_test_and_labels_are_optional(tmp_path):
    _make(tmp_path, {"train": 20}, labelled=False)
    source = _open(tmp_path)
    assert source.num_examples == {"train": 18, "test": 2}
    assert "last 10 % of train" in source.description
    assert source.class_names == () and source.image_shape == (4, 5, 3)
    assert set(source.dataset("test").element_spec) == {"image"}
    both = _values(source, "train") + _values(source, "test")
    assert sorted(both) == list(range(20))


def test_transparency_is_laid_on_the_ground(tmp_path):
    # In every channel the image's number, so its alpha too.
    _make(tmp_path, {"train": 256, "test": 1}, channels=4, labelled=False)
    numbers = np.arange(256)
    for background, ground in (("white", 255), ("black", 0)):
        source = _open(tmp_path, background=background)
        assert source.image_shape == (4, 5, 3)
        images = [e["image"] for e in source.dataset("train").as_numpy_iterator()]
        alpha = numbers / 255
        expected = np.rint(numbers * alpha + ground * (1 - alpha))
        shape = (256, 4, 5, 3)
        np.testing.assert_array_equal(
            images, np.broadcast_to(expected[:, None, None, None], shape)
        )


def test_a_jpeg_is_what_opencv_makes_of_it(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (20, 4, 5, 3), np.uint8)
    _make(tmp_path, {"train": 20, "test": 1}, labelled=False, pictures=pictures)
    record = next(iter(tf.data.TFRecordDataset(str(next(tmp_path.rglob("*train*"))))))
    stored = tf.train.Example.FromString(record.numpy()).features.feature["image"]
    contents = np.frombuffer(stored.bytes_list.value[0], np.uint8)
    found = next(_open(tmp_path).dataset("train").as_numpy_iterator())["image"]
    np.testing.assert_array_equal(found, cv2.imdecode(contents, 1)[..., ::-1])


def test_attributes_as_celeb_a_has_them(tmp_path):
    names = ("Young", "5_o_Clock_Shadow", "Male")
    _make(tmp_path, {"train": 8, "test": 2}, labelled=False, attributes=names)
    source = _open(tmp_path)
    assert source.attribute_names == ("5_o_Clock_Shadow", "Male", "Young")
    assert source.image_names("test") == ["0", "1"]
    found = list(source.dataset("train").as_numpy_iterator())
    assert set(found[0]) == {"image", "attributes"}
    for example in found:
        number = int(example["image"].max())
        bits = [number >> names.index(name) & 1 for name in source.attribute_names]
        assert example["attributes"].dtype == np.int8
        assert example["attributes"].tolist() == bits


def test_unusable_sets_are_the_users_to_mend(tmp_path):
    _make(tmp_path / "other", {"train": 20}, image="picture")
    with pytest.raises(UserError, match="no feature 'image', but label, picture"):
        _open(tmp_path / "other")
    _make(tmp_path / "no_train", {"test": 3})
    with pytest.raises(UserError, match="no split 'train', but test"):
        _open(tmp_path / "no_train")
    _make(tmp_path / "bad", {"train": 20})
    info = tmp_path / "bad" / "tiny" / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text()[:100])
    with pytest.raises(UserError, match="cannot open the prepared set tiny"):
        _open(tmp_path / "bad")


def test_absent_data_offline_says_what_was_looked_for(tmp_path):
    for name in ("mnist", "tfds:mnist", "tfds:no_such_set"):
        with pytest.raises(UserError) as raised:
            _open(tmp_path, name)
        message = str(raised.value)
        assert name.removeprefix("tfds:") in message and str(tmp_path) in message
        assert "--dataset=mnist_sample" in message and "\n" not in message


def test_unknown_set_names_close_ones(tmp_path):
    with pytest.raises(UserError, match=r"did you mean mnist\b"):
        _open(tmp_path, "tfds:mnits", offline=False)


def _fail_to_prepare(monkeypatch, error, url_infos):
    import tensorflow_datasets as tfds

    def fail(**kwargs):
        raise error

    builder = SimpleNamespace(url_infos=url_infos, download_and_prepare=fail)
    monkeypatch.setattr(tfds, "builder", lambda *args, **kwargs: builder)


def test_no_network_is_said_at_once(tmp_path, monkeypatch):
    def no_network(url, timeout):
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr(requests, "head", no_network)
    tried = AssertionError("tried to prepare")
    _fail_to_prepare(monkeypatch, tried, {"https://example.org/x": None})
    with pytest.raises(UserError, match="no network.*--dataset=mnist_sample"):
        _open(tmp_path, "mnist", offline=False)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (ImportError("No module named 'x'", name="some_package"), "some_package"),
        (ValueError("checksum\nmany lines"), "ValueError: checksum"),
    ],
)
def test_failing_preparation_is_one_line(tmp_path, monkeypatch, error, said):
    _fail_to_prepare(monkeypatch, error, {})
    with pytest.raises(UserError, match=re.escape(said)) as raised:
        _open(tmp_path, "mnist", offline=False)
    assert "\n" not in str(raised.value)


def test_whole_mnist(shared_data):
    source = _open(shared_data / "tfds", "mnist")
    assert source.num_examples == {"train": 60_000, "test": 10_000}
    assert source.image_shape == (28, 28, 1)
    assert source.class_names == tuple("0123456789")
    # Sums of all pixels, from the original files.
    for split, counts, mean in (
        ("train", TRAIN_COUNTS, 33.318421),
        ("test", TEST_COUNTS, 33.791224),
    ):
        batches = list(source.dataset(split).batch(5000).as_numpy_iterator())
        labels = np.concatenate([batch["label"] for batch in batches])
        assert np.bincount(labels).tolist() == counts
        total = sum(batch["image"].sum(dtype=np.int64) for batch in batches)
        assert total / (len(labels) * 784) == pytest.approx(mean, abs=1e-5)
        if split == "train":
            assert labels[:10].tolist() == [4, 1, 0, 7, 8, 1, 2, 7, 1, 6]


def test_some_places_alone_are_decoded(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    _make(tmp_path, {"train": 20, "test": 10})
    source = _open(tmp_path)
    with monkeypatch.context() as context:  # labels need no image
        context.setattr(tfds.features.Image, "decode_example", None)
        np.testing.assert_array_equal(source.read_labels("test"), np.arange(10) % 2)
    some = source.select("test", [2, 3, 9])
    examples = list(some.dataset("test").as_numpy_iterator())
    assert [example["image"][0, 0, 0] for example in examples] == [2, 3, 9]
    assert some.read_labels("test").tolist() == [0, 1, 1]
    assert some.image_names("test") == ["2", "3", "9"]
    assert some.num_examples == {"train": 20, "test": 3}
    assert len(list(some.dataset("train"))) == 20
