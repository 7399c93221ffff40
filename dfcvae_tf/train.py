"""Trains a plain VAE or a deep feature consistent VAE (DFC-VAE) on images.

  python -m dfcvae_tf.train --preset=mnist-dfc-vae --run_dir=runs/dfc

Run it again with the same --run_dir and training goes on from the last checkpoint.
"""

import json
import os
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.config import SETTINGS, Config, to_dict
from dfcvae_tf.errors import UserError, unknown_name
from dfcvae_tf.handed_over import read_function
from dfcvae_tf.presets import PRESET_HELP, configured, presets_help
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir

if TYPE_CHECKING:
    from dfcvae_tf.loaded_run import LoadedRun


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags: one per setting, and where the run goes."""
    flags.DEFINE_string("preset", None, PRESET_HELP, flag_values=values)
    flags.DEFINE_string(
        "run_dir", None, "folder of the run (default: runs/PRESET)", flag_values=values
    )
    flags.DEFINE_bool(
        "override",
        False,
        "go on in a --run_dir that was made with other settings, data or model files",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "print_config",
        False,
        "print the settings as the run's config.json would have them, and end; of the "
        "data only what they depend on is read",
        flag_values=values,
    )
    # Where a flag is not given, the preset's value stands.
    common_flags.define_settings(values, SETTINGS, with_defaults=True)


def main(values: flags.FlagValues) -> None:
    """Trains, prints the test metrics and what to do next."""
    settings = common_flags.given_settings(values, SETTINGS)
    config, run_dir = _what_and_where(
        values["preset"].value, settings, values["run_dir"].value
    )

    import_tensorflow()
    from dfcvae_tf.models.prior import STANDARD
    from dfcvae_tf.prior_file import read_facts
    from dfcvae_tf.training import loop
    from dfcvae_tf.training.prior_fitting import describe_fit
    from dfcvae_tf.training.summaries import metrics_table

    run = RunDir(run_dir)
    named = "perceptual_model" in settings
    if values["print_config"].value:
        print(json.dumps(to_dict(loop.resolve(config, run, named)), indent=2))
        return
    metrics = loop.train(
        config,
        run,
        override=bool(values["override"].value),
        perceptual_model_named=named,
    )
    if metrics:
        print(metrics_table(metrics, config.model.latent_dim))
        facts = read_facts(run)
        if facts is not None and facts["kind"] != STANDARD:
            print(f"prior: {describe_fit(facts['kind'], facts)}")
        print(
            f"\nrun directory: {run_dir}\n"
            f"look at it:    tensorboard --logdir={shlex.quote(run_dir)}"
        )


def train(
    preset: str | None = None,
    run_dir: str | os.PathLike | None = None,
    *,
    override: bool = False,
    network: str | Callable | None = None,
    term: str | Callable | None = None,
    **settings: Any,
) -> "LoadedRun":
    """Trains a run, or goes on with it, and loads it: the program, from Python.

    Args:
      preset: settings to start from; see `--help` for them and their names.
      run_dir: folder of the run; runs/PRESET when None.
      override: go on in a folder that was made with other settings.
      network: its name, or a function of yours that builds it; see WORKSPACE.md.
      term: one more term of the loss: "file:PATH.py:FUNCTION", or the function.
      **settings: dataset, steps and all others, by the names of their flags; values as
        Python has them, or text as the flags take it.

    Returns:
      The run, as `load_run` does.

    Raises:
      UserError: something in the settings, the data or the directory is wrong.
      Stopped: training was interrupted or went wrong; the newest checkpoint is intact.
    """
    handed_over = {}
    for part, value in (("network", network), ("term", term)):
        if callable(value):
            value, handed_over[part] = read_function(part, value)
        if value is not None:
            settings[part] = value
    settings = {name: _setting(name, value) for name, value in settings.items()}
    config, where = _what_and_where(
        preset, settings, None if run_dir is None else os.fspath(run_dir)
    )

    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference
    from dfcvae_tf.own_code import own_parts
    from dfcvae_tf.training import loop

    named = "perceptual_model" in settings
    loop.train(config, RunDir(where), override, named, handed_over)
    return load_for_inference(where, trust_code=bool(own_parts(config)))


def _what_and_where(
    preset: str | None, settings: dict[str, Any], run_dir: str | None
) -> tuple[Config, str]:
    """The settings as a whole, and the folder of the run."""
    config = configured(preset, settings)
    run_dir = run_dir or f"runs/{config.preset}"
    if run_dir.startswith(PRETRAINED_PREFIX):
        raise UserError(f"{run_dir} ships with the package; choose another --run_dir")
    return config, run_dir


def _setting(name: str, value: Any) -> Any:
    """Returns the value of a setting as it is kept, from what a call gives."""
    if name not in SETTINGS:
        raise unknown_name("setting", name, SETTINGS)
    setting = SETTINGS[name]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list):
        value = tuple(value)
    if setting.parse and value is not None and not isinstance(value, tuple):
        value = setting.from_flag(str(value))
    setting.check(value)
    return value


def run() -> None:
    run_program(f"{__doc__}\n{presets_help()}", define_flags, main)


if __name__ == "__main__":
    run()
