"""Measures the program on this machine.

  python -m tools.benchmark train     training steps per second, against Keras' `fit`
  python -m tools.benchmark data      images per second, against what training takes
  python -m tools.benchmark perceptual
                                      a perceptual model's distances, against VGG19's
  python -m tools.benchmark evaluate  seconds and peak memory of an evaluation, by size
  python -m tools.benchmark export    microseconds per decoded picture, in each runtime, and
                                      pictures per second in batches, on CPU and GPU
  python -m tools.benchmark priors    priors of all kinds for one run: fit, samples, cost
  python -m tools.benchmark edits     ways to give images an attribute: reached, and kept

What is compared runs in turn, each contestant in a process of its own, so that a machine
whose speed drifts slows all of them alike; compare the ratios.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.common_flags import (
    DATASETS,
    define_judge,
    define_settings,
    define_trust_code,
    given_settings,
    refuse_other_commands,
    require,
)
from dfcvae_tf.config import apply_settings
from dfcvae_tf.errors import UserError
from dfcvae_tf.names import QUOTING
from dfcvae_tf.presets import PRESETS, preset_config
from tools import (
    batch_speed,
    data_rates,
    decoder_speed,
    evaluation_cost,
    training_speed,
)

DEFAULT_RUN = "pretrained:mnist_dfc_vae"
# Flags that only some commands have.
COMMANDS_OF = {
    "steps": ("train",),
    "batch_size": ("train", "data"),
    "contestants": ("train",),
    "preset": ("data",),
    "perceptual_model": ("data", "perceptual"),
    "perceptual_layers": ("perceptual",),
    "perceptual_preprocessing": ("perceptual",),
    "perceptual_weights": ("data", "perceptual"),
    "images": ("data", "edits", "evaluate", "perceptual", "priors"),
    "sizes": ("evaluate", "perceptual"),
    "dataset": ("data", "edits", "export", "perceptual", "priors"),
    "data_dir": ("data", "edits", "export", "perceptual", "priors"),
    "offline": ("data", "edits", "export", "perceptual", "priors"),
    "run_dir": ("edits", "export", "perceptual", "priors"),
    "trust_code": ("edits", "export", "perceptual", "priors"),
    "attributes": ("edits",),
    "threads": ("export",),
    "rounds": ("export", "priors"),
    "judge": ("edits", "priors"),
    "judge_layers": ("edits", "priors"),
    "judge_weights": ("edits", "priors"),
}


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "repeats",
        None,
        "train, data, perceptual: measurements of each (default 7); export, priors: "
        "pictures of each per round (default 200)",
        3,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "steps", 78, "train: training steps per measurement", 1, flag_values=values
    )
    flags.DEFINE_integer(
        "batch_size",
        None,
        "train, data: images per step (default: 128, data: that of the preset)",
        1,
        flag_values=values,
    )
    flags.DEFINE_list(
        "contestants",
        list(training_speed.BY_DEFAULT),
        "train: fit = the article's way in Keras, a --precision of this program, or "
        "adversarial = it in float32 with a discriminator (default: "
        f"{','.join(training_speed.BY_DEFAULT)}, the last where a CPU or GPU has bfloat16)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "preset",
        "hou2017-vae",
        f"data: what is trained: {' | '.join(PRESETS)}",
        flag_values=values,
    )
    flags.DEFINE_string(
        "perceptual_model",
        None,
        "data, perceptual: as in training (default of perceptual: photos)",
        flag_values=values,
    )
    define_settings(values, ("perceptual_layers", "perceptual_preprocessing"))
    flags.DEFINE_string(
        "perceptual_weights",
        None,
        "data: as in training; perceptual: VGG19's, imagenet or the path of an .h5 file",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "images",
        None,
        "data: images per measurement (default 2048); evaluate: images evaluated "
        "(default 400); perceptual: photos (default 256); edits: test images (default "
        "1000); priors: test images and samples (default 10000)",
        8,
        flag_values=values,
    )
    flags.DEFINE_list(
        "sizes",
        [str(size) for size in evaluation_cost.SIZES],
        "evaluate: height and width of the images; perceptual: the same (default 64)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "run_dir",
        None,
        "export, priors: the run whose decoder or latents are measured, or "
        "pretrained:NAME (default: pretrained:mnist_dfc_vae); perceptual: one whose "
        "reconstructions are compared, too; edits: one whose prior knows attributes",
        flag_values=values,
    )
    define_trust_code(values)
    flags.DEFINE_string(
        "dataset",
        None,
        f"data, edits, export, perceptual, priors: {DATASETS} (default: that of the preset "
        "or run)",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "data, edits, export, perceptual, priors: folder of prepared TensorFlow Datasets",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "offline",
        False,
        "data, edits, export, perceptual, priors: never touch the network: read only what "
        "is already prepared",
        flag_values=values,
    )
    flags.DEFINE_string(
        "attributes",
        "",
        f"edits: attributes that images get, with commas between them (default: all); "
        f"{QUOTING}",
        flag_values=values,
    )
    flags.DEFINE_list(
        "threads", ["1", "2"], "export: numbers of threads", flag_values=values
    )
    flags.DEFINE_integer(
        "rounds",
        5,
        "export, priors: in each, all have their turn",
        1,
        flag_values=values,
    )
    define_judge(values)


def train(values: flags.FlagValues) -> None:
    """Prints training speeds."""
    refuse_other_commands(values, "train", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    names: list[str] = given["contestants"]
    known = training_speed.CONTESTANTS
    if not names or not set(names) <= set(known):
        raise UserError(
            f"--contestants takes some of {','.join(known)}, got {','.join(names)!r}"
        )
    if not values["contestants"].present:
        names = training_speed.fast_here(names)
    repeats, batch_size = given["repeats"] or 7, given["batch_size"] or 128
    print(training_speed.compare(names, repeats, given["steps"], batch_size))


def data(values: flags.FlagValues) -> None:
    """Prints how fast images come and how fast training takes them."""
    refuse_other_commands(values, "data", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    names = (
        "dataset",
        "data_dir",
        "offline",
        "batch_size",
        "perceptual_model",
        "perceptual_weights",
    )
    settings = {name: given[name] for name in names if given[name] is not None}
    config = apply_settings(preset_config(given["preset"]), settings)
    print(data_rates.compare(config, given["images"] or 2048, given["repeats"] or 7))


def evaluate(values: flags.FlagValues) -> None:
    """Prints what evaluations of two runs cost."""
    refuse_other_commands(values, "evaluate", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    sizes = _parse_sizes(given["sizes"])
    print(evaluation_cost.compare(sizes, given["images"] or 400))


def perceptual(values: flags.FlagValues) -> None:
    """Prints how a perceptual model agrees with VGG19, and what it costs."""
    refuse_other_commands(values, "perceptual", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    require(given, "dataset")
    names = ("perceptual_model", "perceptual_layers", "perceptual_preprocessing")
    settings = {"perceptual_model": "photos", **given_settings(values, names)}
    data = {name: given[name] for name in ("dataset", "data_dir", "offline")}
    import_tensorflow()
    from tools import perceptual_agreement

    report = perceptual_agreement.compare(
        apply_settings(preset_config("hou2017-vae-123"), settings | data),
        given["perceptual_weights"] or "imagenet",
        _parse_sizes(given["sizes"]) if values["sizes"].present else [64],
        given["images"] or 256,
        given["run_dir"],
        given["repeats"] or 7,
        given["trust_code"],
    )
    print(report)


def export(values: flags.FlagValues) -> None:
    """Prints how long each runtime takes to decode a picture, and how batches fare."""
    refuse_other_commands(values, "export", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    run_dir, repeats = given["run_dir"] or DEFAULT_RUN, given["repeats"] or 200
    report = decoder_speed.compare(
        run_dir,
        (given["dataset"], given["data_dir"], given["offline"]),
        _parse_threads(given["threads"]),
        repeats,
        given["rounds"],
        given["trust_code"],
    )
    print(report, flush=True)
    batches = batch_speed.compare(
        run_dir, repeats, given["rounds"], given["trust_code"]
    )
    print(f"\n{batches}")


def priors(values: flags.FlagValues) -> None:
    """Prints how well priors fit a run's latents, and what they cost."""
    refuse_other_commands(values, "priors", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    import_tensorflow()
    from tools import prior_comparison

    report = prior_comparison.compare(
        given["run_dir"] or DEFAULT_RUN,
        (given["dataset"], given["data_dir"], given["offline"]),
        (given["judge"], tuple(given["judge_layers"]), given["judge_weights"]),
        given["images"] or 10_000,
        given["repeats"] or 200,
        given["rounds"],
        given["trust_code"],
    )
    print(report)


def edits(values: flags.FlagValues) -> None:
    """Prints how images get attributes, and what else that changes."""
    refuse_other_commands(values, "edits", COMMANDS_OF)
    given: dict[str, Any] = values.flag_values_dict()
    require(given, "run_dir")
    import_tensorflow()
    from tools import label_edits

    report = label_edits.compare(
        given["run_dir"],
        (given["dataset"], given["data_dir"], given["offline"]),
        (given["judge"], tuple(given["judge_layers"]), given["judge_weights"]),
        given["attributes"],
        given["images"] or 1000,
        given["trust_code"],
    )
    print(report)


def _parse_threads(texts: Sequence[str]) -> list[int]:
    counts = [int(text) if text.strip().isdecimal() else 0 for text in texts]
    if not counts or min(counts) < 1:
        given = ",".join(texts)
        raise UserError(f"--threads takes whole numbers from 1, got {given!r}")
    return list(dict.fromkeys(counts))


def _parse_sizes(texts: Sequence[str]) -> list[int]:
    known = [str(size) for size in evaluation_cost.SIZES]
    if not texts or not set(texts) <= set(known):
        raise UserError(
            f"--sizes takes some of {','.join(known)}, got {','.join(texts)!r}"
        )
    return [int(text) for text in texts]


COMMANDS = {
    "train": train,
    "data": data,
    "perceptual": perceptual,
    "evaluate": evaluate,
    "export": export,
    "priors": priors,
    "edits": edits,
}


def run() -> None:
    run_program(__doc__, define_flags, COMMANDS)


if __name__ == "__main__":
    run()
