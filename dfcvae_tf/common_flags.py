"""Flags that several programs share, so that they mean and check the same everywhere."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from dfcvae_tf.config import DATASET_FORMS, SETTINGS
from dfcvae_tf.errors import UserError

DATASETS = " | ".join(DATASET_FORMS)
# Settings of how the files of a dataset are read.
FILES = ("subfolders", "background", "bit_depth")
OWN_DATASET = (
    f"{DATASETS} (default: that of the run; for mnist the bundled mnist_sample, whose "
    "test split is the same complete official one)"
)


_DEFINE: dict[type, Any] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}


def define_settings(
    values: flags.FlagValues, names: Iterable[str], with_defaults: bool = False
) -> None:
    """Defines a flag for each of some settings (`config.SETTINGS`), without a value.

    Args:
      values: where they are defined.
      names: of the settings.
      with_defaults: whether their help says what they are where no preset says more.
    """
    for name in names:
        setting = SETTINGS[name]
        text = setting.help
        if with_defaults and (default := setting.to_flag(setting.default)):
            text += f" (default: {default})"
        _DEFINE[setting.flag_type](name, None, text, flag_values=values)


def given_settings(values: flags.FlagValues, names: Iterable[str]) -> dict[str, Any]:
    """Returns name -> value of those of some settings whose flags were given.

    Raises:
      UserError: one has not the form of its setting, or is not in its range.
    """
    given = {}
    for name in names:
        if (value := values[name].value) is not None:
            given[name] = SETTINGS[name].from_flag(value)
            SETTINGS[name].check(given[name])
    return given


def define_data(values: flags.FlagValues, dataset_help: str) -> None:
    """Defines --dataset, --data_dir and --offline."""
    flags.DEFINE_string("dataset", None, dataset_help, flag_values=values)
    flags.DEFINE_string(
        "data_dir",
        None,
        "folder of prepared TensorFlow Datasets (default: that of the run for its own "
        "dataset, else theirs)",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "offline",
        False,
        "never touch the network: read only what is already prepared",
        flag_values=values,
    )


def define_run_dir(
    values: flags.FlagValues, what: str = "a finished run, or pretrained:NAME"
) -> None:
    """Defines --run_dir, and what it takes, and --trust_code."""
    flags.DEFINE_string("run_dir", None, what, flag_values=values)
    define_trust_code(values)


def define_trust_code(values: flags.FlagValues) -> None:
    """Defines --trust_code."""
    flags.DEFINE_bool(
        "trust_code",
        False,
        "run the code of a network that a run brings along (code/network.py in it); "
        "without this flag such a run is refused",
        flag_values=values,
    )


def define_judge(values: flags.FlagValues) -> None:
    """Defines --judge, --judge_layers and --judge_weights."""
    flags.DEFINE_string(
        "judge",
        None,
        "held-out classifier, whose features and labels judge the images: mnist_judge | "
        "keras:NAME | file:PATH.keras or .h5 | graphdef:PATH.pb | none (default: "
        "mnist_judge on 28x28 digits, else none)",
        flag_values=values,
    )
    flags.DEFINE_list(
        "judge_layers",
        [],
        "its layer of features and, after it, one of class scores if it has one",
        flag_values=values,
    )
    flags.DEFINE_string(
        "judge_weights",
        "imagenet",
        "weights of a keras:NAME judge: imagenet | random | path of an .h5 file",
        flag_values=values,
    )


def define_seed(values: flags.FlagValues, what: str) -> None:
    """Defines --seed, of `what`; NumPy takes none from 2**32 on."""
    flags.DEFINE_integer(
        "seed", 0, f"seed of {what} (default: 0)", 0, 2**32 - 1, flag_values=values
    )


def define_prior(values: flags.FlagValues) -> None:
    """Defines --prior, of a run that exists."""
    flags.DEFINE_enum(
        "prior",
        None,
        ["learned", "standard"],
        "what samples are drawn from: the prior that was fitted to the run's latents, "
        "or N(0, I) (default: learned where the run has one)",
        flag_values=values,
    )


def define_temperature(values: flags.FlagValues) -> None:
    """Defines --temperature, a number from 0 to 1,000."""
    flags.DEFINE_float(
        "temperature",
        1.0,
        "standard deviation of the noise that the prior makes latents of: below 1 more "
        "typical images, 0 the same image every time (default: 1)",
        flag_values=values,
    )
    flags.register_validator(
        "temperature",
        lambda value: 0 <= value <= 1000,
        "must be a number from 0 to 1000",
        flag_values=values,
    )


def refuse_other_commands(
    values: flags.FlagValues, command: str, commands_of: Mapping[str, Sequence[str]]
) -> None:
    """Raises UserError when a flag was given that `command` does not have.

    Args:
      values: the flags.
      command: the command that was given.
      commands_of: flag -> commands that have it; flags not in it belong to all.
    """
    for name, commands in commands_of.items():
        if values[name].present and command not in commands:
            raise UserError(
                f"--{name} is not a flag of {command}; it is one of "
                f"{' and '.join(commands)}"
            )


def require(given: dict[str, Any], *names: str) -> None:
    """Raises UserError unless each of these flags was given."""
    for name in names:
        if not given[name]:
            raise UserError(f"--{name} is missing")
