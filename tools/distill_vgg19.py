"""Makes the `photos` network, which ships with the package, out of VGG19.

    python -m tools.distill_vgg19 --weights=VGG19.h5 --dataset=folder:PHOTOS

An interrupted training goes on with the same command; its state is in the folder
OUTPUT.training. `python -m tools.benchmark perceptual` measures what became of it.
"""

import shutil
import typing
from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.files import check_writable, write_arrays
from dfcvae_tf.run_dir import ASSETS_DIR

if typing.TYPE_CHECKING:
    from dfcvae_tf.perceptual.feature_extractor import KerasFeatures


def define_flags(values: flags.FlagValues) -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "weights",
        "imagenet",
        "VGG19's: imagenet (downloads Keras', once), or the path of an .h5 file",
        flag_values=values,
    )
    common_flags.define_data(values, "photos, of at least 38 pixels a side")
    common_flags.define_settings(values, ("image_size",))
    flags.DEFINE_string(
        "output",
        str(ASSETS_DIR / "perceptual" / "photos.npz"),
        "file to write",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "feature_steps", 500, "steps that learn features alone", 0, flag_values=values
    )
    flags.DEFINE_integer(
        "pair_steps",
        1900,
        "steps that learn distances and gradients too",
        1,
        flag_values=values,
    )
    flags.DEFINE_integer("batch_size", 16, "pairs per step", 1, flag_values=values)
    flags.DEFINE_float(
        "learning_rate", 4e-3, "of Adam, at the start", 0.0, flag_values=values
    )
    common_flags.define_seed(values, "weights, data order and distortions")


def main(values: flags.FlagValues) -> None:
    """Trains the network and writes its weights."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "dataset")
    data = common_flags.given_settings(values, ("image_size",))
    output = Path(given["output"])
    check_writable(output.parent)
    import_tensorflow()
    from dfcvae_tf.config import DataConfig
    from dfcvae_tf.data.registry import open_source
    from tools import distillation

    names = ("feature_steps", "pair_steps", "batch_size", "learning_rate", "seed")
    settings = distillation.Settings(**{name: given[name] for name in names})
    config = DataConfig(
        dataset=given["dataset"],
        data_dir=given["data_dir"],
        offline=given["offline"],
        color="rgb",
        **data,
    )
    source = open_source(config, settings.seed)
    teacher = build_teacher(given["weights"], settings.seed)
    state = output.with_name(f"{output.name}.training")
    write_arrays(output, distillation.train(source, config, teacher, settings, state))
    shutil.rmtree(state)
    print(f"wrote {output}")


def build_teacher(weights: str, seed: int) -> "KerasFeatures":
    """Returns relu1_1, relu2_1 and relu3_1 of VGG19; see `build_keras_application`."""
    from dfcvae_tf.perceptual.keras_applications import build_keras_application
    from tools.distorted_photos import SIZE

    return build_keras_application("VGG19", (), weights, (SIZE, SIZE, 3), seed)


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
