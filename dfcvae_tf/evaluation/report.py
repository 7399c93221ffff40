"""Shows the results of an evaluation: HTML page, JSON, PNG files, terminal table."""

import base64
import textwrap
from pathlib import Path
from typing import Any

import jinja2

from dfcvae_tf.evaluation.evaluator import Evaluation
from dfcvae_tf.evaluation.projector import write_projector
from dfcvae_tf.files import atomic_file, write_json
from dfcvae_tf.metrics.paired import format_p

# measure -> its name with unit, format, and which way is better (+1 more, -1 less, 0 none)
MEASURES: dict[str, tuple[str, str, int]] = {
    "laplacian_variance": ("Laplacian variance", "{:.4f}", 0),
    "sharpness_ratio": ("Sharpness, relative to originals", "{:.3f}", +1),
    "blurred_sharpness_ratio": ("Sharpness after a small blur", "{:.3f}", +1),
    "edge_recovery": ("Originals' edges recovered", "{:.3f}", +1),
    "blurred_edge_recovery": ("Edges recovered after a small blur", "{:.3f}", +1),
    "high_frequency_ratio": ("High-frequency energy, of originals'", "{:.3f}", 0),
    "mse": ("Mean squared error", "{:.4f}", -1),
    "psnr": ("PSNR, dB", "{:.2f}", +1),
    "ssim": ("SSIM", "{:.3f}", +1),
    "label_kept": ("Label kept", "{:.1%}", +1),
    "kl_nats": ("KL to the prior, nats", "{:.2f}", 0),
    "active_units": ("Active latent dimensions", "{:.0f}", 0),
    "bernoulli_nll": ("Bernoulli NLL, nats", "{:.1f}", -1),
    "negative_elbo": ("Negative ELBO, nats", "{:.1f}", -1),
    "negative_elbo_of_the_same": ("Negative ELBO of the first images", "{:.1f}", -1),
    "importance_weighted_nll": ("Importance-weighted NLL of these", "{:.1f}", -1),
    "frechet_reconstructions": ("Fréchet distance of reconstructions", "{:.3f}", -1),
    "kernel_reconstructions": ("Kernel distance of reconstructions", "{:.4f}", -1),
    "frechet_samples": ("Fréchet distance of samples", "{:.3f}", -1),
    "kernel_samples": ("Kernel distance of samples", "{:.4f}", -1),
    "sure_samples": ("Samples the judge is > 90 % sure of", "{:.1%}", +1),
    "label_changes": ("Label changes per interpolation", "{:.2f}", -1),
}
_TERMINAL = (
    "sharpness_ratio",
    "blurred_sharpness_ratio",
    "blurred_edge_recovery",
    "mse",
    "ssim",
    "label_kept",
    "kl_nats",
    "negative_elbo",
    "frechet_reconstructions",
    "frechet_samples",
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
        rows=metric_rows(results["runs"]),
        measures=MEASURES,
        verdicts=verdicts(results),
    )


def metric_rows(runs: dict[str, Any]) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Returns (measure's name, a cell per run) with cells as (text, whether best)."""
    rows = []
    for measure, (title, form, better) in MEASURES.items():
        values = [_number(run.get(measure)) for run in runs.values()]
        known = [value for value in values if value is not None]
        if not known:
            continue
        best = max(known, key=lambda value: better * value)
        cells = [
            ("–", False)
            if value is None
            else (form.format(value), bool(better and len(runs) > 1 and value == best))
            for value in values
        ]
        rows.append((title, cells))
    return rows


def terminal_table(results: dict[str, Any]) -> str:
    """Returns the most telling measures, a column per run, and the verdicts."""
    runs = results["runs"]
    short = {name: {m: run.get(m) for m in _TERMINAL} for name, run in runs.items()}
    lines = [f"{'':<38}" + "".join(f"{name:>14}" for name in runs)]
    for title, cells in metric_rows(short):
        lines.append(f"{title:<38}" + "".join(f"{text:>14}" for text, _ in cells))
    for verdict in verdicts(results):
        lines += ["", textwrap.fill(verdict["sentence"], 80)]
    return "\n".join(lines)


def verdicts(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the claims that were tested, each with "supported" and a "sentence"."""
    return results["blur"]["verdicts"] + results["fidelity"]["verdicts"]


def _number(value: Any) -> float | None:
    """The number to show for a measure: a plain one, or the mean of several."""
    if isinstance(value, dict):
        value = value.get("mean", value.get("mean_changes"))
    return None if value is None else float(value)
