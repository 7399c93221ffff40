"""Files that are else downloaded, made of what a test has at hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf


def write_h5(
    path: Path, layers: Mapping[str, Sequence[np.ndarray]], group: str | None = None
) -> str:
    """Writes name -> list of arrays in the layout of Keras' official weight files."""
    with h5py.File(path, "w") as file:
        root = file.create_group(group) if group else file
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            saved = root.create_group(name)
            names = [f"{name}/{w}:0" for w in ("kernel", "bias")[: len(arrays)]]
            saved.attrs["weight_names"] = [n.encode() for n in names]
            for weight, array in zip(names, arrays, strict=True):
                saved[weight] = array
    return str(path)


def write_vgg19(path: Path) -> None:
    """Writes random weights of what precedes relu3_1 in VGG19."""
    rng = np.random.default_rng(0)
    layers, channels = {}, 3
    for name, width in (
        ("block1_conv1", 64),
        ("block1_conv2", 64),
        ("block2_conv1", 128),
        ("block2_conv2", 128),
        ("block3_conv1", 256),
    ):
        shape = (3, 3, channels, width)
        kernel = rng.normal(0, (2 / (9 * channels)) ** 0.5, shape)
        layers[name] = [kernel.astype(np.float32), np.zeros(width, np.float32)]
        channels = width
    write_h5(path, layers)


def write_prepared_set(
    data_dir: Path,
    name: str,
    version: str,
    features: Any,
    examples: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Writes a set as TensorFlow Datasets prepares one.

    Args:
      data_dir: folder of prepared sets.
      name: of the set.
      version: of the set, such as 1.0.0.
      features: a `tfds.features.FeaturesDict`.
      examples: split -> examples, as the features take them.
    """
    import tensorflow_datasets as tfds

    folder = data_dir / name / version
    folder.mkdir(parents=True)
    infos = []
    for split, rows in examples.items():
        path = folder / f"{name}-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as records:
            for row in rows:
                encoded = features.encode_example(row)
                records.write(features.serialize_example(encoded))
        infos.append(
            tfds.core.SplitInfo(name=split, shard_lengths=[len(rows)], num_bytes=0)
        )
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=features,
        split_infos=infos,
        filename_template="{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
    )


def write_mnist(data_dir: Path, digits: Mapping[str, np.ndarray]) -> None:
    """Writes the MNIST of TensorFlow Datasets, made of fewer digits.

    Args:
      data_dir: folder of prepared sets.
      digits: as the file of the bundled sample has them.
    """
    import tensorflow_datasets as tfds

    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
    )
    examples = {
        split: [
            {"image": image, "label": int(label)}
            for image, label in zip(
                digits[f"{split}_images"], digits[f"{split}_labels"], strict=True
            )
        ]
        for split in ("train", "test")
    }
    write_prepared_set(data_dir, "mnist", "3.0.1", features, examples)
