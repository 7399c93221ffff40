"""Draws images from the prior of a trained run.

    python -m dfcvae_tf.sample --run_dir=pretrained:mnist_dfc_vae --output=samples.png

The same seed gives the same images.
"""

import math
from typing import Any

from absl import flags

from dfcvae_tf import common_flags, image_files
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.run_dir import resolve


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_run_dir(values)
    image_files.define_output(values)
    flags.DEFINE_integer(
        "count",
        64,
        "number of images (default: 64)",
        lower_bound=1,
        upper_bound=image_files.MAX_IMAGES,
        flag_values=values,
    )
    common_flags.define_temperature(values)
    common_flags.define_prior(values)
    common_flags.define_seed(values, "the latents")


def main(values: flags.FlagValues) -> None:
    """Draws the images and writes them."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "run_dir", "output")
    resolve(given["run_dir"])
    image_files.check_output(given["output"])

    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference

    model = load_for_inference(given["run_dir"], prior=given["prior"])
    count = given["count"]
    images = model.sample(count, given["seed"], given["temperature"])
    columns = math.ceil(math.sqrt(count))
    image_files.write_images(given["output"], images, columns, given["scale"])
    prior = "its learned prior" if model.has_learned_prior else "N(0, I)"
    print(
        f"wrote {given['output']}: {count} samples of {given['run_dir']}, from {prior}"
    )


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
