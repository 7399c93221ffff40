"""Whether samples are what was asked for, of runs whose prior knows labels.

The held-out classifier tells, where it gives scores to the classes in question; else, and
of attributes, a linear classifier on its features that learns from the originals. What
decoder and judge allow is said by reconstructions of images that have the label: samples
cannot be expected to be recognised more often.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import figures
from dfcvae_tf.evaluation.attributes.prediction import linear_classifier
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.inference import batches
from dfcvae_tf.evaluation.judge import Judge, Judgement, join_judgements
from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.settings import MOST_ATTRIBUTES
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.labels import ATTRIBUTES, CLASSES, Labels, has_enough
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics import coverage, frechet
from dfcvae_tf.names import read_list

# Samples with an attribute, and as many without.
PER_ATTRIBUTE = 250
_FOLDS = 5
_PER_ROW = 10

# What the judge says of images -> [N, A] bool, which labels they have.
Recognise = Callable[[Judgement], np.ndarray]


@dataclass(frozen=True)
class Recognised:
    """Who recognises A labels, and what comes of it.

    Attributes:
      recognise: of images that it has not learnt from.
      originals, reconstructions: [N, A] bool; where it learnt from the originals, by one
        that learnt from others.
      by: who it is, in words.
    """

    recognise: Recognise
    originals: np.ndarray
    reconstructions: np.ndarray
    by: str


def parse_attributes(text: str, models: Mapping[str, LoadedRun]) -> tuple[str, ...]:
    """Reads names of attributes, with commas between them, that runs can be asked for.

    Raises:
      UserError: no run knows attributes, or see `names.read_list`.
    """
    if not text.strip():
        return ()
    known = [
        name
        for model in models.values()
        if model.labels is not None and model.labels.kind == ATTRIBUTES
        for name in model.labels.names
    ]
    if not known:
        raise UserError(f"--attributes={text}: no run can be asked for attributes")
    return read_list(text, "attribute", list(dict.fromkeys(known)))


def measure_asked(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    judge: Judge | None,
    judged: Mapping[str, Judgement],
    scores_tell: bool,
    attributes: Sequence[str],
    temperature: float,
    seed: int,
) -> Section:
    """Draws samples of every label, shows them, and has them judged.

    Args:
      models: by name; those whose prior knows no labels are passed over.
      data: the originals.
      judge: the held-out classifier; without one the samples are only shown.
      judged: originals and each run's reconstructions; {} without a judge.
      scores_tell: whether its scores are those of the originals' classes, and are worth it.
      attributes: those to judge; () for those that are recognised best in originals.
      temperature, seed: of the samples, see `LoadedRun.sample`.

    Raises:
      UserError: an image that must be read for its attributes cannot be.
    """
    section = Section()
    for index, (name, model) in enumerate(models.items()):
        labels = model.labels
        if labels is None:
            continue
        rows_by_label = model.samples_by_label(_PER_ROW, seed, temperature)
        section.figures[f"asked_{index}"] = figures.image_rows(rows_by_label)
        if judge is None:
            continue
        truth = data.truth(labels)
        if truth is None:
            section.notes.append(
                f"Samples of {name} were not judged by what was asked for: the test "
                f"images do not have its {labels.kind}."
            )
            continue
        both = judged[ORIGINALS], judged[name]
        if scores_tell and labels.kind == CLASSES:
            places = [data.class_names.index(label) for label in labels.names]
            recognised = _by_scores(*both, places, judge.name)
        else:
            recognised = _by_features(*both, truth, labels, judge.name, seed)
        draw = _Draw(model, judge, temperature, seed)
        confusion = None
        if labels.kind == CLASSES:
            rows, confusion = _ask_for_classes(labels, truth, *both, recognised, draw)
        else:
            wanted = [labels.names.index(a) for a in attributes if a in labels.names]
            rows = _ask_for_attributes(labels, truth, wanted, recognised, draw)
        if not rows:
            continue
        section.results[name] = {
            "kind": labels.kind,
            "by": recognised.by,
            "labels": rows,
            "confusion": confusion,
        }
        section.runs[name] = {
            measure: float(np.mean([row[what] for row in rows.values()]))
            for measure, what in (
                ("asked_recognised", "samples"),
                ("asked_recognised_reconstructions", "reconstructions"),
            )
        }
        if confusion is not None:
            picture = figures.confusion(confusion, labels.names)
            section.figures[f"confusion_{index}"] = picture
    return section


@dataclass(frozen=True)
class _Draw:
    """(row of a label, count) -> what the judge says of so many samples."""

    model: LoadedRun
    judge: Judge
    temperature: float
    seed: int

    def __call__(self, row: np.ndarray, count: int) -> Judgement:
        noise = self.model.noise(count, self.seed, self.temperature)
        parts = batches(noise, self.model.batch_size)
        return join_judgements(
            [
                self.judge(self.model.generate(part, np.tile(row, (len(part), 1))))
                for part in parts
            ]
        )


def _by_scores(
    originals: Judgement, made: Judgement, places: Sequence[int], name: str
) -> Recognised:
    """Classes by the judge's own scores."""

    def recognise(judged: Judgement) -> np.ndarray:
        assert judged.labels is not None
        return np.equal.outer(judged.labels, places)

    return Recognised(recognise, recognise(originals), recognise(made), name)


def _by_features(
    originals: Judgement,
    made: Judgement,
    truth: np.ndarray,
    labels: Labels,
    name: str,
    seed: int,
) -> Recognised:
    """By linear support vector machines on the judge's features.

    Classes by one that chooses, attributes by one each, in which those with and those
    without weigh the same.
    """
    machines: list[Pipeline | None] = []
    found = [np.zeros(truth.shape, bool) for _ in range(2)]
    exclusive = labels.kind == CLASSES
    # Images of a class that the prior does not know have nothing to tell.
    used = np.flatnonzero(truth.any(axis=1)) if exclusive else np.arange(len(truth))
    answers = [truth.argmax(axis=1)] if exclusive else list(truth.T.astype(int))
    for column, answer in enumerate(answers):
        counts = np.unique(answer[used], return_counts=True)[1]
        if len(counts) < 2 or counts.min() < 2:
            machines.append(None)
            continue
        folds = StratifiedKFold(
            min(_FOLDS, counts.min()), shuffle=True, random_state=seed
        )
        parts = folds.split(used, answer[used])
        for learnt, held_out in ((used[a], used[b]) for a, b in parts):
            machine = linear_classifier(seed).fit(
                originals.features[learnt], answer[learnt]
            )
            for rows, judged in zip(found, (originals, made), strict=True):
                told = machine.predict(judged.features[held_out])
                if exclusive:
                    rows[held_out] = np.equal.outer(told, np.arange(len(labels.names)))
                else:
                    rows[held_out, column] = told == 1
        machines.append(
            linear_classifier(seed).fit(originals.features[used], answer[used])
        )

    def recognise(judged: Judgement) -> np.ndarray:
        told = [
            np.zeros(len(judged.features), int)
            if machine is None
            else machine.predict(judged.features)
            for machine in machines
        ]
        if exclusive:
            return np.equal.outer(told[0], np.arange(len(labels.names)))
        return np.stack(told, axis=1) == 1

    by = f"a linear classifier on features of {name}"
    return Recognised(recognise, found[0], found[1], by)


def _ask_for_classes(
    labels: Labels,
    truth: np.ndarray,
    originals: Judgement,
    made: Judgement,
    recognised: Recognised,
    draw: _Draw,
) -> tuple[dict[str, dict[str, Any]], np.ndarray]:
    """As many samples of each class as there are originals of it.

    Returns:
      class -> shares that are recognised, and distances from the originals of that class;
      and how many samples of a class [row] were taken for which [column].
    """
    rows: dict[str, dict[str, Any]] = {}
    confusion = np.zeros((len(labels.names), len(labels.names)), int)
    for column, name in enumerate(labels.names):
        own = truth[:, column]
        if own.sum() < 2:
            continue
        samples = draw(labels.row([(name, 1)]), int(own.sum()))
        told = recognised.recognise(samples)
        confusion[column] = told.sum(axis=0)
        rows[name] = {
            "num_images": int(own.sum()),
            "samples": told[:, column].mean(),
            "reconstructions": recognised.reconstructions[own, column].mean(),
            "originals": recognised.originals[own, column].mean(),
        }
        for what, features in (
            ("samples", samples.features),
            ("reconstructions", made.features[own]),
        ):
            pair = originals.features[own], features
            rows[name][f"frechet_{what}"] = frechet.frechet_distance(*pair)
            if own.sum() > coverage.NEIGHBORS:
                covered = coverage.measure_coverage(*pair).coverage
                rows[name][f"coverage_{what}"] = covered
    return rows, confusion


def _ask_for_attributes(
    labels: Labels,
    truth: np.ndarray,
    wanted: Sequence[int],
    recognised: Recognised,
    draw: _Draw,
) -> dict[str, dict[str, Any]]:
    """Samples with and without each attribute, of the same noise.

    Args:
      labels, truth, recognised, draw: as above.
      wanted: columns of attributes; none = those that are recognised best in originals.

    Returns:
      attribute -> balanced accuracies of the one who recognises.
    """
    enough = has_enough(np.where(truth, 1, -1), labels)
    balanced = [
        _balanced(recognised.originals, truth, c) for c in range(truth.shape[1])
    ]
    best = np.argsort(-np.where(enough, balanced, -1), kind="stable")[:MOST_ATTRIBUTES]
    rows: dict[str, dict[str, Any]] = {}
    for column in wanted or best:
        if not enough[column]:
            continue
        name = labels.names[column]
        told = [
            recognised.recognise(draw(labels.row([(name, sign)]), PER_ATTRIBUTE))
            for sign in (1, -1)
        ]
        asked = np.repeat([True, False], PER_ATTRIBUTE)
        asked = np.broadcast_to(asked[:, np.newaxis], np.concatenate(told).shape)
        rows[name] = {
            "num_images": int(truth[:, column].sum()),
            "samples": _balanced(np.concatenate(told), asked, column),
            "reconstructions": _balanced(recognised.reconstructions, truth, column),
            "originals": balanced[column],
        }
    return rows


def _balanced(told: np.ndarray, truth: np.ndarray, column: int) -> float:
    """Mean of the shares that are right among those with and those without a label."""
    right = told[:, column] == truth[:, column]
    has = truth[:, column]
    if has.all() or not has.any():
        return float("nan")
    return float((right[has].mean() + right[~has].mean()) / 2)
