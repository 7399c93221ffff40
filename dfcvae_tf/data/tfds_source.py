"""Any TensorFlow Datasets set with images as a source."""

import difflib
import logging
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging as absl_logging

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import Source, collect_labels, digest_of, elements_at
from dfcvae_tf.errors import UserError

NETWORK_TIMEOUT_SECONDS = 10
WITHOUT_NETWORK = "--dataset=mnist_sample needs no network"


def open_tfds(name: str, tfds_name: str, config: DataConfig) -> Source:
    """Opens a set of TensorFlow Datasets, preparing it first when that is needed.

    What is prepared under `config.data_dir` is read without any use of the network, and
    never written to. The test split is the set's "test", else its "validation", else
    the last tenth of "train". Labels are those of the feature "label", if there is one;
    attributes those of a feature "attributes" made of yes or no, sorted by name, as
    `celeb_a` has them.

    Args:
      name: the source's name.
      tfds_name: NAME, NAME/CONFIG or NAME/CONFIG:VERSION.
      config: `data_dir`, `offline` and `background` are used.

    Raises:
      UserError: the set is unknown, has no images, or is not there and cannot be had.
    """
    logging.getLogger("absl").addFilter(_is_news)
    builder = _prepared_builder(tfds_name, config.data_dir)
    if builder is None:
        if config.offline:
            raise UserError(
                f"{tfds_name} is not prepared in {_data_dir(config)} and --offline "
                f"forbids fetching it; {WITHOUT_NETWORK}"
            )
        builder = _download(tfds_name, config)

    features = _features(tfds_name, builder)
    stored_shape = _image_shape(tfds_name, features)
    height, width, channels = stored_shape
    class_names = _class_names(features.get("label"))
    attribute_names = _attribute_names(features.get("attributes"))
    splits, split_text = _splits(tfds_name, builder)
    infos = {split: builder.info.splits[part] for split, part in splits.items()}
    num_examples = {split: info.num_examples for split, info in infos.items()}
    if not all(num_examples.values()):
        raise UserError(
            f"tfds:{tfds_name} is too small: {num_examples['train']} images for "
            f"training, {num_examples['test']} for testing{split_text}"
        )
    if channels == 4:
        absl_logging.warning(
            "tfds:%s has images with transparency, which are laid on %s",
            tfds_name,
            config.background,
        )

    def dataset(split: str, places: np.ndarray | None) -> tf.data.Dataset:
        return _dataset(
            builder,
            splits[split],
            stored_shape,
            bool(class_names),
            attribute_names,
            config.background,
            places,
        )

    sizes = [f"{s} {info.num_examples} {info.num_bytes}" for s, info in infos.items()]
    return Source(
        name=name,
        description=f"TensorFlow Datasets {builder.info.full_name}{split_text}",
        num_examples=num_examples,
        image_shape=(height, width, min(channels, 3)),
        class_names=class_names,
        dataset=lambda split: dataset(split, None),
        digest=digest_of([builder.info.full_name, *sizes]),
        attribute_names=attribute_names,
        labels=lambda split: collect_labels(
            _read(builder, splits[split], {"label": True})
        ),
        dataset_at=dataset,
    )


def _features(tfds_name: str, builder: Any) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    if not isinstance(builder.info.features, tfds.features.FeaturesDict):
        raise UserError(f"tfds:{tfds_name} has no named features; choose another set")
    return dict(builder.info.features.items())


def _image_shape(
    tfds_name: str, features: dict[str, Any]
) -> tuple[int | None, int | None, int]:
    import tensorflow_datasets as tfds

    image = features.get("image")
    if not isinstance(image, tfds.features.Image):
        raise UserError(
            f"tfds:{tfds_name} has no feature 'image', but {', '.join(sorted(features))}; "
            "choose a set of images"
        )
    dtype, channels = np.dtype(image.np_dtype), image.shape[2]
    if dtype != np.uint8 or channels not in (1, 3, 4):
        raise UserError(
            f"the images of tfds:{tfds_name} are {dtype} with {channels} channels; "
            "usable are uint8 with 1, 3 or 4"
        )
    return image.shape


def _dataset(
    builder: Any,
    part: str,
    shape: tuple[int | None, int | None, int],
    labelled: bool,
    attribute_names: tuple[str, ...],
    background: str,
    places: np.ndarray | None,
) -> tf.data.Dataset:
    """Reads a split: image, label if there are labels, attributes if there are any.

    Of some places only, where they are given; no other image is decoded.
    """
    wanted: dict[str, Any] = {"image": True}
    if labelled:
        wanted["label"] = True
    if attribute_names:
        wanted["attributes"] = dict.fromkeys(attribute_names, True)

    def keep(example: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        kept = {"image": _on_ground(_decode(example["image"], shape), background)}
        if labelled:
            kept["label"] = tf.cast(example["label"], tf.int64)
        if attribute_names:
            found = [example["attributes"][name] for name in attribute_names]
            kept["attributes"] = tf.cast(tf.stack(found), tf.int8)
        return kept

    encoded = _read(builder, part, wanted)
    if places is not None:
        encoded = elements_at(encoded, places)
    return encoded.map(keep, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _read(builder: Any, part: str, wanted: dict[str, Any]) -> tf.data.Dataset:
    """Reads some features of a split; an image stays the bytes it is stored as."""
    import tensorflow_datasets as tfds

    as_stored = {"image": tfds.decode.SkipDecoding()} if "image" in wanted else None
    return builder.as_dataset(
        split=part,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted, as_stored),
        # The pipeline caches what it needs, after resizing.
        read_config=tfds.ReadConfig(try_autocache=False),
    )


def _decode(
    contents: tf.Tensor, shape: tuple[int | None, int | None, int]
) -> tf.Tensor:
    """Decodes an image as stored, to uint8 [H, W, C]; a JPEG as `picture_files` does."""
    channels = shape[2]

    def other() -> tf.Tensor:
        return tf.io.decode_image(contents, channels, expand_animations=False)

    def jpeg() -> tf.Tensor:
        return tf.io.decode_jpeg(contents, channels, dct_method="INTEGER_ACCURATE")

    if channels == 4:  # which no JPEG has
        return tf.ensure_shape(other(), shape)
    return tf.ensure_shape(tf.cond(tf.io.is_jpeg(contents), jpeg, other), shape)


def _on_ground(image: tf.Tensor, background: str) -> tf.Tensor:
    """Lays an image uint8 [H, W, C] on a ground; of four channels the last is alpha."""
    if image.shape[-1] != 4:
        return image
    values = tf.cast(image, tf.int32)
    values, alpha = values[..., :-1], values[..., -1:]
    ground = 255 if background == "white" else 0
    # Rounded: no quotient by 255 lies halfway between two numbers.
    return tf.cast((values * alpha + ground * (255 - alpha) + 127) // 255, tf.uint8)


def _class_names(feature: Any) -> tuple[str, ...]:
    """Returns the names of the classes of a label; none of any other feature."""
    import tensorflow_datasets as tfds

    labelled = isinstance(feature, tfds.features.ClassLabel)
    return tuple(feature.names) if labelled else ()


def _is_news(record: logging.LogRecord) -> bool:
    """False for what TensorFlow Datasets says of its own code at every start."""
    return "`FeatureConnector.dtype` is deprecated" not in record.getMessage()


def _attribute_names(feature: Any) -> tuple[str, ...]:
    """Returns the sorted names of a dictionary of booleans; none of any other feature."""
    import tensorflow_datasets as tfds

    if not isinstance(feature, tfds.features.FeaturesDict):
        return ()
    parts = dict(feature.items())
    if any(part.shape != () or part.np_dtype != np.bool_ for part in parts.values()):
        return ()
    return tuple(sorted(parts))


def _prepared_builder(tfds_name: str, data_dir: str | None) -> Any:
    """Returns the builder of a prepared set, made from its files alone, or None."""
    from tensorflow_datasets.core import read_only_builder, registered

    where = {"data_dir": data_dir} if data_dir else {}
    try:
        return read_only_builder.builder_from_files(tfds_name, **where)
    except registered.DatasetNotFoundError:
        return None
    except Exception as error:
        raise UserError(
            f"cannot open the prepared set {tfds_name}: {_first_line(error)}"
        ) from error


def _download(tfds_name: str, config: DataConfig) -> Any:
    """Downloads and prepares a set; returns its builder."""
    import requests
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(tfds_name, data_dir=config.data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        known = tfds.list_builders(with_community_datasets=False)
        raise _unknown_set(tfds_name, known) from error
    except Exception as error:
        raise UserError(
            f"cannot open tfds:{tfds_name}: {_first_line(error)}"
        ) from error
    try:
        _check_network(builder)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except tfds.download.DownloadError as error:
        raise UserError(
            f"cannot download {tfds_name}: {_first_line(error)}; {WITHOUT_NETWORK}"
        ) from error
    except requests.exceptions.RequestException as error:
        raise UserError(
            f"cannot download {tfds_name}: no network, or its server does not answer "
            f"({type(error).__name__}); {WITHOUT_NETWORK}"
        ) from error
    except ImportError as error:
        raise UserError(
            f"preparing {tfds_name} needs the Python package {error.name}, which is "
            f"not installed; pip install {error.name}"
        ) from error
    except Exception as error:
        # Preparing runs the set's own code: full disks, changed files on the server,
        # missing packages and files to be fetched by hand all arrive as their own types.
        raise UserError(
            f"cannot prepare {tfds_name} in {_data_dir(config)}: "
            f"{type(error).__name__}: {_first_line(error)}"
        ) from error
    return builder


def _check_network(builder: Any) -> None:
    """Asks the set's server for one header, raising requests' error when there is none.

    TensorFlow Datasets itself tries for more than three minutes before it gives up.
    """
    import requests

    for url in list(builder.url_infos or {})[:1]:
        if url.startswith("http"):
            requests.head(url, timeout=NETWORK_TIMEOUT_SECONDS)


def _splits(tfds_name: str, builder: Any) -> tuple[dict[str, str], str]:
    """Returns our split -> theirs, and what to say about it."""
    available = builder.info.splits
    if "train" not in available:
        raise UserError(
            f"tfds:{tfds_name} has no split 'train', but {', '.join(sorted(available))}"
        )
    if "test" in available:
        return {"train": "train", "test": "test"}, ""
    if "validation" in available:
        return {"train": "train", "test": "validation"}, " (test = its validation)"
    text = " (test = the last 10 % of train)"
    return {"train": "train[:90%]", "test": "train[90%:]"}, text


def _unknown_set(tfds_name: str, known: list[str]) -> UserError:
    # The whole list is some 400 names: too much for a line.
    close = difflib.get_close_matches(tfds_name.split("/")[0], known, n=3)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return UserError(
        f"no TensorFlow Datasets set is called {tfds_name!r}; {hint}"
        "https://www.tensorflow.org/datasets/catalog lists them"
    )


def _data_dir(config: DataConfig) -> str:
    import tensorflow_datasets as tfds

    return config.data_dir or str(tfds.core.constants.DATA_DIR)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
