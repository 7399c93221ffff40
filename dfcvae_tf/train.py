"""Trains a plain VAE or a deep feature consistent VAE (DFC-VAE) on images.

  python -m dfcvae_tf.train --preset=mnist-dfc-vae --run_dir=runs/dfc

Run it again with the same --run_dir and training goes on from the last checkpoint.
"""

import dataclasses
import shlex
import typing
from typing import Any, Literal

from absl import flags

from dfcvae_tf import config as config_lib
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.presets import PRESETS, preset_config
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir

DEFAULT_PRESETS = {"dfc_vae": "mnist-dfc-vae", "vae": "mnist-vae"}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags: one per setting, and where the run goes."""
    flags.DEFINE_string(
        "preset",
        None,
        f"settings to start from, which every other flag overrides: "
        f"{' | '.join(PRESETS)} (default: mnist-dfc-vae, with "
        "--objective=vae mnist-vae)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "run_dir", None, "folder of the run (default: runs/PRESET)", flag_values=values
    )
    flags.DEFINE_bool(
        "override",
        False,
        "go on in a --run_dir that was made with other settings",
        flag_values=values,
    )
    for cls in config_lib.SECTIONS.values():
        hints = typing.get_type_hints(cls)
        for setting in dataclasses.fields(cls):
            _define_setting(setting, hints[setting.name], values)


def main(values: flags.FlagValues) -> None:
    """Trains, prints the test metrics and what to do next."""
    settings = {
        name: _parse(name, values[name].value)
        for cls in config_lib.SECTIONS.values()
        for name in (setting.name for setting in dataclasses.fields(cls))
        if values[name].value is not None
    }
    preset = values["preset"].value
    preset = preset or DEFAULT_PRESETS.get(settings.get("objective", "dfc_vae"))
    config = config_lib.apply_settings(
        preset_config(preset or "mnist-dfc-vae"), settings
    )
    run_dir = values["run_dir"].value or f"runs/{config.preset}"
    if run_dir.startswith(PRETRAINED_PREFIX):
        raise UserError(f"{run_dir} ships with the package; choose another --run_dir")

    import_tensorflow()
    from dfcvae_tf.training.loop import train
    from dfcvae_tf.training.summaries import metrics_table

    metrics = train(config, RunDir(run_dir), override=bool(values["override"].value))
    if metrics:
        print(metrics_table(metrics))
        print(
            f"\nrun directory: {run_dir}\n"
            f"look at it:    tensorboard --logdir={shlex.quote(run_dir)}"
        )


def _define_setting(setting: Any, hint: Any, values: flags.FlagValues) -> None:
    """Defines the flag of one setting. Its default is the preset's, hence None here."""
    help_text = setting.metadata["help"]
    if typing.get_origin(hint) is Literal:
        choices = [str(choice) for choice in typing.get_args(hint)]
        help_text = f"{' | '.join(choices)}: {help_text}"
    define: Any = flags.DEFINE_string  # tuples too; `_parse` splits them
    for kind, kind_define in (
        (bool, flags.DEFINE_bool),
        (int, flags.DEFINE_integer),
        (float, flags.DEFINE_float),
    ):
        if hint in (kind, kind | None):
            define = kind_define
    define(setting.name, None, help_text, flag_values=values)


def _parse(name: str, value: Any) -> Any:
    """Turns the text of a flag with several values into the setting's tuple."""
    try:
        if name == "image_size":
            sizes = [int(part) for part in value.lower().split("x")]
            if len(sizes) > 2:
                raise ValueError
            return (sizes[0], sizes[-1])
        if name == "perceptual_layers":
            return tuple(part.strip() for part in value.split(",") if part.strip())
        if name == "perceptual_layer_weights":
            return tuple(float(part) for part in value.split(","))
    except ValueError as error:
        form = "64 or 48x64" if name == "image_size" else "1,0.5"
        raise UserError(f"--{name}={value} must look like {form}") from error
    return value


def run() -> None:
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
