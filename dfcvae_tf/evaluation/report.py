"""Writes what an evaluation found: a page, JSON, figures, tables, and text to print.

The page begins with what people come for: pictures, one table with a row per setting, and
what is supported against the baseline. All else is folded.
"""

import base64
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from dfcvae_tf.evaluation.evaluator import Evaluation
from dfcvae_tf.evaluation.numbers import csv_of, rows_of_images, rows_of_runs, tex_of
from dfcvae_tf.evaluation.projector import write_projector
from dfcvae_tf.evaluation.strips import shrink_figure
from dfcvae_tf.evaluation.table import ORIGINALS
from dfcvae_tf.evaluation.tables import (
    FIDELITY,
    LATENTS,
    MAIN,
    MEASURES,
    SAMPLES,
    SHARPNESS,
    main_table,
    metric_rows,
    unranked,
)
from dfcvae_tf.evaluation.variants import text_of
from dfcvae_tf.files import atomic_file, write_json
from dfcvae_tf.metrics.paired import format_p

# Bytes of all figures in a page, so that with the tables of a dozen runs it stays below
# 3 MB: base64 makes four of three.
_MOST_BYTES = 1_700_000
# Figures of which each run has its own.
_OF_ONE_RUN = ("asked", "confusion", "traversals")
_TITLE_WIDTH = 9


def write_report(output_dir: Path, evaluation: Evaluation) -> Path:
    """Writes projector files, figures, tables, report.json and, last, report.html.

    Each file is written atomically, so a crash leaves the previous report readable.

    Returns:
      The path of report.html.

    Raises:
      UserError: the disk is full or not writable.
    """
    results = evaluation.results
    write_projector(output_dir / "projector", evaluation.embeddings)
    for name, picture in evaluation.figures.items():
        _write(output_dir / "figures" / f"{name}.png", picture.png)
        _write(output_dir / "figures" / f"{name}.svg", picture.svg)
    _write(output_dir / "metrics.csv", csv_of(rows_of_runs(results)))
    images = rows_of_images(evaluation.table, evaluation.data)
    _write(output_dir / "per_image.csv", csv_of(images))
    _write(output_dir / "table.tex", tex_of(results).encode())
    write_json(output_dir / "report.json", results)
    page = output_dir / "report.html"
    _write(page, render(evaluation).encode())
    return page


def render(evaluation: Evaluation) -> str:
    """Returns the HTML page; pictures are inside it, nothing is loaded from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfcvae_tf.evaluation"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["p"] = lambda log10_p: format_p(float(log10_p))
    environment.filters["signed"] = lambda value: f"{float(value):+.4g}"
    environment.filters["setting"] = text_of
    template = environment.get_template("report.html")
    results = evaluation.results
    shown = _fitting(evaluation)
    return template.render(
        results,
        strips={name: _uri(file) for name, file in evaluation.strips.items()},
        figures={name: _uri(file) for name, file in shown.items()},
        left_out=[name for name in evaluation.figures if name not in shown],
        main=main_table(results),
        main_titles=MAIN,
        tables={
            table: metric_rows(
                results["runs"],
                [m for m in MEASURES if MEASURES[m].table == table],
                unranked(results),
            )
            for table in (SHARPNESS, FIDELITY, SAMPLES, LATENTS)
        },
        measures=MEASURES,
        differences=results.get("measures", {}).get("differences", []),
        originals=ORIGINALS,
    )


def terminal_table(results: Mapping[str, Any]) -> str:
    """Returns the first table of the page as text, and what is said below it."""
    table = main_table(results)
    titles = [textwrap.wrap(MAIN[m], _TITLE_WIDTH) for m in table.measures]
    names = [
        row.name if row.trainings == 1 else f"{row.name} (mean of {row.trainings})"
        for row in table.rows
    ]
    width = max(map(len, names))
    lines = []
    for place in range(max(map(len, titles), default=0)):
        parts = [title[place] if place < len(title) else "" for title in titles]
        lines.append(_line("", width, parts))
    for name, row in zip(names, table.rows, strict=True):
        lines.append(_line(name, width, [row.cells[m].text for m in table.measures]))
    said = list(results["comparison"]["alerts"])
    if verdicts := verdict_lines(results):
        said += [*verdicts, results["comparison"]["basis"]]
    for text in said:
        lines += ["", textwrap.fill(text, 96)]
    return "\n".join(lines)


def verdict_lines(results: Mapping[str, Any]) -> list[str]:
    """Returns what is supported of each setting against the baseline, a line each."""
    return [
        f"{verdict['first']} against {verdict['second']}: "
        + "; ".join(claim["text"] for claim in verdict["claims"])
        for verdict in results["comparison"]["verdicts"]
        if verdict["claims"]
    ]


def _line(name: str, width: int, cells: Sequence[str]) -> str:
    texts = (f"{cell:>{_TITLE_WIDTH + 1}}" for cell in cells)
    return f"{name:<{width}}{''.join(texts)}".rstrip()


def _fitting(evaluation: Evaluation) -> dict[str, bytes]:
    """The figures that a page has room for: name -> file.

    First those of all runs, then those of one run each, of the first run of each setting
    alone. What is too much lies beside the page like all of them.
    """
    results = evaluation.results
    names = list(results["runs"])
    others = {
        f"{figure}_{names.index(run)}"
        for setting in results["comparison"]["settings"]
        for run in setting["runs"][1:]
        for figure in _OF_ONE_RUN
    }
    ordered = sorted(
        (name for name in evaluation.figures if name not in others),
        key=lambda name: name.rpartition("_")[0] in _OF_ONE_RUN,
    )
    room = _MOST_BYTES - sum(map(len, evaluation.strips.values()))
    fitting: dict[str, bytes] = {}
    for name in ordered:
        file = shrink_figure(evaluation.figures[name].png)
        if file is not None and len(file) <= room:
            fitting[name] = file
            room -= len(file)
    return fitting


def _uri(file: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(file).decode()


def _write(path: Path, content: bytes) -> None:
    with atomic_file(path) as file:
        file.write(content)
