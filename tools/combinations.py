"""The runs of a sweep: every combination of the values that flags of a training have."""

import csv
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from absl import flags

from dfcvae_tf.config import SETTINGS, Config
from dfcvae_tf.errors import UserError
from dfcvae_tf.names import plain_name
from dfcvae_tf.presets import configured

_PARSERS: dict[type, Any] = {
    bool: flags.BooleanParser(),
    int: flags.IntegerParser(),
    float: flags.FloatParser(),
    str: flags.ArgumentParser(),
}


@dataclass(frozen=True)
class Combination:
    """One run of a sweep.

    Attributes:
      name: of its folder: the flags that differ in the sweep, and what they are.
      flags: name -> text of all flags that were given.
      config: the settings that these make.
    """

    name: str
    flags: Mapping[str, str]
    config: Config


def combinations(given: Mapping[str, str]) -> list[Combination]:
    """Returns every combination of the values of some flags, the last one's fastest.

    Args:
      given: "preset" and settings by name -> the text of the flag, with one value or
        several.

    Raises:
      UserError: a value is not one of its flag's, values contradict each other, or two
        runs would have one name.
    """
    values = {name: _values(name, text) for name, text in given.items()}
    different = [name for name in values if len(values[name]) > 1]
    if not different:
        raise UserError(
            "no flag has several values, such as --seed=0,1,2; one run is for python -m "
            "dfcvae_tf.train"
        )
    found: dict[str, Combination] = {}
    for texts in itertools.product(*values.values()):
        text_of = dict(zip(values, texts, strict=True))
        name = "-".join(f"{flag}_{_plain(text_of[flag])}" for flag in different)
        if name in found:
            raise UserError(
                f"two runs would be in one folder, {name}: sweep over values that differ "
                "in letters or digits"
            )
        settings = {flag: values[flag][text] for flag, text in text_of.items()}
        config = configured(settings.pop("preset", None), settings)
        found[name] = Combination(name, text_of, config)
    return list(found.values())


def _values(name: str, text: str) -> dict[str, Any]:
    """Returns how its flag has each value -> the value."""
    setting = SETTINGS.get(name)  # a preset is none
    # What is a list already has commas of its own.
    separator = ";" if setting and setting.is_list else ","
    try:
        parts = next(csv.reader([text], delimiter=separator, strict=True), [])
    except csv.Error as error:
        raise UserError(f"--{name}={text} cannot be read: {error}") from error
    values: dict[str, Any] = {}
    for part in map(str.strip, parts or [""]):
        value: Any = part
        if setting is not None:
            try:
                value = setting.from_flag(_PARSERS[setting.flag_type].parse(part))
            except ValueError as error:
                raise UserError(f"--{name}={part}: {error}") from error
            setting.check(value)
            part = setting.to_flag(value)
        if part in values:
            raise UserError(f"--{name}={text} has {part!r} twice")
        values[part] = value
    return values


def _plain(text: str) -> str:
    """Keeps what means nothing in other flags, such as lists of runs."""
    return plain_name(text.replace(",", "+"))
