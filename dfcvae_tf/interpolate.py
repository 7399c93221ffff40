"""Shows the way from one image to another through the latent space of a trained run.

    python -m dfcvae_tf.interpolate --run_dir=pretrained:mnist_dfc_vae \\
        --start=2971 --end=8461 --output=way.gif

Encodes both images (z_mean), goes from one latent to the other in equal steps, and
decodes each. With --space=noise it goes through the noise that the run's prior makes
latents of: where a learned prior leaves a gap between two images, the way goes around it.
Digits alone are an index into the test split of the dataset; anything else is an image
file, which is cropped and resized as in training.
"""

from typing import Any

from absl import flags, logging

from dfcvae_tf import common_flags, image_files
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.data import chosen_images
from dfcvae_tf.run_dir import resolve

MAX_COLUMNS = 11


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_run_dir(values)
    flags.DEFINE_string(
        "start", None, "first image: a test index or an image file", flag_values=values
    )
    flags.DEFINE_string(
        "end", None, "last image: a test index or an image file", flag_values=values
    )
    flags.DEFINE_integer(
        "steps",
        10,
        "steps from start to end; there is one image more than steps (default: 10)",
        lower_bound=1,
        upper_bound=image_files.MAX_IMAGES - 1,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "path",
        "linear",
        ["linear", "spherical"],
        "on the straight line between both latents, or on an arc around the origin "
        "(default: linear)",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "space",
        "latent",
        ["latent", "noise"],
        "steps are equal between latents, or between what the prior makes them of "
        "(default: latent)",
        flag_values=values,
    )
    image_files.define_output(values)
    common_flags.define_data(values, f"where indices point: {common_flags.OWN_DATASET}")


def main(values: flags.FlagValues) -> None:
    """Encodes, interpolates, decodes and writes."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "run_dir", "start", "end", "output")
    chosen = [chosen_images.parse(given[name]) for name in ("start", "end")]
    resolve(given["run_dir"])
    image_files.check_output(given["output"])

    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference
    from dfcvae_tf.data import run_images
    from dfcvae_tf.models.prior import STANDARD

    in_noise = given["space"] == "noise"
    prior = None if in_noise else STANDARD  # which then nobody asks
    model = load_for_inference(
        given["run_dir"], prior=prior, trust_code=given["trust_code"]
    )
    data = run_images.evaluation_data(
        model.config, given["dataset"], given["data_dir"], given["offline"]
    )
    images = chosen_images.load(model.config, data, chosen, model.ground)
    if in_noise and not model.has_learned_prior:
        logging.warning(
            "the prior of %s is N(0, I), where noise and latents are the same",
            given["run_dir"],
        )
    start, end = images
    decoded = model.interpolate(start, end, given["steps"], given["path"], in_noise)
    columns = min(len(decoded), MAX_COLUMNS)
    image_files.write_images(given["output"], decoded, columns, given["scale"])
    print(
        f"wrote {given['output']}: {len(decoded)} images from {given['start']} to "
        f"{given['end']}"
    )


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
