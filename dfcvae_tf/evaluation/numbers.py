"""The numbers of an evaluation for other programs: rows for CSV, and a table for LaTeX."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from dfcvae_tf.evaluation.dataset import EvaluationImages
from dfcvae_tf.evaluation.table import ORIGINALS, MeasureTable
from dfcvae_tf.evaluation.tables import MAIN, MEASURES, Cell, main_table, number

_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_"},
}


def rows_of_runs(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per run: what it is, and every measure that is one number.

    The settings are those in which runs differ, as config.json has them.
    """
    rows: list[dict[str, Any]] = []
    comparison = results["comparison"]
    for place, setting in enumerate(comparison["settings"]):
        along = {s: own[place] for s, own in comparison["differing_along"].items()}
        for name in setting["runs"]:
            run = results["provenance"]["runs"][name]
            measures = results["runs"][name]
            rows.append(
                {
                    "run": name,
                    "setting": setting["name"],
                    "run_dir": run["run_dir"],
                    "seed": run["settings"]["training"]["seed"],
                    "step": run["step"],
                    **setting["values"],
                    **along,
                    "collapsed": name in setting["collapsed"],
                    **{m: number(measures[m]) for m in MEASURES if m in measures},
                }
            )
    # In the order in which runs were given, as everywhere.
    places = list(results["runs"])
    return sorted(rows, key=lambda row: places.index(row["run"]))


def rows_of_images(
    table: MeasureTable, data: EvaluationImages
) -> Iterator[dict[str, Any]]:
    """A row per run and image: which image it is, its class, and what was measured.

    What was measured of the original itself is called original_….
    """
    for name in table.runs:
        for row in range(data.num_images):
            facts: dict[str, Any] = {"run": name, "index": int(data.places[row])}
            if data.file_names:
                facts["file"] = data.file_names[row]
            if data.labels is not None:
                facts["class"] = data.class_names[data.labels[row]]
            facts |= {m: float(x[row]) for m, x in table.values[name].items()}
            originals = table.values[ORIGINALS].items()
            yield facts | {f"original_{m}": float(x[row]) for m, x in originals}


def rows_of_settings(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per setting: mean, and of several trainings deviation, of every measure."""
    return [
        {
            "setting": setting["name"],
            "trainings": len(setting["runs"]),
            **setting["values"],
            **{
                f"{measure}{suffix}": float(value[what])
                for measure, value in setting["measures"].items()
                for what, suffix in (("mean", ""), ("deviation", "_deviation"))
                if what in value
            },
        }
        for setting in results["comparison"]["settings"]
    ]


def csv_of(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as CSV: UTF-8, a line of titles, and nothing where a row has no value."""
    rows = list(rows)
    file = io.StringIO()
    titles = list(dict.fromkeys(title for row in rows for title in row))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_text(row.get(title)) for title in titles] for row in rows)
    return file.getvalue().encode()


def tex_of(results: Mapping[str, Any]) -> str:
    """The first table of the report as a tabular for LaTeX with the package booktabs."""
    table = main_table(results)
    texts = ["", *table.columns, *([] if _all_single(table.rows) else ["runs"])]
    titles = [*map(escape_tex, texts), *(_tex_title(MAIN[m]) for m in table.measures)]
    lines = [
        r"% In the preamble: \usepackage{booktabs}. What is wider than the text is for",
        r"% table*, or for sidewaystable of the package rotating.",
        "% Bold: the best mean. Behind ±: standard deviation over the runs of a setting.",
        rf"\begin{{tabular}}{{{'l' * len(texts)}{'r' * len(table.measures)}}}",
        r"\toprule",
        _tex_row(titles),
        r"\midrule",
    ]
    for row in table.rows:
        cells = [escape_tex(text) for text in (row.name, *row.values)]
        if not _all_single(table.rows):
            cells.append(str(row.trainings))
        cells += [_tex_cell(row.cells[measure]) for measure in table.measures]
        lines.append(_tex_row(cells))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def escape_tex(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(_TEX.get(character, character) for character in text)


def _all_single(rows: Sequence[Any]) -> bool:
    return all(row.trainings == 1 for row in rows)


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex_title(title: str) -> str:
    """A title of several words on two lines."""
    first, _, rest = escape_tex(title).rpartition(" ")
    return rf"\shortstack[r]{{{first}\\{rest}}}" if first else rest


def _tex_cell(cell: Cell) -> str:
    text = escape_tex(cell.text)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    spread = rf" {{\scriptsize $\pm$ {cell.spread}}}" if cell.spread else ""
    return text + spread


def _text(value: Any) -> str:
    """A value in CSV, which reads back as the same number."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)
