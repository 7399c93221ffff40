"""Fits the prior that samples of a trained run are drawn from.

    python -m dfcvae_tf.fit_prior --run_dir=runs/dfc

Where the encoder puts the training images is not quite N(0, I), and what is drawn from
there looks like none of them. A prior that is fitted to their latents draws what looks
like them. It is written beside the run's weights, and every program uses it from then on.
"""

from typing import Any

from absl import flags, logging

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.config import SETTINGS
from dfcvae_tf.errors import UserError
from dfcvae_tf.run_dir import PRETRAINED_PREFIX, resolve


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_run_dir(values, "a finished run")
    flags.DEFINE_enum(
        "prior",
        "flow",
        SETTINGS["prior"].choices,
        "flow = an invertible map of noise, gmm = a mixture of Gaussians, standard = "
        "N(0, I), whatever was fitted before (default: flow)",
        flag_values=values,
    )
    common_flags.define_settings(values, ("prior_labels",))
    common_flags.define_data(
        values, "images like those it was trained on (default: those)"
    )
    common_flags.define_seed(values, "all that is drawn")


def main(values: flags.FlagValues) -> None:
    """Fits the prior and says how well it went."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "run_dir")
    labels = common_flags.given_settings(values, ("prior_labels",))
    if given["run_dir"].startswith(PRETRAINED_PREFIX):
        raise UserError(
            f"{given['run_dir']} ships with the package, and its prior with it; to fit "
            f"another, copy {resolve(given['run_dir'])} and name the copy"
        )
    run = resolve(given["run_dir"])

    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference, other_images
    from dfcvae_tf.data import run_images
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.files import locked
    from dfcvae_tf.models.prior import STANDARD
    from dfcvae_tf.training.prior_fitting import describe_fit, fit_prior

    with locked(run.path):
        model = load_for_inference(
            given["run_dir"], prior="standard", trust_code=given["trust_code"]
        )
        data = run_images.own_data(
            model.config, given["dataset"], given["data_dir"], given["offline"]
        )
        source = open_source(data, model.config.training.seed)
        other = other_images(model.run, source.digest, source.num_examples)
        if other and given["prior"] != STANDARD:
            logging.warning(
                "%s was trained on other images (%s); the prior becomes that of these",
                given["run_dir"],
                other,
            )
        run_images.check_channels(model.config, data, source)
        facts = fit_prior(
            model,
            given["prior"],
            data,
            source,
            given["seed"],
            labelled=labels.get("prior_labels") != "none",
        )
    if not facts:
        print(f"{given['run_dir']}: samples are drawn from N(0, I)")
        return
    print(f"wrote {model.run.prior}: {describe_fit(given['prior'], facts)}")


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
