"""The measures of a report and its tables, as texts and numbers.

The first table has a row per setting (`variants.Variant`), with the main measures alone;
the others have a column per run.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfcvae_tf.evaluation.variants import text_of

# The tables of the report, and the sections they stand in.
SHARPNESS, FIDELITY, SAMPLES, LATENTS = "sharpness", "fidelity", "samples", "latents"


@dataclass(frozen=True)
class Shown:
    """How a measure is shown.

    Attributes:
      title: its name, with unit.
      form: of one value.
      better: +1 where more is better, -1 where less is, 0 where neither.
      table: the one it stands in.
    """

    title: str
    form: str
    better: int
    table: str


# Of samples, by where their latents come from.
_SOURCES = {
    "samples": "",
    "standard": ", of N(0, I)",
    "posterior": ", of training images' latents",
}
_SAMPLED = {
    f"{measure}_{source}": Shown(f"{title}{where}", form, better, SAMPLES)
    for measure, title, form, better in (
        ("frechet", "Fréchet distance of samples", "{:.3f}", -1),
        ("kernel", "Kernel distance of samples", "{:.4f}", -1),
        ("coverage", "Coverage by samples", "{:.1%}", +1),
        ("density", "Density of samples", "{:.3f}", 0),
        ("sure", "Samples classified with > 90 %", "{:.1%}", +1),
    )
    for source, where in _SOURCES.items()
}
MEASURES = {
    "laplacian_variance": Shown("Laplacian variance", "{:.4f}", 0, SHARPNESS),
    "sharpness_ratio": Shown(
        "Sharpness, relative to originals", "{:.3f}", +1, SHARPNESS
    ),
    "blurred_laplacian_variance": Shown(
        "Laplacian variance after a small blur", "{:.5f}", 0, SHARPNESS
    ),
    "blurred_sharpness_ratio": Shown(
        "Sharpness after a small blur", "{:.3f}", +1, SHARPNESS
    ),
    "edge_recovery": Shown("Originals' edges recovered", "{:.3f}", +1, SHARPNESS),
    "blurred_edge_recovery": Shown(
        "Edges recovered after a small blur", "{:.3f}", +1, SHARPNESS
    ),
    "high_frequency_energy": Shown("High-frequency energy", "{:.5f}", 0, SHARPNESS),
    "high_frequency_ratio": Shown(
        "High-frequency energy, of originals'", "{:.3f}", 0, SHARPNESS
    ),
    "feature_distance": Shown("Distance in held-out features", "{:.3f}", -1, SHARPNESS),
    "mse": Shown("Mean squared error", "{:.4f}", -1, FIDELITY),
    "psnr": Shown("PSNR, dB", "{:.2f}", +1, FIDELITY),
    "ssim": Shown("SSIM", "{:.3f}", +1, FIDELITY),
    "label_agreement": Shown("Label agreement", "{:.1%}", +1, FIDELITY),
    "frechet_reconstructions": Shown(
        "Fréchet distance of reconstructions", "{:.3f}", -1, FIDELITY
    ),
    "kernel_reconstructions": Shown(
        "Kernel distance of reconstructions", "{:.4f}", -1, FIDELITY
    ),
    **_SAMPLED,
    "asked_recognised": Shown(
        "Samples recognised as what was asked for", "{:.1%}", +1, SAMPLES
    ),
    "asked_recognised_reconstructions": Shown(
        "Reconstructions recognised likewise", "{:.1%}", +1, SAMPLES
    ),
    "distance_to_training": Shown(
        "Distance to the nearest training image", "{:.3f}", 0, SAMPLES
    ),
    "kl_nats": Shown("KL to N(0, I), nats", "{:.2f}", 0, LATENTS),
    "kl_nats_learned": Shown("KL to the learned prior, nats", "{:.2f}", 0, LATENTS),
    "active_units": Shown("Active latent dimensions", "{:.0f}", 0, LATENTS),
    "bernoulli_nll": Shown("Bernoulli NLL, nats", "{:.1f}", -1, LATENTS),
    "negative_elbo": Shown("Negative ELBO, nats", "{:.1f}", -1, LATENTS),
    "negative_elbo_learned": Shown(
        "Negative ELBO with the learned prior, nats", "{:.1f}", -1, LATENTS
    ),
    "negative_elbo_of_the_same": Shown(
        "Negative ELBO of the first images", "{:.1f}", -1, LATENTS
    ),
    "importance_weighted_nll": Shown(
        "Importance-weighted NLL of these", "{:.1f}", -1, LATENTS
    ),
    "label_changes": Shown("Label changes per interpolation", "{:.2f}", -1, LATENTS),
}
# Those of the first table, and what they are called where there is little room.
MAIN = {
    "sharpness_ratio": "Sharpness",
    "blurred_edge_recovery": "Edges recovered",
    "mse": "MSE",
    "ssim": "SSIM",
    "label_agreement": "Label agreement",
    "frechet_reconstructions": "Fréchet, reconstr.",
    "frechet_samples": "Fréchet, samples",
    "kl_nats": "KL, nats",
}
_BY_LABELS = (
    "label_agreement",
    *(f"sure_{source}" for source in _SOURCES),
    "label_changes",
)


@dataclass(frozen=True)
class Cell:
    """A setting's value of a measure.

    Attributes:
      value: mean over its trainings; None where it has none.
      text: the same for a reader.
      spread: standard deviation over the trainings for a reader; "" of one training.
      best: whether no other setting has a better one.
    """

    value: float | None
    text: str
    spread: str
    best: bool


@dataclass(frozen=True)
class Row:
    """A setting in the first table.

    Attributes:
      name: the setting.
      values: text of each setting that tells them apart.
      trainings: how many.
      is_baseline: whether the others are compared with it.
      cells: by measure.
    """

    name: str
    values: tuple[str, ...]
    trainings: int
    is_baseline: bool
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class MainTable:
    """The first table: titles and rows; `measures` are those that a setting has."""

    columns: tuple[str, ...]
    measures: tuple[str, ...]
    rows: tuple[Row, ...]


def main_table(results: Mapping[str, Any]) -> MainTable:
    """Returns the first table of an evaluation's results."""
    comparison = results["comparison"]
    settings = comparison["settings"]
    measures = tuple(m for m in MAIN if any(m in s["measures"] for s in settings))
    cells = {m: _cells(m, settings, unranked(results)) for m in measures}
    return MainTable(
        columns=tuple(comparison["columns"]),
        measures=measures,
        rows=tuple(
            Row(
                name=setting["name"],
                values=tuple(map(text_of, setting["values"].values())),
                trainings=len(setting["runs"]),
                is_baseline=len(settings) > 1
                and setting["name"] == comparison["baseline"],
                cells={measure: cells[measure][place] for measure in measures},
            )
            for place, setting in enumerate(settings)
        ),
    )


def _cells(
    measure: str, settings: Sequence[Mapping[str, Any]], unranked: Container[str]
) -> list[Cell]:
    shown = MEASURES[measure]
    found = [setting["measures"].get(measure) for setting in settings]
    values = [None if own is None else float(own["mean"]) for own in found]
    marked = _are_best(shown, values, measure in unranked)
    cells = []
    for own, value, best in zip(found, values, marked, strict=True):
        spread = ""
        if own is not None and "deviation" in own:
            spread = shown.form.format(float(own["deviation"])).rstrip("%")
        text = "–" if value is None else shown.form.format(value)
        cells.append(Cell(value, text, spread, best))
    return cells


def summarize_trainings(values: Iterable[Any]) -> dict[str, Any] | None:
    """Mean and spread of what runs of one setting have of one measure.

    Returns:
      "mean", "num_trainings" and of several "deviation", "lowest" and "highest"; None
      where no run has a value.
    """
    known = np.array([x for x in map(number, values) if x is not None])
    if not known.size:
        return None
    found: dict[str, Any] = {"mean": known.mean(), "num_trainings": known.size}
    if known.size > 1 and np.isfinite(known).all():
        found["deviation"] = known.std(ddof=1)
        found["lowest"], found["highest"] = known.min(), known.max()
    return found


def unranked(results: Mapping[str, Any]) -> tuple[str, ...]:
    """Measures that say little here: those counted with labels of a poor judge."""
    judge = results.get("held_out_classifier", {})
    return _BY_LABELS if judge.get("gives_verdicts") is False else ()


def _are_best(
    shown: Shown, values: Sequence[float | None], is_unranked: bool
) -> list[bool]:
    """Which values are the best one; none where nothing is better than anything."""
    known = [v for v in values if v is not None and not math.isnan(v)]
    if is_unranked or not shown.better or len(values) < 2 or not known:
        return [False] * len(values)
    best = max(known, key=lambda value: shown.better * value)
    return [value == best for value in values]


def metric_rows(
    runs: Mapping[str, Mapping[str, Any]],
    measures: Iterable[str],
    unranked: Container[str] = (),
) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Returns (measure's title, a cell per run) with cells as (text, whether best).

    Measures that no run has are left out; none is best of those unranked.
    """
    rows = []
    for measure in measures:
        shown = MEASURES[measure]
        values = [number(run.get(measure)) for run in runs.values()]
        if all(value is None for value in values):
            continue
        texts = ["–" if v is None else shown.form.format(v) for v in values]
        best = _are_best(shown, values, measure in unranked)
        rows.append((shown.title, list(zip(texts, best, strict=True))))
    return rows


def number(value: Any) -> float | None:
    """The number to show for a measure: a plain one, or the mean of several."""
    if isinstance(value, dict):
        value = value.get("mean", value.get("mean_changes"))
    return None if value is None else float(value)
