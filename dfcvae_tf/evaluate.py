"""Evaluates trained runs on a test split: sharpness, fidelity, samples, latent space.

  python -m dfcvae_tf.evaluate --runs='runs/*' --baseline=vae-kl1
  python -m dfcvae_tf.evaluate --runs=vae=runs/vae,dfc=runs/dfc
  python -m dfcvae_tf.evaluate --runs=vae=pretrained:mnist_vae,dfc=pretrained:mnist_dfc_vae

Runs whose settings are equal but for the seed are one setting, and settings are compared
with the baseline. Writes report.html (one file, opens anywhere), report.json, metrics.csv
(a row per run), per_image.csv (per run and image), table.tex (for LaTeX with booktabs),
figures/ (PNG and SVG) and projector/ (for `tensorboard --logdir=…/projector`) to the
output folder, and a table to the terminal.

From Python the module is a function, whose options are called like the flags:

  found = dfcvae_tf.evaluate({"vae": "runs/vae", "dfc": "runs/dfc"}, num_images=500)
  found["metrics"], found["per_image"], found["settings"], found["report"]
"""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, progress_printer, run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.runs_given import find_runs
from dfcvae_tf.evaluation.settings import MOST_ATTRIBUTES
from dfcvae_tf.files import check_writable
from dfcvae_tf.names import QUOTING, plain_name
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir

# Of the default folder's name, which names all runs; more are too long for one.
_MOST_NAMED = 4


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_string(
        "runs",
        None,
        "finished runs, with commas between them: NAME=DIR; DIR, which gets a name made of "
        "what differs between the runs; or a pattern such as 'runs/*', for all finished "
        "runs it matches. DIR may be pretrained:mnist_vae, pretrained:mnist_dfc_vae or "
        "pretrained:mnist_dfc_vae_gan. A DIR with = in it is taken as it is where it "
        "exists, and so is one with commas that stands alone; among others it stands in "
        'double quotes: "NAME=DIR"',
        flag_values=values,
    )
    flags.DEFINE_string(
        "baseline",
        None,
        "the setting, or the run, that all others are compared with: its name, or its DIR "
        "(default: the first)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "folder of the report (default: DIR/reports for one run, else reports/NAME-NAME, of "
        "many runs reports/NAME-and-11-more)",
        flag_values=values,
    )
    common_flags.define_trust_code(values)
    common_flags.define_data(values, common_flags.OWN_DATASET)
    flags.DEFINE_integer(
        "num_images",
        10_000,
        "test images used; of more, so many are drawn with --seed, the same for all "
        "runs, of each class as equally many as there are (default: 10000)",
        1,
        flag_values=values,
    )
    flags.DEFINE_list(
        "indices",
        [],
        "test images to show, by their places in the test split, from 0; they are among "
        "those used (default: on MNIST those of the article, else one of each class)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "groups",
        "",
        "classes to compare as groups, such as 'round=0,6,8;straight=1,7'; "
        f"""{QUOTING}: 'odd="a,b",c' (default: on digits class 1 and all others)""",
        flag_values=values,
    )
    flags.DEFINE_string(
        "attributes",
        "",
        "attributes whose samples are judged, of runs that can be asked for some, with "
        f"commas between them (default: the {MOST_ATTRIBUTES} that are recognised best in "
        f"originals); {QUOTING}",
        flag_values=values,
    )
    common_flags.define_judge(values)
    flags.DEFINE_bool(
        "read_model_files",
        False,
        "also read the files that runs name for their perceptual model (graphdef:PATH, "
        "file:PATH, --perceptual_weights=PATH), to measure its sensitivity and, for runs "
        "of earlier versions, to tell whether the judge is the same",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "importance_samples",
        50,
        "draws per image for the importance-weighted NLL, which is computed for the "
        "first 1000 of the images used",
        1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "traversals",
        16,
        "latent dimensions drawn from -3 to 3, those of most KL; 0 for none",
        0,
        flag_values=values,
    )
    common_flags.define_temperature(values)
    common_flags.define_seed(values, "everything drawn, the images too")


def main(values: flags.FlagValues) -> None:
    """Evaluates, writes the report, prints a table."""
    given: dict[str, Any] = values.flag_values_dict()
    evaluation, page = _evaluate(
        given["runs"] or "", given, _output_dir, progress_printer()
    )
    from dfcvae_tf.evaluation.report import terminal_table

    print(f"\n{terminal_table(evaluation.results)}\n\nreport: {page}")


def evaluate(
    runs: str | os.PathLike | Mapping[str, str | os.PathLike] | Iterable,
    output_dir: str | os.PathLike | None = None,
    progress: Callable[[str], None] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Evaluates runs, and returns what was found as plain data.

    Args:
      runs: name -> run directory, a list of directories, or a text as --runs takes it.
      output_dir: where the report is written; nowhere when None.
      progress: told what is being done, a few words at a time.
      **options: of the flags' names and meaning; what is a list there may be one here.

    Returns:
      "metrics": a row (column -> value) per run; "per_image": per run and image;
      "settings": per setting, over its trainings; where pandas is installed each is a
      DataFrame. "report": all of report.json.

    Raises:
      UserError: a run, the data or an option is wrong.
      TypeError: there is no such option, or it has another type.
    """
    folder = None if output_dir is None else Path(output_dir)
    evaluation, _ = _evaluate(
        runs,
        _options(options),
        lambda given, named: folder,
        progress or (lambda text: None),
    )
    from dfcvae_tf.evaluation import numbers

    results = evaluation.results
    images = numbers.rows_of_images(evaluation.table, evaluation.data)
    return {
        "settings": _as_table(numbers.rows_of_settings(results)),
        "metrics": _as_table(numbers.rows_of_runs(results)),
        "per_image": _as_table(list(images)),
        "report": results,
    }


def _evaluate(
    runs: Any,
    given: Mapping[str, Any],
    folder_of: Callable[[Mapping[str, Any], dict[str, str]], Path | None],
    progress: Callable[[str], None],
) -> tuple[Any, Path | None]:
    """Evaluates and writes the report.

    Args:
      runs: see `runs_given.find_runs`.
      given: flag -> value.
      folder_of: (given, name -> path of the runs) -> folder of the report; None for none.
      progress: see `evaluate`.

    Returns:
      The `evaluator.Evaluation`, and the path of the page.
    """
    found, notes = find_runs(runs)
    indices = _parse_indices(given["indices"])

    import_tensorflow()
    from dfcvae_tf.data.run_images import evaluation_data
    from dfcvae_tf.evaluation import asked, evaluator, report
    from dfcvae_tf.evaluation.dataset import load_evaluation_images
    from dfcvae_tf.evaluation.selection import parse_groups
    from dfcvae_tf.evaluation.settings import Settings
    from dfcvae_tf.evaluation.variants import group_runs, name_runs

    named = name_runs(found)
    baseline = group_runs(named, given["baseline"]).baseline
    for note in notes:
        progress(note)
    folder = folder_of(given, named)
    models = evaluator.load_runs(named, given["trust_code"])
    config = next(iter(models.values())).config
    where = evaluation_data(
        config, given["dataset"], given["data_dir"], given["offline"]
    )
    data = load_evaluation_images(
        config, where, given["num_images"], given["seed"], indices
    )
    settings = Settings(
        baseline=baseline,
        indices=indices,
        groups=parse_groups(given["groups"], data.class_names),
        attributes=asked.parse_attributes(given["attributes"], models),
        judge=given["judge"],
        judge_layers=tuple(given["judge_layers"]),
        judge_weights=given["judge_weights"],
        importance_samples=given["importance_samples"],
        read_model_files=given["read_model_files"],
        num_traversals=given["traversals"],
        temperature=given["temperature"],
        seed=given["seed"],
    )
    if folder is not None:
        check_writable(folder)
    evaluation = evaluator.evaluate(models, data, settings, progress)
    if folder is None:
        return evaluation, None
    progress("writing the report")
    return evaluation, report.write_report(folder, evaluation)


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the flags are when these are given, flag -> value.

    Raises:
      UserError: a value is out of range.
      TypeError: there is no such flag, or it has another type.
    """
    values = flags.FlagValues()
    define_flags(values)
    try:
        for name, value in options.items():
            if name not in values:
                raise TypeError(
                    f"evaluate() has no option {name!r}; it has {', '.join(values)}"
                )
            if isinstance(value, list | tuple):
                value = list(map(str, value))
            if isinstance(value, os.PathLike):
                value = os.fspath(value)
            if value is not None:
                values[name].parse(value)
        values.mark_as_parsed()
        values.validate_all_flags()
    except flags.Error as error:
        raise UserError(str(error)) from error
    return values.flag_values_dict()


def _parse_indices(texts: list[str]) -> tuple[int, ...]:
    if not all(text.isdecimal() for text in texts):
        raise UserError(f"--indices={','.join(texts)} must be numbers from 0: 3,14,15")
    return tuple(int(text) for text in texts)


def _output_dir(given: Mapping[str, Any], runs: dict[str, str]) -> Path:
    if given["output_dir"]:
        return Path(given["output_dir"])
    paths = list(runs.values())
    if len(paths) == 1 and not paths[0].startswith(PRETRAINED_PREFIX):
        return RunDir(paths[0]).reports
    # Names are the user's, and may have what means another folder.
    names = [plain_name(name).lstrip(".") or "_" for name in runs]
    if len(names) > _MOST_NAMED:
        return Path("reports") / f"{names[0]}-and-{len(names) - 1}-more"
    return Path("reports") / "-".join(names)


def _as_table(rows: list[dict[str, Any]]) -> Any:
    """Rows as a pandas.DataFrame where pandas is there, else as they are."""
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
