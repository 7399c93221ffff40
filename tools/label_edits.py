"""Ways to give an image an attribute, side by side: its vector, and the prior.

The vector of an attribute is added to the latents (Hou et al. 2017, section 4.4); a prior
that knows labels draws what it makes the latents of under another label
(`LoadedRun.relabel`). Of both is measured how often a linear classifier on a held-out
network's features, which learnt from real training images, finds the attribute, and how
far the features of the reconstruction have moved: as little as possible is to change
beside what was asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from dfcvae_tf.attribute_vectors import compute_vectors
from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.data.run_images import check_channels, first_batches, own_data
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.attributes.prediction import linear_classifier
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.evaluation.judge import (
    Judge,
    Judgement,
    build_judge,
    check_is_held_out,
    join_judgements,
)
from dfcvae_tf.labels import ATTRIBUTES
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.names import read_list
from dfcvae_tf.provenance import describe_process

STRENGTHS = (1.0, 2.0)
# What the classifiers learn from.
_TRAINING_IMAGES = 4000
_SEED = 0
_PACKAGES = ("tensorflow", "scikit-learn", "numpy")
_EXPLANATION = """\
without: test images without the attribute that were edited. found: share of the results in
which a linear classifier on features of {judge} finds the attribute, in reconstructions and
after an edit; it is right about {accuracy:.1%} of real test images, with and without it
weighing the same. moved: squared distance of these features from those of the
reconstruction, over the square of the latter's; median."""

Edit = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Result:
    """What came of a way to edit N images.

    Attributes:
      found: share of them that have the attribute in the classifier's eyes.
      moved: median distance from the reconstructions.
    """

    found: float
    moved: float


@dataclass(frozen=True)
class _Images:
    """Images of a split, as a run and a judge see them.

    Attributes:
      z_mean: [N, D] float32.
      attributes: [N, A] int8, 1 where an image has the attribute, else 0.
      judged: the images themselves.
    """

    z_mean: np.ndarray
    attributes: np.ndarray
    judged: Judgement


def compare(
    run_dir: str,
    images: tuple[str | None, str | None, bool],
    judge: tuple[str | None, tuple[str, ...], str],
    attributes: str,
    count: int,
    trust_code: bool = False,
) -> str:
    """Edits test images both ways and measures them.

    Args:
      run_dir: a run whose prior knows attributes.
      images: --dataset, --data_dir, --offline, see `run_images.own_data`.
      judge: --judge, --judge_layers, --judge_weights, see `judge.build_judge`.
      attributes: names with commas between them; "" for all.
      count: test images that are edited, at most.
      trust_code: see `load_for_inference`.

    Returns:
      A table and what it says, in lines.

    Raises:
      UserError: the prior knows no attributes, there is no judge, an attribute is unknown
        or all images agree in one, or the data cannot be had.
    """
    model = load_for_inference(run_dir, trust_code=trust_code)
    labels = model.known_labels
    if labels.kind != ATTRIBUTES:
        raise UserError(
            f"{run_dir} knows {labels.kind}, and only attributes have vectors"
        )
    names = read_list(attributes, "attribute", labels.names) or labels.names
    data = own_data(model.config, *images)
    source = open_source(data, model.config.training.seed)
    check_channels(model.config, data, source)
    built = build_judge(*judge, model.image_shape, (), [model.config])
    if built is None:
        raise UserError("--judge is missing: a network that had no part in training")
    notes = check_is_held_out(built, {run_dir: model}, read_model_files=False)
    train = _read(model, built, source, data, "train", _TRAINING_IMAGES)
    test = _read(model, built, source, data, "test", count)
    columns = [source.attribute_names.index(name) for name in names]
    vectors = compute_vectors(train.z_mean, train.attributes[:, columns], names)
    rows, accuracies = {}, []
    for name, column, vector in zip(names, columns, vectors, strict=True):
        machine = linear_classifier(_SEED)
        machine.fit(train.judged.features, train.attributes[:, column])
        has = test.attributes[:, column] == 1
        told = machine.predict(test.judged.features) == 1
        accuracies.append((told[has].mean() + (~told[~has]).mean()) / 2)
        row = labels.row([(name, 1)])
        ways: dict[str, Edit] = {
            f"vector x {strength:g}": partial(_added, strength * vector)
            for strength in STRENGTHS
        } | {"prior": partial(model.relabel, row=row)}
        rows[name, int((~has).sum())] = _measure(
            model, built, test.z_mean[~has], ways, machine.predict
        )
    versions = describe_process(_PACKAGES)["versions"]
    what = (
        f"{run_dir}: {len(train.z_mean)} training and {len(test.z_mean)} test images of "
        f"{source.name}; seed {_SEED}"
    )
    return "\n".join(
        [
            ", ".join(f"{name} {version}" for name, version in versions.items()),
            what,
            *notes,
            "",
            table(rows),
            "",
            _EXPLANATION.format(judge=built.name, accuracy=np.mean(accuracies)),
        ]
    )


def _read(
    model: LoadedRun,
    judge: Judge,
    source: Source,
    data: DataConfig,
    split: str,
    count: int,
) -> _Images:
    z_mean, attributes, judged = [], [], []
    for batch in first_batches(model.config, source, data, split, count):
        z_mean.append(model.encode(batch["image"])[0])
        attributes.append(batch["attributes"])
        judged.append(judge(batch["image"]))
    return _Images(
        np.concatenate(z_mean), np.concatenate(attributes), join_judgements(judged)
    )


def _added(vector: np.ndarray, z: np.ndarray) -> np.ndarray:
    return z + vector


def _measure(
    model: LoadedRun,
    judge: Judge,
    z: np.ndarray,
    ways: dict[str, Edit],
    find: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Result]:
    """What comes of each way to edit latents [N, D], and of none."""

    def judged(latents: np.ndarray) -> Judgement:
        parts = batches(latents, model.batch_size)
        return join_judgements([judge(model.decode(part)) for part in parts])

    before = judged(z)
    results = {"reconstruction": Result(float(np.mean(find(before.features))), 0.0)}
    for name, edit in ways.items():
        after = judged(edit(z))
        results[name] = Result(
            float(np.mean(find(after.features))),
            float(np.median(before.distance(after))),
        )
    return results


def table(rows: dict[tuple[str, int], dict[str, Result]]) -> str:
    """Returns a line per attribute; (name, images without) -> way -> result."""
    ways: Sequence[str] = list(next(iter(rows.values())))
    titles = ["attribute", "without", f"{ways[0]}: found"]
    for way in ways[1:]:
        titles += [f"{way}: found", "moved"]
    lines = [titles, ["---"] + ["---:"] * (len(titles) - 1)]
    for (name, count), results in rows.items():
        cells = [name, str(count), f"{results[ways[0]].found:.1%}"]
        for way in ways[1:]:
            cells += [f"{results[way].found:.1%}", f"{results[way].moved:.3g}"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
