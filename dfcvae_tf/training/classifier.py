"""Trains a small classifier on a labelled image source."""

import dataclasses
import math
import os
import platform
import shlex
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import SPLITS, Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file, write_arrays
from dfcvae_tf.images import to_float
from dfcvae_tf.perceptual.classifiers import build_classifier
from dfcvae_tf.weights import get_arrays

# Largest random shift in pixels and rotation in degrees of a training image.
MAX_SHIFT = 2.0
MAX_ROTATION = 12.0

_TEST_BATCH_SIZE = 500


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained."""

    network: str = "mnist_classifier"
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class Result:
    """A trained classifier. `accuracy` is that on all test images, in [0, 1]."""

    model: tf.keras.Model
    accuracy: float
    num_test: int
    seconds: float


def train_classifier(source: Source, settings: Settings) -> Result:
    """Trains a classifier on the training split and tests it on the test split.

    Adam whose learning rate falls to 0 along a cosine; cross-entropy; every image is
    shifted and rotated a little, anew in each epoch. The same settings and data give the
    same classifier on the same machine. Sets the global seeds of Python, NumPy and
    TensorFlow.

    Args:
      source: images with labels; all of one size, which the network is built for.
      settings: the network's name and how it is trained.

    Raises:
      UserError: the source has no labels or some that are no class, images of several
        sizes, too few images, or images that do not suit the network; or training
        diverged.
    """
    start = time.perf_counter()
    shape = _check(source, settings)
    tf.keras.utils.set_random_seed(settings.seed)
    model = build_classifier(settings.network, shape, len(source.class_names))
    images, labels = read_split(source, "train")
    batches_per_epoch = len(images) // settings.batch_size
    steps = batches_per_epoch * settings.epochs
    optimizer = tf.keras.optimizers.Adam(
        tf.keras.optimizers.schedules.CosineDecay(settings.learning_rate, steps)
    )
    train_step = _build_train_step(model, optimizer, settings.seed)
    order = np.random.default_rng(settings.seed)
    with tqdm(total=steps, unit="step", desc=settings.network) as progress:
        for epoch in range(settings.epochs):
            losses = []
            # The last, smaller batch is left out; the order differs in each epoch, so
            # that no image is left out of all of them.
            shuffled = order.permutation(len(images))
            for index in range(batches_per_epoch):
                first = index * settings.batch_size
                batch = shuffled[first : first + settings.batch_size]
                step = tf.constant(epoch * batches_per_epoch + index)
                losses.append(train_step(images[batch], labels[batch], step))
                progress.update()
            loss = float(tf.reduce_mean(losses))
            progress.set_postfix(epoch=epoch + 1, loss=f"{loss:.4f}")
            if not math.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} after epoch {epoch + 1}; choose a smaller "
                    f"--learning_rate than {settings.learning_rate}"
                )
    images, labels = read_split(source, "test")
    accuracy = compute_accuracy(model, images, labels)
    return Result(model, accuracy, len(images), time.perf_counter() - start)


def read_split(source: Source, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads a whole split of a labelled source whose images have one size.

    Returns:
      Images, uint8 [N, H, W, C], and labels, int64 [N], in the source's order.
    """
    images, labels = [], []
    for batch in source.dataset(split).batch(1000).prefetch(1).as_numpy_iterator():
        images.append(batch["image"])
        labels.append(batch["label"])
    return np.concatenate(images), np.concatenate(labels)


def compute_accuracy(
    model: tf.keras.Model, images: np.ndarray, labels: np.ndarray
) -> float:
    """Returns the share, in [0, 1], of images whose largest logit is their label's.

    Args:
      model: maps float32 [N, H, W, C] in [0, 1] to logits [N, classes].
      images: uint8 [N, H, W, C], N at least 1.
      labels: int [N].
    """

    @tf.function(reduce_retracing=True)
    def predict(batch):
        return tf.argmax(model(to_float(batch), training=False), axis=-1)

    correct = 0
    for first in range(0, len(images), _TEST_BATCH_SIZE):
        part = slice(first, first + _TEST_BATCH_SIZE)
        correct += int(np.sum(predict(images[part]).numpy() == labels[part]))
    return correct / len(images)


def write_classifier(path: str | os.PathLike, model: tf.keras.Model) -> None:
    """Writes a classifier, atomically.

    Args:
      path: NAME.npz: the named arrays, as bundled with the package; NAME.keras: the
        whole model, for --perceptual_model=file:NAME.keras.
      model: the classifier.

    Raises:
      UserError: the disk is full or not writable.
    """
    if Path(path).suffix == ".npz":
        write_arrays(path, get_arrays(model))
        return
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "classifier.keras"
        model.save(temporary)
        with atomic_file(path) as file:
            file.write(temporary.read_bytes())


def write_card(
    path: str | os.PathLike,
    source: Source,
    settings: Settings,
    result: Result,
    data: DataConfig,
) -> None:
    """Writes what a classifier is and how it was made, as Markdown, atomically.

    Args:
      path: of the classifier's file; the card takes its name, ending in .md.
      source: the data it was trained and tested on.
      settings: how it was trained.
      result: what came out.
      data: where the source was found and how; what differs from the default is told.

    Raises:
      UserError: the disk is full or not writable.
    """
    path = Path(path)
    model = result.model
    command = shlex.join(
        [
            *("python", "-m", "dfcvae_tf.train_classifier"),
            f"--dataset={source.name}",
            *_data_flags(data),
            f"--output={path.name}",
            *(f"--{name}={value}" for name, value in vars(settings).items()),
        ]
    )
    text = f"""# {path.stem}

- Network: `{settings.network}` (`dfcvae_tf/perceptual/classifiers.py`),
  {model.count_params()} parameters
- Input: float32 {list(model.inputs[0].shape[1:])} in [0, 1]; output: logits of
  {", ".join(source.class_names)}
- Data: {source.description}; trained on all {source.num_examples["train"]} training
  images, each shifted by up to {MAX_SHIFT:g} pixels and rotated by up to
  {MAX_ROTATION:g} degrees
- Accuracy on all {result.num_test} test images: {result.accuracy:.2%}
- Seed: {settings.seed}
- Made with: `{command}`
- Versions: Python {platform.python_version()}, TensorFlow {tf.__version__},
  Keras {version("keras")}, NumPy {np.__version__}
- Time: {result.seconds:.0f} s on {os.cpu_count()} CPU cores
"""
    with atomic_file(path.with_suffix(".md")) as file:
        file.write(text.encode())


def _data_flags(data: DataConfig) -> list[str]:
    """How the images are found, where not by default; the dataset itself aside."""
    default, flags = DataConfig(dataset=data.dataset), []
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if value != getattr(default, field.name):
            flags.append(
                f"--{field.name}" if value is True else f"--{field.name}={value}"
            )
    return flags


def _check(source: Source, settings: Settings) -> tuple[int, int, int]:
    if len(source.class_names) < 2:
        raise UserError(
            f"{source.name} has no labels to learn; a classifier needs a dataset with "
            "at least two classes"
        )
    height, width, channels = source.image_shape
    if height is None or width is None:
        raise UserError(
            f"the images of {source.name} have several sizes; a classifier needs one"
        )
    if source.num_examples["train"] < settings.batch_size:
        raise UserError(
            f"{source.name} has {source.num_examples['train']} training images; choose "
            f"a --batch_size of at most that, got {settings.batch_size}"
        )
    if source.num_examples["test"] < 1:
        raise UserError(f"{source.name} has no test images to measure the accuracy on")
    for split in SPLITS:
        labels = source.read_labels(split)
        assert labels is not None  # there are classes
        unknown = labels[(labels < 0) | (labels >= len(source.class_names))]
        if len(unknown):
            raise UserError(
                f"{len(unknown)} of the {len(labels)} {split} images of {source.name} "
                f"have a label such as {unknown[0]}, which is none of its "
                f"{len(source.class_names)} classes; a classifier needs a dataset with "
                "the label of every image"
            )
    return height, width, channels


def _build_train_step(
    model: tf.keras.Model, optimizer: tf.keras.optimizers.Optimizer, seed: int
):
    """Returns train_step(images uint8 [N, H, W, C], labels [N], step []) -> loss []."""

    @tf.function
    def train_step(images, labels, step):
        images = _augment(to_float(images), tf.stack([seed, step]))
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            )
        variables = model.trainable_variables
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return train_step


def _augment(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Shifts and rotates each image [H, W, C] of a batch on its own; 0 fills the rim."""
    count = images.shape[0]
    height, width = images.shape[1:3]
    draw = tf.random.stateless_uniform([3, count], seed, -1.0, 1.0)
    angle = draw[0] * (MAX_ROTATION * math.pi / 180.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    # Rotation about the image's centre (y, x), then the shift: what
    # ImageProjectiveTransformV3 wants is the input position of each output position.
    y, x = (height - 1) / 2.0, (width - 1) / 2.0
    shift_x = x - x * cos + y * sin + draw[1] * MAX_SHIFT
    shift_y = y - x * sin - y * cos + draw[2] * MAX_SHIFT
    zero = tf.zeros_like(angle)
    transforms = tf.stack([cos, -sin, shift_x, sin, cos, shift_y, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
    )
