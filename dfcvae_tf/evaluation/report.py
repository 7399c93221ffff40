"""Shows the results of an evaluation: HTML page, JSON, PNG files, terminal table."""

import base64
import textwrap
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from dfcvae_tf.evaluation.evaluator import Evaluation
from dfcvae_tf.evaluation.projector import write_projector
from dfcvae_tf.files import atomic_file, write_json
from dfcvae_tf.metrics.paired import format_p

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
_BY_LABELS = (
    "label_agreement",
    *(f"sure_{source}" for source in _SOURCES),
    "label_changes",
)
_TERMINAL = (
    "sharpness_ratio",
    "blurred_sharpness_ratio",
    "blurred_edge_recovery",
    "mse",
    "ssim",
    "label_agreement",
    "frechet_reconstructions",
    "frechet_samples",
    "kl_nats",
    "negative_elbo",
    "label_changes",
)


def write_report(output_dir: Path, evaluation: Evaluation) -> Path:
    """Writes projector files, figures, report.json and, last, report.html.

    Each file is written atomically, so a crash leaves the previous report readable.

    Returns:
      The path of report.html.

    Raises:
      UserError: the disk is full or not writable.
    """
    write_projector(output_dir / "projector", evaluation.embeddings)
    for name, png in evaluation.figures.items():
        with atomic_file(output_dir / "figures" / f"{name}.png") as file:
            file.write(png)
    write_json(output_dir / "report.json", evaluation.results)
    page = output_dir / "report.html"
    with atomic_file(page) as file:
        file.write(render(evaluation.results, evaluation.figures).encode())
    return page


def render(results: dict[str, Any], figures: dict[str, bytes]) -> str:
    """Returns the HTML page; figures are inside it, nothing is loaded from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfcvae_tf.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["p"] = lambda log10_p: format_p(float(log10_p))
    environment.filters["signed"] = lambda value: f"{float(value):+.4g}"
    template = environment.get_template("report.html")
    return template.render(
        results,
        figures={
            name: "data:image/png;base64," + base64.b64encode(png).decode()
            for name, png in figures.items()
        },
        tables={
            table: metric_rows(
                results["runs"],
                [m for m in MEASURES if MEASURES[m].table == table],
                _unranked(results),
            )
            for table in (SHARPNESS, FIDELITY, SAMPLES, LATENTS)
        },
        measures=MEASURES,
        differences=results.get("measures", {}).get("differences", []),
        verdicts=verdicts(results),
    )


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
        values = [_number(run.get(measure)) for run in runs.values()]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = max(known, key=lambda value: shown.better * value)
        cells = [
            ("–", False)
            if value is None
            else (
                shown.form.format(value),
                bool(
                    shown.better
                    and measure not in unranked
                    and len(runs) > 1
                    and value == best
                ),
            )
            for value in values
        ]
        rows.append((shown.title, cells))
    return rows


def terminal_table(results: dict[str, Any]) -> str:
    """Returns the most telling measures, a column per run, and the verdicts."""
    runs = results["runs"]
    lines = [f"{'':<38}" + "".join(f"{name:>14}" for name in runs)]
    for title, cells in metric_rows(runs, _TERMINAL):
        lines.append(f"{title:<38}" + "".join(f"{text:>14}" for text, _ in cells))
    for verdict in verdicts(results):
        lines += ["", textwrap.fill(verdict["sentence"], 80)]
    return "\n".join(lines)


def verdicts(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the claims that were tested, each with "supported" and a "sentence"."""
    sections = [results.get(name, {}) for name in ("blur", "fidelity")]
    return [v for section in sections for v in section.get("verdicts", [])]


def _unranked(results: dict[str, Any]) -> tuple[str, ...]:
    """Measures that say little here: those counted with labels of a poor judge."""
    judge = results.get("held_out_classifier", {})
    return _BY_LABELS if judge.get("gives_verdicts") is False else ()


def _number(value: Any) -> float | None:
    """The number to show for a measure: a plain one, or the mean of several."""
    if isinstance(value, dict):
        value = value.get("mean", value.get("mean_changes"))
    return None if value is None else float(value)
