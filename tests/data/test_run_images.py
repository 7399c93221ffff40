"""Which images a run is tried on, and that they are prepared as in training."""

import dataclasses

import cv2
import numpy as np
import pytest
from PIL import Image

from dfcvae_tf.config import Config, DataConfig
from dfcvae_tf.data import run_images
from dfcvae_tf.data.folder_layout import is_test_file
from dfcvae_tf.data.mnist_sample import SAMPLE_PATH
from dfcvae_tf.data.pipeline import eval_batches
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import read_arrays


def config_of(image_shape=(28, 28, 1), **data) -> Config:
    return Config(data=DataConfig(**data), image_shape=image_shape)


@pytest.mark.parametrize("dataset", ["mnist", "tfds:mnist", "mnist_sample"])
def test_runs_on_mnist_use_the_bundled_test_split(dataset):
    config = config_of(dataset=dataset, data_dir="theirs", offline=True)
    data = run_images.evaluation_data(config, None, None, False)
    assert data.dataset == "mnist_sample"


def test_own_dataset_is_kept_unless_another_is_given():
    own = DataConfig(
        dataset="tfds:cifar10",
        data_dir="theirs",
        image_size=(32, 48),
        color="grey",
        crop="none",
    )
    config = Config(data=own)
    assert run_images.evaluation_data(config, None, None, False) == own
    moved = run_images.evaluation_data(config, None, "here", True)
    assert moved == dataclasses.replace(own, data_dir="here", offline=True)
    other = run_images.evaluation_data(config, "mnist", None, False)
    assert other == dataclasses.replace(own, dataset="mnist", data_dir=None)


def test_how_folders_were_read_holds_for_the_own_data_only():
    config = config_of(dataset="folder:a", subfolders="ignore")
    for dataset, expected in (
        (None, "ignore"),
        ("folder:a", "ignore"),
        ("folder:b", "auto"),
    ):
        data = run_images.evaluation_data(config, dataset, None, False)
        assert data.subfolders == expected


def test_images_are_those_of_the_indices():
    config = config_of()
    indices = [9999, 5531, 0, 5531]
    images, labels = run_images.images_at(config, config.data, indices)
    arrays = read_arrays(SAMPLE_PATH)
    assert images.dtype == np.float32 and labels.dtype == np.int64
    np.testing.assert_allclose(images, arrays["test_images"][indices] / 255, atol=1e-7)
    np.testing.assert_array_equal(labels, arrays["test_labels"][indices])


def test_images_are_prepared_as_in_training():
    # 20x30 RGB from 28x28 grey: cropped, resized, coloured; shapes depend on the seed.
    config = config_of((20, 30, 3), dataset="synthetic")
    config = dataclasses.replace(
        config, training=dataclasses.replace(config.training, seed=3)
    )
    images, labels = run_images.images_at(config, config.data, [7, 2])
    source = open_source(config.data, seed=3)
    (batch,) = eval_batches(source, "test", config.data, (20, 30, 3), 500)
    np.testing.assert_array_equal(images, batch["image"].numpy()[[7, 2]])
    np.testing.assert_array_equal(labels, batch["label"].numpy()[[7, 2]])


@pytest.mark.parametrize(
    ("image_shape", "crop"), [((16, 16, 1), "center"), ((12, 30, 3), "none")]
)
def test_a_file_looks_as_it_does_in_a_folder(tmp_path, image_shape, crop):
    rng = np.random.default_rng(0)
    files = [tmp_path / f"{index:02d}.png" for index in range(40)]
    for file in files:
        pixels = rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)
        file.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    config = config_of(image_shape, dataset=f"folder:{tmp_path}", crop=crop)
    images, labels = run_images.images_at(config, config.data, [1])
    assert labels is None
    second = [file for file in files if is_test_file(file.name)][1]
    np.testing.assert_array_equal(run_images.image_from_file(config, second), images[0])


def test_an_odd_file_is_what_it_is_in_a_folder(tmp_path):
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (24, 40, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    for index in range(30):
        Image.fromarray(photo).save(tmp_path / f"{index:02d}.png", exif=exif)
    deep = rng.integers(0, 4096, (24, 40, 1)).astype(np.uint16)
    (tmp_path / "99.png").write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    config = config_of(
        (20, 12, 3),
        dataset=f"folder:{tmp_path}",
        cache="none",
        background="black",
        bit_depth=12,
    )
    source = open_source(config.data, seed=0)
    batches = eval_batches(source, "train", config.data, (20, 12, 3), 100)
    (batch,) = batches.as_numpy_iterator()
    for place in (0, -1):
        path = tmp_path / source.image_names("train")[place]
        found = run_images.image_from_file(config, path)
        np.testing.assert_array_equal(found, batch["image"][place])
    assert path.name == "99.png"
    unknown = config_of((20, 12, 3))
    with pytest.raises(UserError, match="99.png has 16 bits .* 12 in use"):
        run_images.image_from_file(unknown, path)


@pytest.mark.parametrize("index", [-1, 10_000, 10**20])
def test_an_index_out_of_range_is_told_the_range(index):
    config = config_of()
    with pytest.raises(UserError, match=f"no test image {index}; .* are 0 to 9999"):
        run_images.images_at(config, config.data, [0, index])


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(UserError, match="cannot read image .*absent.png"):
        run_images.image_from_file(config_of(), tmp_path / "absent.png")
