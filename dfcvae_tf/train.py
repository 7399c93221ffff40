"""Trains a plain VAE or a deep feature consistent VAE (DFC-VAE) on images.

  python -m dfcvae_tf.train --preset=mnist-dfc-vae --run_dir=runs/dfc

Run it again with the same --run_dir and training goes on from the last checkpoint.
"""

import json
import shlex

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.config import SETTINGS, to_dict
from dfcvae_tf.errors import UserError
from dfcvae_tf.presets import PRESET_HELP, configured, presets_help
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, RunDir


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
    config = configured(values["preset"].value, settings)
    run_dir = values["run_dir"].value or f"runs/{config.preset}"
    if run_dir.startswith(PRETRAINED_PREFIX):
        raise UserError(f"{run_dir} ships with the package; choose another --run_dir")

    import_tensorflow()
    from dfcvae_tf.models.prior import STANDARD
    from dfcvae_tf.prior_file import read_facts
    from dfcvae_tf.training.loop import resolve, train
    from dfcvae_tf.training.prior_fitting import describe_fit
    from dfcvae_tf.training.summaries import metrics_table

    run = RunDir(run_dir)
    named = "perceptual_model" in settings
    if values["print_config"].value:
        print(json.dumps(to_dict(resolve(config, run, named)), indent=2))
        return
    metrics = train(
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


def run() -> None:
    run_program(f"{__doc__}\n{presets_help()}", define_flags, main)


if __name__ == "__main__":
    run()
