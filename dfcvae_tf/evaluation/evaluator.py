"""From trained runs and a test split to everything the report shows.

images ─► one pass through all runs ─► a table of measures ─► statistics, figures
      └─► more passes over a few of them: likelihood, latent space, moved images
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dfcvae_tf.checkpoints import load_for_inference
from dfcvae_tf.config import Config, preparation
from dfcvae_tf.data.digits import MNIST
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation import (
    asked,
    blur,
    fidelity,
    figures,
    latent_space,
    likelihood,
    samples,
    sensitivity,
    standing,
)
from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.figures import Picture
from dfcvae_tf.evaluation.judge import (
    Judge,
    Worth,
    assess_worth,
    build_judge,
    check_is_held_out,
)
from dfcvae_tf.evaluation.measuring import Measured, measure_runs
from dfcvae_tf.evaluation.notes import (
    collapse_notes,
    data_notes,
    group_notes,
    judge_notes,
)
from dfcvae_tf.evaluation.projector import Embedding
from dfcvae_tf.evaluation.section import Section, plain
from dfcvae_tf.evaluation.selection import (
    ARTICLE_INDICES,
    NUM_SHOWN,
    Selection,
    select,
)
from dfcvae_tf.evaluation.settings import Settings
from dfcvae_tf.evaluation.strips import draw_strip
from dfcvae_tf.evaluation.summary import summarize
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.evaluation.tables import MEASURES, summarize_trainings
from dfcvae_tf.evaluation.variants import Variants, group_runs
from dfcvae_tf.files import read_json
from dfcvae_tf.loaded_run import LoadedRun
from dfcvae_tf.metrics.comparisons import Comparisons
from dfcvae_tf.models.prior import STANDARD
from dfcvae_tf.prior_file import read_facts
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
      figures: by name.
      strips: originals, and what runs make, as files for the page; see `Section`.
      embeddings: run -> what `projector.write_projector` shows of it.
      table: the measures of every image.
      data: the images.
    """

    results: dict[str, Any]
    figures: dict[str, Picture]
    strips: dict[str, bytes]
    embeddings: dict[str, Embedding]
    table: MeasureTable
    data: EvaluationImages


@dataclass(frozen=True)
class _Work:
    """What every step of an evaluation takes."""

    models: Mapping[str, LoadedRun]
    variants: Variants
    data: EvaluationImages
    settings: Settings
    selection: Selection
    judge: Judge | None
    worth: Worth | None
    measured: Measured
    progress: Progress
    collapsed: tuple[str, ...]


def load_runs(
    runs: Mapping[str, str], trust_code: bool = False
) -> dict[str, LoadedRun]:
    """Loads runs by name; `trust_code` as in `load_for_inference`.

    Raises:
      UserError: a run cannot be loaded, or not all of them see an image alike.
    """
    models = {
        name: load_for_inference(path, trust_code=trust_code)
        for name, path in runs.items()
    }
    _check_alike({name: model.config for name, model in models.items()})
    return models


def _check_alike(configs: Mapping[str, Config]) -> None:
    """Raises UserError unless an image is prepared for all runs in the same way.

    All are given the same pixels. With different crops, say, all but one would be
    measured on pictures as they never saw any.
    """
    shapes = {n: "x".join(map(str, c.image_shape or ())) for n, c in configs.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(
            f"the runs make images of different shapes ({listed}); evaluate them apart"
        )
    prepared = {name: preparation(config) for name, config in configs.items()}
    for setting in next(iter(prepared.values())):
        values = {name: settings[setting] for name, settings in prepared.items()}
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{value} in {name}" for name, value in values.items())
            raise UserError(
                f"--{setting} is {listed}: these runs cannot be measured on the same "
                "pictures; evaluate them in calls of their own"
            )


def evaluate(
    models: Mapping[str, LoadedRun],
    data: EvaluationImages,
    settings: Settings,
    progress: Progress,
) -> Evaluation:
    """Measures the runs on the data.

    Args:
      models: the runs by name, in the order they are shown.
      data: the images, at least MIN_IMAGES.
      settings: how much of what.
      progress: told what is being done, a few words at a time.

    Raises:
      UserError: a setting does not fit the data, a network cannot be had, a run makes
        what is not finite, or no run is called like the baseline.
    """
    variants = group_runs(
        {name: str(model.run) for name, model in models.items()}, settings.baseline
    )
    if data.num_images < MIN_IMAGES:
        raise UserError(
            f"too few images to compare ({data.num_images}); evaluate at least "
            f"{MIN_IMAGES}"
        )
    selection = select(data, settings)
    notes = data_notes(models, data)
    for note in notes:
        progress(note)
    judge = build_judge(
        settings.judge,
        settings.judge_layers,
        settings.judge_weights,
        data.image_shape,
        data.class_names,
        [model.config for model in models.values()],
    )
    judge_unknown = (
        check_is_held_out(judge, models, settings.read_model_files) if judge else []
    )
    progress(f"reconstructing and measuring {data.num_images} images with each run")
    measured = measure_runs(
        models, data, judge, selection.shown, selection.embedded, settings.seed
    )
    judged, worth = measured.judged.get(ORIGINALS), None
    if judged and judged.labels is not None and data.labels is not None:
        worth = assess_worth(judged.labels, data.labels)
    alerts = judge_notes(judged, worth)
    if measured.alike:
        alerts.append(
            f"All {data.num_images} test images are alike: tests and verdicts, which "
            "would count them as different ones, were left out."
        )
    urgent = [*collapse_notes(measured.latents), *alerts]
    for note in urgent:
        progress(note)
    notes = [*urgent, *judge_unknown, *notes, *group_notes(selection.groups, judge)]
    table = replace(
        measured.table,
        baseline=variants.baseline,
        siblings=variants.of(variants.baseline).runs,
    )
    measured = replace(measured, table=table)
    comparison = standing.describe_variants(variants, measured.latents, data.num_images)
    # Of runs that collapsed it says so itself, of their settings all at once.
    comparison["alerts"] += alerts
    collapsed = tuple(run for s in comparison["settings"] for run in s["collapsed"])
    work = _Work(
        models,
        variants,
        data,
        settings,
        selection,
        judge,
        worth,
        measured,
        progress,
        collapsed,
    )
    sections = {"notes": Section(notes=notes)}
    for what, part in _PARTS.items():
        try:
            sections |= part(work)
        except UserError as error:
            # The rest stands.
            note = f"{what} left out: {error}."
            progress(note)
            sections[what] = Section(notes=[note])
    runs = plain(_join_runs(models, sections))
    comparison["settings"] = [
        {**own, "measures": _measures_of(own["runs"], runs)}
        for own in comparison["settings"]
    ]
    verdicts = sections.pop("standing", Section()).results.get("verdicts", [])
    return Evaluation(
        results=plain(
            {
                "format_version": FORMAT_VERSION,
                "notes": [note for s in sections.values() for note in s.notes],
                "data": _describe_data(data, selection),
                "comparison": {**comparison, "verdicts": verdicts},
                "runs": runs,
                **{name: s.results for name, s in sections.items() if s.results},
                "settings": settings,
                "provenance": _provenance(models),
            }
        ),
        figures={k: own for s in sections.values() for k, own in s.figures.items()},
        strips={k: own for s in sections.values() for k, own in s.strips.items()},
        embeddings=_embeddings(work),
        table=measured.table,
        data=data,
    )


def _draw_reconstructions(work: _Work) -> dict[str, Section]:
    """The images shown, below them what each run makes of them."""
    shown, labels = work.selection.shown, work.data.labels
    titles = [
        f"#{work.data.places[row]}"
        if labels is None
        else work.data.class_names[labels[row]]
        for row in shown
    ]
    rows = [(ORIGINALS, work.measured.originals.images(shown))]
    for name, kept in work.measured.reconstructions.items():
        rows.append((name, kept.images(shown)))
    section = Section(
        figures={"reconstructions": figures.image_rows(rows, titles)},
        strips={
            name if name == ORIGINALS else f"reconstructions of {name}": draw_strip(
                images[:NUM_SHOWN]
            )
            for name, images in rows
        },
    )
    return {"reconstructions": section}


def _compare_runs(work: _Work) -> dict[str, Section]:
    """What the table of measures says."""
    work.progress("comparing the runs, pair by pair")
    table, groups = work.measured.table, work.selection.groups
    compared = groups
    if work.measured.alike:
        compared = {name: np.zeros_like(mask) for name, mask in groups.items()}
    comparisons = Comparisons(table.values, compared, work.settings.seed)
    verdicts = []
    if not work.measured.alike:
        verdicts = standing.compare_variants(
            table,
            comparisons,
            work.variants,
            work.collapsed,
            work.worth,
            work.settings.seed,
        )
    return {
        "blur": blur.compare_blur(table, comparisons, work.data, groups),
        "fidelity": fidelity.compare_agreement(table, comparisons, work.worth),
        "measures": summarize(table, comparisons),
        "standing": Section(results={"verdicts": verdicts}),
    }


def _measure_likelihood(work: _Work) -> dict[str, Section]:
    draws = work.settings.importance_samples
    work.progress(f"importance-weighted likelihood, {draws} draws")
    return {
        "likelihood": likelihood.measure_likelihood(
            work.models, work.data, work.measured.table, work.settings
        ),
        "latents": likelihood.describe_latents(work.measured.latents),
    }


def _draw_samples(work: _Work) -> dict[str, Section]:
    """Samples from the priors, and how far they and reconstructions are off."""
    work.progress("encoding training images, drawing samples of each run")
    data, models = work.data, work.models
    temperature, seed = work.settings.temperature, work.settings.seed
    training = samples.TrainingImages(models, data, seed)
    section, drawn = samples.draw_samples(
        models, training, work.judge, data.num_images, temperature, seed
    )
    sections = {
        "samples": section,
        "copies": samples.look_for_copies(models, training, data, temperature, seed),
    }
    if work.judge is not None:
        sections["held_out_classifier"] = fidelity.compare_as_judged(
            work.judge, work.measured.judged, drawn, data.labels, seed
        )
    return sections


def _ask_for_labels(work: _Work) -> dict[str, Section]:
    """Samples of what the runs' priors can be asked for."""
    if all(model.labels is None for model in work.models.values()):
        return {}
    work.progress("asking for samples of every label")
    section = asked.measure_asked(
        work.models,
        work.data,
        work.judge,
        work.measured.judged,
        work.worth is not None and work.worth.is_enough,
        work.settings.attributes,
        work.settings.temperature,
        work.settings.seed,
    )
    for note in section.notes:
        work.progress(note)
    return {"asked": section}


def _walk_latents(work: _Work) -> dict[str, Section]:
    """Interpolations and traversals, and with labels how smooth interpolations are."""
    work.progress("interpolating between latents")
    models, settings, judge = work.models, work.settings, work.judge
    latents, selection = work.measured.latents, work.selection
    sections = {
        "interpolations": latent_space.draw_interpolations(
            models, latents, selection.interpolations, work.data.places
        ),
        "traversals": latent_space.draw_traversals(
            models, latents, selection.shown[0], settings.num_traversals
        ),
    }
    if judge is not None and work.measured.judged[ORIGINALS].labels is not None:
        sections["smoothness"] = latent_space.measure_smoothness(
            models, judge, latents, settings.num_interpolations, settings.seed
        )
    return sections


def _map_latents(work: _Work) -> dict[str, Section]:
    work.progress("mapping latents to two dimensions")
    data, embedded = work.data, work.selection.embedded
    maps = latent_space.draw_maps(
        {name: z.z_mean[embedded] for name, z in work.measured.latents.items()},
        None if data.labels is None else data.labels[embedded],
        data.class_names,
        work.settings.seed,
    )
    return {"maps": Section(figures=maps)}


def _move_images(work: _Work) -> dict[str, Section]:
    work.progress("moving images: sensitivity of the losses")
    moved = work.selection.embedded[: work.settings.num_moved]
    section = sensitivity.measure_losses(
        work.models,
        work.measured.originals,
        moved,
        None if work.data.labels is None else work.data.labels[moved],
        work.settings.read_model_files,
        work.settings.seed,
    )
    for note in section.notes:
        work.progress(note)
    return {"sensitivity": section}


# How a part begins the note that says why it is missing -> what makes it.
_PARTS: dict[str, Callable[[_Work], dict[str, Section]]] = {
    "The reconstructions were": _draw_reconstructions,
    "The measures of single images were": _compare_runs,
    "The likelihood was": _measure_likelihood,
    "The samples were": _draw_samples,
    "Samples by label were": _ask_for_labels,
    "The interpolations and traversals were": _walk_latents,
    "The maps of latents were": _map_latents,
    "The sensitivity of the losses was": _move_images,
}


def _describe_data(data: EvaluationImages, selection: Selection) -> dict[str, Any]:
    shown = data.places[selection.shown]
    of_article = data.name in MNIST and shown.tolist() == list(ARTICLE_INDICES.values())
    return {
        "name": data.name,
        "description": data.description,
        "is_mnist": data.is_mnist,
        "num_images": data.num_images,
        "num_test_images": data.total,
        "choice": data.choice,
        "image_shape": data.image_shape,
        "class_names": data.class_names,
        "shown": shown,
        "shown_in_article": of_article and list(ARTICLE_INDICES),
        "interpolations": data.places[np.array(selection.interpolations, int)],
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


def _measures_of(
    names: Iterable[str], runs: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Measure -> mean and spread over the runs of a setting."""
    own = [runs[name] for name in names]
    found = {
        measure: summarize_trainings(run.get(measure) for run in own)
        for measure in dict.fromkeys(key for run in own for key in run)
        if measure in MEASURES
    }
    return {measure: value for measure, value in found.items() if value is not None}


def _embeddings(work: _Work) -> dict[str, Embedding]:
    data, embedded = work.data, work.selection.embedded
    columns: dict[str, list[str]] = {}
    if data.labels is not None:
        columns["label"] = [data.class_names[label] for label in data.labels[embedded]]
    columns["test image"] = [str(place) for place in data.places[embedded]]
    pixels = work.measured.originals.pixels(embedded)
    return {
        name: (latents.z_mean[embedded], columns, pixels)
        for name, latents in work.measured.latents.items()
    }


def _provenance(models: Mapping[str, LoadedRun]) -> dict[str, Any]:
    return {
        **describe_process(_PACKAGES),
        "runs": {
            name: {
                "run_dir": str(model.run),
                "step": model.config.training.steps,
                "prior": read_facts(model.run) or {"kind": STANDARD},
                **read_json(model.run.config),
            }
            for name, model in models.items()
        },
    }
