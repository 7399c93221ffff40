"""Evaluates trained runs on a test split: sharpness, fidelity, samples, latent space.

  python -m dfcvae_tf.evaluate --runs=vae=runs/vae,dfc=runs/dfc
  python -m dfcvae_tf.evaluate --runs=vae=pretrained:mnist_vae,dfc=pretrained:mnist_dfc_vae

Of two runs, differences are those of the one given later above the one given earlier, so
give the one to compare with first. Writes report.html (one file, opens anywhere),
report.json, figures/ and projector/ (for `tensorboard --logdir=…/projector`) to the output
folder, and a table to the terminal.
"""

from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, progress_printer, run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.evaluation.settings import MOST_ATTRIBUTES
from dfcvae_tf.files import check_writable
from dfcvae_tf.names import QUOTING
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_list(
        "runs",
        None,
        "NAME=DIR,NAME=DIR: finished runs and what to call them; DIR may be "
        "pretrained:mnist_vae, pretrained:mnist_dfc_vae or pretrained:mnist_dfc_vae_gan; "
        'one with a comma in it stands in double quotes: "NAME=DIR"',
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_dir",
        None,
        "folder of the report (default: DIR/reports for one run, else reports/NAME-NAME)",
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
    runs = _parse_runs(given["runs"])
    indices = _parse_indices(given["indices"])

    import_tensorflow()
    from dfcvae_tf.data.run_images import evaluation_data
    from dfcvae_tf.evaluation import asked, evaluator, report
    from dfcvae_tf.evaluation.dataset import load_evaluation_images
    from dfcvae_tf.evaluation.selection import parse_groups
    from dfcvae_tf.evaluation.settings import Settings

    output_dir = _output_dir(given["output_dir"], runs)
    progress = progress_printer()
    models = evaluator.load_runs(runs, given["trust_code"])
    config = next(iter(models.values())).config
    where = evaluation_data(
        config, given["dataset"], given["data_dir"], given["offline"]
    )
    data = load_evaluation_images(
        config, where, given["num_images"], given["seed"], indices
    )
    settings = Settings(
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
    check_writable(output_dir)
    evaluation = evaluator.evaluate(models, data, settings, progress)
    progress("writing the report")
    page = report.write_report(output_dir, evaluation)
    print(f"\n{report.terminal_table(evaluation.results)}\n\nreport: {page}")


def _parse_runs(texts: list[str] | None) -> dict[str, str]:
    """Reads --runs: name -> run directory."""
    runs: dict[str, str] = {}
    for text in texts or []:
        name, separator, path = text.partition("=")
        if not (separator and name and path):
            raise UserError(
                f"--runs has {text!r}; each must be NAME=DIR, like vae=runs/vae"
            )
        if name in runs or name == "originals":
            raise UserError(
                f"--runs cannot call a run {name!r} here; choose another name"
            )
        runs[name] = path
    if not runs:
        raise UserError("--runs is missing: --runs=NAME=DIR,NAME=DIR")
    return runs


def _parse_indices(texts: list[str]) -> tuple[int, ...]:
    if not all(text.isdecimal() for text in texts):
        raise UserError(f"--indices={','.join(texts)} must be numbers from 0: 3,14,15")
    return tuple(int(text) for text in texts)


def _output_dir(given: str | None, runs: dict[str, str]) -> Path:
    if given:
        return Path(given)
    paths = list(runs.values())
    if len(paths) == 1 and not paths[0].startswith(PRETRAINED_PREFIX):
        return RunDir(paths[0]).reports
    return Path("reports") / "-".join(runs)


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
