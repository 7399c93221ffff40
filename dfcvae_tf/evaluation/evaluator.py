"""From trained runs and a test split to everything the report shows.

images ─► one pass through all runs ─► a table of measures ─► statistics, figures
      └─► more passes over a few of them: likelihood, latent space, moved images
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import (
    blur,
    fidelity,
    figures,
    latent_space,
    likelihood,
    sensitivity,
)
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.judge import build_judge
from dfcvae_tf.evaluation.measuring import Measured, measure_runs
from dfcvae_tf.evaluation.notes import data_notes, group_notes
from dfcvae_tf.evaluation.section import Section, plain
from dfcvae_tf.evaluation.selection import ARTICLE_INDICES, Selection, select
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.evaluation.summary import summarize
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.files import read_json
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.provenance import describe_process

FORMAT_VERSION = 2
MIN_IMAGES = 4
_PACKAGES = ("dfcvae-tf", "tensorflow", "keras", "numpy", "scipy", "scikit-learn")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
      results: plain values, ready for JSON; `report.py` shows them.
      figures: name -> PNG.
      embeddings: run -> z_mean [M, D], class names [M] or None, images [M, H, W, C] uint8.
    """

    results: dict[str, Any]
    figures: dict[str, bytes]
    embeddings: dict[str, tuple[np.ndarray, list[str] | None, np.ndarray]]


def load_runs(runs: Mapping[str, str]) -> dict[str, LoadedRun]:
    """Loads runs by name.

    Raises:
      UserError: a run cannot be loaded, or they make images of different shapes.
    """
    models = {name: load_for_inference(path) for name, path in runs.items()}
    shapes = {
        name: "x".join(map(str, model.config.image_shape or ()))
        for name, model in models.items()
    }
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(
            f"the runs make images of different shapes ({listed}); evaluate them apart"
        )
    return models


def evaluate(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    settings: Settings,
    progress: Progress,
) -> Evaluation:
    """Measures the runs on the data.

    Args:
      models: the runs by name, in the order they are shown; of two, differences are those
        of the later one above the earlier one.
      data: the images, at least MIN_IMAGES.
      settings: how much of what.
      progress: told what is being done, a few words at a time.

    Raises:
      UserError: a setting does not fit the data, a network cannot be had, or a run makes
        what is not finite.
    """
    if data.num_images < MIN_IMAGES:
        raise UserError(
            f"{data.num_images} images are too few to compare; evaluate at least "
            f"{MIN_IMAGES}"
        )
    selection = select(data, settings)
    judge = build_judge(
        settings.judge,
        settings.judge_layers,
        settings.judge_weights,
        data.image_shape,
        data.class_names,
        [model.config for model in models.values()],
    )
    seed = settings.seed
    progress(f"reconstructing and measuring {data.num_images} images with each run")
    measured = measure_runs(
        models, data, judge, selection.shown, selection.embedded, seed
    )
    table, latents = measured.table, measured.latents
    sections = {
        "notes": Section(
            notes=data_notes(models, data) + group_notes(selection.groups, judge)
        ),
        "reconstructions": _draw_reconstructions(measured, data, selection),
    }

    progress("comparing the runs, pair by pair")
    comparisons = Comparisons(table.values, selection.groups, seed)
    sections["blur"] = blur.compare_blur(table, comparisons, data, selection.groups)
    sections["fidelity"] = fidelity.compare_agreement(table, comparisons)
    sections["measures"] = summarize(table, comparisons)

    progress(f"importance-weighted likelihood, {settings.importance_samples} draws")
    sections["likelihood"] = likelihood.measure_likelihood(
        models, data, table, settings
    )
    sections["latents"] = likelihood.describe_latents(latents)

    progress("drawing samples from the prior of each run")
    sections["samples"], drawn = latent_space.draw_samples(
        models, judge, data.num_images, settings.temperature, seed
    )
    if judge is not None:
        sections["held_out_classifier"] = fidelity.compare_as_judged(
            judge, measured.judged, drawn, data.labels, seed
        )

    progress("interpolating between latents")
    sections["interpolations"] = latent_space.draw_interpolations(
        models, latents, selection.interpolations
    )
    sections["traversals"] = latent_space.draw_traversals(
        models, latents, selection.shown[0], settings.num_traversals
    )
    if judge is not None and measured.judged[ORIGINALS].labels is not None:
        sections["smoothness"] = latent_space.measure_smoothness(
            models, judge, latents, settings.num_interpolations, seed
        )

    progress("mapping latents to two dimensions")
    z_means = {
        name: of_run.z_mean[selection.embedded] for name, of_run in latents.items()
    }
    labels = None if data.labels is None else data.labels[selection.embedded]
    sections["maps"] = Section(
        figures=latent_space.draw_maps(z_means, labels, data.class_names, seed)
    )

    progress("moving images: sensitivity of the losses")
    sections["sensitivity"] = sensitivity.measure_losses(
        models,
        measured.originals,
        selection.embedded[: settings.num_moved],
        None if labels is None else labels[: settings.num_moved],
        settings.read_model_files,
        seed,
    )
    for note in sections["sensitivity"].notes:
        progress(note)
    return Evaluation(
        results=plain(
            {
                "format_version": FORMAT_VERSION,
                "notes": [note for s in sections.values() for note in s.notes],
                "data": _describe_data(data, selection),
                "runs": _join_runs(models, sections),
                **{name: s.results for name, s in sections.items() if s.results},
                "settings": settings,
                "provenance": _provenance(models),
            }
        ),
        figures={k: png for s in sections.values() for k, png in s.figures.items()},
        embeddings=_embeddings(z_means, labels, data, measured, selection),
    )


def _draw_reconstructions(
    measured: Measured, data: EvaluationImages, selection: Selection
) -> Section:
    """The images shown, below them what each run makes of them."""
    shown, labels = selection.shown, data.labels
    titles = [
        f"#{place}" if labels is None else data.class_names[labels[place]]
        for place in shown
    ]
    rows = [(ORIGINALS, measured.originals.images(shown))]
    rows += [(n, kept.images(shown)) for n, kept in measured.reconstructions.items()]
    return Section(figures={"reconstructions": figures.image_rows(rows, titles)})


def _describe_data(data: EvaluationImages, selection: Selection) -> dict[str, Any]:
    of_article = selection.shown == list(ARTICLE_INDICES.values())
    return {
        "name": data.name,
        "description": data.description,
        "is_mnist": data.is_mnist,
        "num_images": data.num_images,
        "num_test_images": data.total,
        "image_shape": data.image_shape,
        "class_names": data.class_names,
        "shown": selection.shown,
        "shown_in_article": of_article and list(ARTICLE_INDICES),
        "interpolations": selection.interpolations,
        "groups": {name: mask.sum() for name, mask in selection.groups.items()},
    }


def _join_runs(
    names: Iterable[str], sections: Mapping[str, Section]
) -> dict[str, dict[str, Any]]:
    """What all sections say of each run: run -> measure -> value."""
    return {
        name: {
            measure: value
            for section in sections.values()
            for measure, value in section.runs.get(name, {}).items()
        }
        for name in names
    }


def _embeddings(
    z_means: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    data: EvaluationImages,
    measured: Measured,
    selection: Selection,
) -> dict[str, tuple[np.ndarray, list[str] | None, np.ndarray]]:
    names = None if labels is None else [data.class_names[label] for label in labels]
    pixels = measured.originals.pixels(selection.embedded)
    return {name: (z_mean, names, pixels) for name, z_mean in z_means.items()}


def _provenance(models: Mapping[str, LoadedRun]) -> dict[str, Any]:
    return {
        **describe_process(_PACKAGES),
        "runs": {
            name: {
                "run_dir": str(model.run),
                "step": model.config.training.steps,
                **read_json(model.run.config),
            }
            for name, model in models.items()
        },
    }
