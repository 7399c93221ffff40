"""Which images are shown, and which groups of classes are compared."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfcvae_tf.data.digits import are_digits
from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.names import read_names, separated_by

NUM_SHOWN = 10
ALL = "all"

# The test images that Krasser's article shows, one of each class 0 to 9. It names them by
# their place in the original files of MNIST; TensorFlow Datasets, and the bundled sample
# with it, has the same images in another order.
# {place in t10k-images-idx3-ubyte: place in TensorFlow Datasets}
ARTICLE_INDICES = {
    5531: 1984,
    2553: 2971,
    1432: 5839,
    4526: 115,
    9960: 5722,
    6860: 8461,
    6987: 8190,
    3720: 5051,
    5003: 6819,
    9472: 9117,
}
ARTICLE_INTERPOLATIONS = (("1", "5"), ("1", "3"), ("3", "7"))


@dataclass(frozen=True)
class Selection:
    """Which of N images have which part in an evaluation; rows of `EvaluationImages`.

    Attributes:
      shown: rows of the images shown.
      interpolations: (start, end), rows likewise.
      groups: name -> bool [N], see `class_groups`.
      embedded: rows of the images on the maps, drawn at random; the first of them are
        those that are moved.
    """

    shown: list[int]
    interpolations: list[tuple[int, int]]
    groups: dict[str, np.ndarray]
    embedded: np.ndarray


def select(data: EvaluationImages, settings: Settings) -> Selection:
    """Chooses by the settings.

    Raises:
      UserError: an index is not of these images, or a group does not fit the data.
    """
    count, labels, seed = data.num_images, data.labels, settings.seed
    shown = data.rows_of(settings.indices) or choose_shown(
        count, labels, data.is_mnist, seed
    )
    return Selection(
        shown=shown,
        interpolations=choose_interpolations(shown, labels, data.class_names),
        groups=class_groups(settings.groups, labels, data.class_names, count),
        embedded=np.random.default_rng(seed).permutation(count)[
            : settings.num_embedded
        ],
    )


def choose_shown(
    count: int, labels: np.ndarray | None, is_mnist: bool, seed: int
) -> list[int]:
    """Returns the rows of the images to show where the user names none.

    The article's images on the whole test split of MNIST, else one of each of the first
    ten classes, else any ten.

    Args:
      count: number of images, N.
      labels: [N] int, or None.
      is_mnist: whether the images are the whole test split of MNIST.
      seed: of the choice.
    """
    if is_mnist:
        return list(ARTICLE_INDICES.values())
    rng = np.random.default_rng(seed)
    if labels is None:
        return sorted(rng.choice(count, min(NUM_SHOWN, count), replace=False).tolist())
    classes = np.unique(labels)[:NUM_SHOWN]
    return [int(rng.choice(np.flatnonzero(labels == c))) for c in classes]


def choose_interpolations(
    shown: Sequence[int], labels: np.ndarray | None, class_names: Sequence[str]
) -> list[tuple[int, int]]:
    """Returns up to three (start, end), rows, to interpolate between.

    The article's pairs of digits where the shown images have these, else the first six
    of the shown images in pairs.
    """
    if labels is not None and are_digits(class_names):
        of_class = {class_names[labels[i]]: i for i in reversed(shown)}
        if all(a in of_class and b in of_class for a, b in ARTICLE_INTERPOLATIONS):
            return [(of_class[a], of_class[b]) for a, b in ARTICLE_INTERPOLATIONS]
    return list(zip(shown[0:6:2], shown[1:6:2], strict=False))


def class_groups(
    wanted: Mapping[str, Sequence[str]],
    labels: np.ndarray | None,
    class_names: Sequence[str],
    count: int,
) -> dict[str, np.ndarray]:
    """Returns name -> bool [N]: "all", the groups asked for, then each class.

    Args:
      wanted: group name -> class names; {} for the article's two groups on digits
        (strokes of class 1 are blurred least), else none.
      labels: [N] int, or None.
      class_names: in label order.
      count: number of images, N.

    Raises:
      UserError: a class is unknown or has no image, or there are no labels.
    """
    groups = {ALL: np.ones(count, bool)}
    if labels is None:
        if wanted:
            raise UserError("--groups needs a dataset with labels")
        return groups
    of_class = {name: labels == label for label, name in enumerate(class_names)}
    if not wanted and are_digits(class_names) and of_class["1"].any():
        groups["class ≠ 1"] = ~of_class["1"]
    for name, members in wanted.items():
        if name in groups or name in map(_class_title, class_names):
            raise UserError(f"--groups cannot use {name!r}, which is there already")
        for member in members:
            if member not in of_class:
                raise unknown_name("class", member, class_names)
            if not of_class[member].any():
                raise UserError(
                    f"class {member!r} of group {name!r} has none of the {count} images; "
                    "leave it out of --groups or evaluate more images"
                )
        groups[name] = np.any([of_class[member] for member in members], axis=0)
    return groups | {_class_title(name): mask for name, mask in of_class.items()}


def asked_for(
    groups: Mapping[str, np.ndarray], class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Returns the groups to show side by side: those asked for, else "all".

    On digits, class 1 stands beside all others.
    """
    classes = [_class_title(name) for name in class_names]
    chosen = {n: mask for n, mask in groups.items() if n != ALL and n not in classes}
    if "class ≠ 1" in chosen:
        chosen["class 1"] = groups["class 1"]
    return chosen or {ALL: groups[ALL]}


def parse_groups(text: str, class_names: Sequence[str]) -> dict[str, list[str]]:
    """Reads --groups: "NAME=class,class;NAME=class".

    Args:
      text: of the flag; see `names.read_names` for classes that hold "=", "," or ";".
      class_names: of the data; () without labels.

    Raises:
      UserError: it does not have this form, a class is unknown, there are no labels, or
        there are several ways to read it.
    """
    text = text.strip(" ;")
    if not text:
        return {}
    if not class_names:
        raise UserError("--groups needs a dataset with labels")
    malformed = (
        f"--groups={text!r} must look like 'round=0,6,8;straight=1,7', every name once"
    )
    read = read_names(text, "class", class_names, malformed, _next_class, _first_class)
    groups: dict[str, list[str]] = {}
    for joint, member in read:
        if joint != ",":
            name = joint.rpartition("=")[0].strip("; ")
            if name in groups:
                raise UserError(malformed)
            groups[name] = []
        groups[name].append(member)
    return groups


def _first_class(text: str, place: int) -> Iterator[tuple[str, int]]:
    """The joint before the first class of a group: its name and "="."""
    for match in re.finditer(r"=\s*", text):
        name = text[place : match.start()]
        if name.strip() and ";" not in name:
            yield f"{name}=", match.end()


def _next_class(text: str, place: int) -> Iterator[tuple[str, int]]:
    """The joint between two classes: a comma, or the start of another group."""
    yield from separated_by(",")(text, place)
    for _, start in separated_by(";")(text, place):
        for name, begin in _first_class(text, start):
            yield f";{name}", begin


def _class_title(name: str) -> str:
    return f"class {name}"
