"""Draws images from the prior of a trained run.

    python -m dfcvae_tf.sample --run_dir=pretrained:mnist_dfc_vae --output=samples.png
    python -m dfcvae_tf.sample --run_dir=pretrained:mnist_dfc_vae --label=7,3 --output=7_3.png
    python -m dfcvae_tf.sample --run_dir=runs/faces --attributes=Smiling,Eyeglasses-Young \\
        --output=faces.png

The same seed gives the same images. Of a prior that knows labels, images can be asked for
by name: classes with --label, attributes with --attributes; all that is asked for is made
of the same noise, in a row of pictures each.
"""

import math
from typing import Any

import numpy as np
from absl import flags

from dfcvae_tf import common_flags, image_files
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.labels import ATTRIBUTES, CLASSES
from dfcvae_tf.names import QUOTING
from dfcvae_tf.run_dir import resolve

# How many images, in all and of each that is asked for.
_COUNT, _COUNT_EACH = 64, 10


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_run_dir(values)
    image_files.define_output(values)
    flags.DEFINE_integer(
        "count",
        None,
        "number of images (default: 64; with --label or --attributes 10 for each)",
        lower_bound=1,
        upper_bound=image_files.MAX_IMAGES,
        flag_values=values,
    )
    flags.DEFINE_string(
        "label",
        None,
        f"classes of the images, with commas between them: a row each; {QUOTING}",
        flag_values=values,
    )
    flags.DEFINE_string(
        "attributes",
        None,
        "attributes of the images, names joined by + or -, such as "
        f"Smiling,Eyeglasses-Young: a row for each between commas; {QUOTING}",
        flag_values=values,
    )
    common_flags.define_temperature(values)
    common_flags.define_prior(values)
    common_flags.define_seed(values, "the latents")


def main(values: flags.FlagValues) -> None:
    """Draws the images and writes them."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "run_dir", "output")
    if given["label"] is not None and given["attributes"] is not None:
        raise UserError(
            "--label is of classes and --attributes of attributes; give one"
        )
    resolve(given["run_dir"])
    image_files.check_output(given["output"])

    import_tensorflow()
    from dfcvae_tf.checkpoints import load_for_inference

    model = load_for_inference(
        given["run_dir"], prior=given["prior"], trust_code=given["trust_code"]
    )
    prior = "its learned prior" if model.has_learned_prior else "N(0, I)"
    asked = _asked(model, given)
    if not asked:
        count = given["count"] or _COUNT
        columns = math.ceil(math.sqrt(count))
        images = model.sample(count, given["seed"], given["temperature"])
        what = f"{count} samples"
    else:
        columns = given["count"] or _COUNT_EACH
        if columns * len(asked) > image_files.MAX_IMAGES:
            raise UserError(
                f"{columns} images of each of {len(asked)} are more than a picture "
                f"holds: {image_files.MAX_IMAGES}; give a lower --count"
            )
        noise = model.noise(columns, given["seed"], given["temperature"])
        rows = [
            model.generate(noise, np.tile(row, (columns, 1))) for row in asked.values()
        ]
        images = np.concatenate(rows)
        many = "sample" if columns == 1 else "samples"
        what = f"{columns} {many} each of {', '.join(asked)}"
    image_files.write_images(given["output"], images, columns, given["scale"])
    print(f"wrote {given['output']}: {what}, of {given['run_dir']}, from {prior}")


def _asked(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What is asked for, in words -> row; {} where nothing is."""
    for flag, kind in (("label", CLASSES), ("attributes", ATTRIBUTES)):
        if given[flag] is None:
            continue
        if given["prior"] == "standard":
            raise UserError(f"--prior=standard knows no labels; leave out --{flag}")
        labels = model.known_labels
        if labels.kind != kind:
            other = {"label": "attributes", "attributes": "label"}[flag]
            raise UserError(
                f"{given['run_dir']} knows {labels.kind}: ask for them with --{other}; "
                f"known: {', '.join(labels.names)}"
            )
        asked = labels.read(given[flag])
        if not asked:
            raise UserError(f"--{flag} is empty; known: {', '.join(labels.names)}")
        return asked
    return {}


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
