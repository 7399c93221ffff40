"""Trains a small classifier whose hidden layers can serve as a perceptual model.

    python -m dfcvae_tf.train_classifier --dataset=mnist --output=classifier.keras

NAME.keras can be used with --perceptual_model=file:NAME.keras when training a DFC-VAE;
NAME.npz holds the weights as named arrays, the form of the classifiers that ship with
the package. A card NAME.md beside it says how it was made and how good it is.
"""

from pathlib import Path
from typing import Any

from absl import flags

from dfcvae_tf import common_flags
from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import check_writable


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    common_flags.define_data(
        values,
        "a dataset with labels: mnist_sample (bundled) | mnist | tfds:NAME | synthetic | "
        "folder:PATH (with a folder for each class)",
    )
    common_flags.define_settings(values, common_flags.FILES)
    flags.DEFINE_string(
        "output", None, "file to write: NAME.keras or NAME.npz", flag_values=values
    )
    flags.DEFINE_enum(
        "network",
        "mnist_classifier",
        ["mnist_classifier", "mnist_judge"],
        "mnist_classifier | mnist_judge",
        flag_values=values,
    )
    flags.DEFINE_integer("epochs", 10, "passes over the data", flag_values=values)
    flags.DEFINE_integer("batch_size", 128, "images per step", flag_values=values)
    flags.DEFINE_float("learning_rate", 2e-3, "at the start", flag_values=values)
    common_flags.define_seed(values, "weights, data order and augmentation")


def main(values: flags.FlagValues) -> None:
    """Trains, tests, writes the classifier and its card."""
    given: dict[str, Any] = values.flag_values_dict()
    common_flags.require(given, "dataset", "output")
    for name in ("epochs", "batch_size", "learning_rate"):
        if not 0 < given[name] < float("inf"):
            raise UserError(f"--{name} must be greater than 0")

    files = common_flags.given_settings(values, common_flags.FILES)
    output = given["output"]
    if not output.endswith((".npz", ".keras")):
        raise UserError(f"--output must end in .npz or .keras, got {output!r}")
    check_writable(Path(output).parent)

    import_tensorflow()
    from dfcvae_tf.config import DataConfig
    from dfcvae_tf.data.registry import open_source
    from dfcvae_tf.training import classifier

    settings = classifier.Settings(
        network=given["network"],
        epochs=given["epochs"],
        batch_size=given["batch_size"],
        learning_rate=given["learning_rate"],
        seed=given["seed"],
    )
    data = DataConfig(
        dataset=given["dataset"],
        data_dir=given["data_dir"],
        offline=given["offline"],
        **files,
    )
    source = open_source(data, settings.seed)
    result = classifier.train_classifier(source, settings)
    classifier.write_classifier(output, result.model)
    classifier.write_card(output, source, settings, result, data)
    print(
        f"test accuracy {result.accuracy:.2%} ({result.num_test} images); wrote {output}"
    )


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
