"""Exports a trained run for phones and browsers: SavedModel and TFLite, checked against Keras.

  python -m dfcvae_tf.export --run_dir=runs/dfc
  python -m dfcvae_tf.export --run_dir=pretrained:mnist_dfc_vae --web

Writes saved_model/, decoder_*.tflite, encoder_*.tflite, for a run with a learned prior
generator_*.tflite and prior.tflite, REPORT.md (numbers, and how to use the files) and
manifest.json (the same for programs). A file whose results differ too much from the trained
network's is left out, and the exit code is 1.

With --web the folder is a page, too, for any web server; to look at it here:

  python -m http.server --bind=127.0.0.1 --directory=FOLDER
"""

from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, progress_printer, run_program
from dfcvae_tf.errors import Stopped, UserError
from dfcvae_tf.exporting import web
from dfcvae_tf.exporting.accelerator import ACCELERATORS
from dfcvae_tf.exporting.licences import restriction
from dfcvae_tf.exporting.settings import VARIANTS, parse_settings
from dfcvae_tf.exporting.signatures import NETWORKS


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_run_dir(values)
    flags.DEFINE_string(
        "output_dir",
        None,
        "folder of the export; an earlier export there is replaced (default: "
        "RUN_DIR/export, for pretrained:NAME exports/NAME)",
        flag_values=values,
    )
    flags.DEFINE_list(
        "quantize",
        list(VARIANTS),
        "variants of the .tflite files: "
        + "; ".join(f"{name} = {text}" for name, text in VARIANTS.items()),
        flag_values=values,
    )
    flags.DEFINE_list(
        "signatures",
        None,
        f"what .tflite files are written for: {', '.join(NETWORKS)} (default: all there "
        "are)",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "saved_model",
        "yes",
        ["yes", "no"],
        "whether to write a SavedModel for TensorFlow",
        flag_values=values,
    )
    flags.DEFINE_string(
        "name", None, "of the model (default: the run's)", flag_values=values
    )
    flags.DEFINE_string(
        "model_version",
        None,
        "of the model, such as 1.2: goes into the manifest and the report",
        flag_values=values,
    )
    flags.DEFINE_string(
        "batch_size",
        "1",
        "rows per call of the .tflite files; dynamic = any number, but slower",
        flag_values=values,
    )
    flags.DEFINE_string(
        "accelerator",
        "auto",
        f"{' | '.join(ACCELERATORS)}: whether the files are run on a GPU as well, whole or "
        "not at all; auto = where there is one, be it in software",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "web", False, "write a web page that runs the decoder", flag_values=values
    )
    flags.DEFINE_string(
        "litert_dir",
        None,
        "folder that LiteRT.js was installed in with npm, for --web: the one with "
        "node_modules/@litertjs (default: the checkout's export/web, if this is one)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint",
        None,
        "export a checkpoint of this step (or the newest) instead of the weights that "
        "training ended with",
        flag_values=values,
    )
    common_flags.define_data(
        values,
        f"real images for calibration and checks: {common_flags.OWN_DATASET}",
    )
    common_flags.define_seed(values, "latents for calibration and checks")


def main(values: flags.FlagValues) -> None:
    """Exports, prints a table of the files, names those left out."""
    given: dict[str, Any] = values.flag_values_dict()
    settings = parse_settings(given)
    common_flags.require(given, "run_dir")
    if given["web"] and settings.batch_size == "dynamic":
        raise UserError("--web needs a fixed --batch_size, such as 1: browsers do")
    if given["litert_dir"] and not given["web"]:
        raise UserError("--litert_dir is for the web page; give --web, too")
    litert_dir = web.find_litert(given["litert_dir"]) if given["web"] else None

    import_tensorflow()
    from dfcvae_tf.data.run_images import evaluation_data
    from dfcvae_tf.exporting import exporter, report

    progress = progress_printer()
    model, step = exporter.load_run(
        given["run_dir"], given["checkpoint"], given["trust_code"]
    )
    data = evaluation_data(
        model.config, given["dataset"], given["data_dir"], given["offline"]
    )
    output = given["output_dir"] or exporter.default_output_dir(given["run_dir"])
    manifest = exporter.export_run(
        model,
        Path(output),
        settings,
        data,
        step,
        litert_dir,
        progress,
    )
    print(f"\n{report.terminal_table(manifest)}\n\nexport: {output}")
    print(f"take:   {report.recommended(manifest)}")
    if said := restriction(manifest["licences"]):
        print(f"note:   {said}")
    if rejected := manifest["rejected"]:
        reasons = "; ".join(f"{file['file']}: {file['reason']}" for file in rejected)
        raise Stopped(f"left out of the export: {reasons}")


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
