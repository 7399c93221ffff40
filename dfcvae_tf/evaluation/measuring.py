"""The one pass over the images in which every run makes its own of them and is measured.

A batch is encoded, reconstructed, measured and judged by every run, and dropped: what is
kept grows with the number of images, not with their pixels.
"""

import contextlib
import ctypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import table
from dfcvae_tf.evaluation.chosen import ChosenImages
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.inference import RunOutputs, build_forward
from dfcvae_tf.evaluation.judge import Judge, Judgement, join_judgements
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.measures import measure_images


@dataclass(frozen=True)
class Latents:
    """How a run encodes N images.

    Attributes:
      z_mean: [N, D] float32.
      kl: [N, D] float32, nats to the prior per dimension.
    """

    z_mean: np.ndarray
    kl: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What is kept of N images and of what the runs make of them.

    Attributes:
      table: the measures of every image.
      latents: by run.
      judged: originals and each run's reconstructions; {} without a judge.
      originals: those shown and those kept.
      reconstructions: by run; of those shown.
      alike: whether all images are one and the same.
    """

    table: MeasureTable
    latents: dict[str, Latents]
    judged: dict[str, Judgement]
    originals: ChosenImages
    reconstructions: dict[str, ChosenImages]
    alike: bool


def measure_runs(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    judge: Judge | None,
    shown: Sequence[int],
    kept: Iterable[int],
    seed: int,
) -> Measured:
    """Measures originals and reconstructions, batch by batch.

    Args:
      models: by name.
      data: the originals.
      judge: the held-out classifier, if there is one.
      shown: places of images of which original and reconstructions are kept.
      kept: places of images of which the original is kept too.
      seed: of the latents that are drawn.

    Raises:
      UserError: a run makes latents or images that are not finite, or the judge features.
    """
    forward = {name: build_forward(model, seed) for name, model in models.items()}
    originals = ChosenImages([*shown, *kept])
    reconstructions = {name: ChosenImages(shown) for name in models}
    tables: list[MeasureTable] = []
    latents: dict[str, list[Latents]] = {name: [] for name in models}
    judged: dict[str, list[Judgement]] = {name: [] for name in (ORIGINALS, *models)}
    start, alike = 0, True
    for index, images in enumerate(data.batches()):
        if index == 0:
            first_image = images[0]
        alike = alike and bool((images == first_image).all())
        outputs = {name: run(images, index) for name, run in forward.items()}
        _check_finite(outputs, models)
        made = {name: output.reconstructions for name, output in outputs.items()}
        judgements: dict[str, Judgement] = {}
        if judge is not None:
            judgements = {n: judge(x) for n, x in {ORIGINALS: images, **made}.items()}
            _check_judgements(judge, judgements)
        tables.append(_measure_batch(images, outputs, judgements))
        originals.add(start, images)
        for name, output in outputs.items():
            latents[name].append(Latents(output.z_mean, output.kl))
            reconstructions[name].add(start, output.reconstructions)
        for name, judgement in judgements.items():
            judged[name].append(judgement)
        start += len(images)
        _return_freed_memory()
    return Measured(
        table=table.join(tables),
        latents={name: _join_latents(parts) for name, parts in latents.items()},
        judged={n: join_judgements(parts) for n, parts in judged.items() if parts},
        originals=originals,
        reconstructions=reconstructions,
        alike=alike,
    )


def _measure_batch(
    images: np.ndarray,
    outputs: Mapping[str, RunOutputs],
    judged: Mapping[str, Judgement],
) -> MeasureTable:
    of_originals, of_runs = measure_images(
        images, {name: output.reconstructions for name, output in outputs.items()}
    )
    for name, output in outputs.items():
        measures = of_runs[name]
        if judged:
            originals = judged[ORIGINALS]
            measures["feature_distance"] = originals.distance(judged[name])
            agrees = originals.same_label(judged[name])
            if agrees is not None:
                measures["label_agreement"] = agrees
        measures["kl_nats"] = output.kl.sum(axis=1)
        measures["bernoulli_nll"] = output.bernoulli_nll
        measures["negative_elbo"] = output.negative_elbo
        if output.kl_learned is not None:
            measures["kl_nats_learned"] = output.kl_learned
            elbo = output.bernoulli_nll + output.kl_learned
            measures["negative_elbo_learned"] = elbo
    return MeasureTable({ORIGINALS: of_originals, **of_runs})


def _return_freed_memory() -> None:
    """Has the C library return what was freed to the system, where it can be asked to.

    What glibc keeps for itself grew by 0.2 MB with every 128x128 image: arrays of many
    sizes come and go in many threads, and never fit quite where others were.
    """
    # No such function, or no way to look for it: not glibc.
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _check_finite(
    outputs: Mapping[str, RunOutputs], models: Mapping[str, LoadedRun]
) -> None:
    for name, output in outputs.items():
        for values in (output.z_mean, output.kl, output.reconstructions):
            if not np.isfinite(values).all():
                raise UserError(
                    f"{name} ({models[name].run}) makes latents or images that are not "
                    "finite; it cannot be evaluated"
                )


def _check_judgements(judge: Judge, judgements: Mapping[str, Judgement]) -> None:
    for name, judged in judgements.items():
        for values in (judged.features, judged.confidence):
            if values is not None and not np.isfinite(values).all():
                raise UserError(
                    f"the judge {judge.name} gives values that are not finite for the "
                    f"images of {name}; choose another with --judge"
                )


def _join_latents(parts: Sequence[Latents]) -> Latents:
    return Latents(
        np.concatenate([part.z_mean for part in parts]),
        np.concatenate([part.kl for part in parts]),
    )
