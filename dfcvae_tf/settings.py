"""Settings that say themselves what they take.

A setting is a field of a frozen dataclass, made by `setting`. Its type and what it
declares there are all there is to know of it: its flag, the help of that flag and the
check of its values follow.
"""

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dfcvae_tf.errors import UserError, unknown_name


@dataclass(frozen=True)
class Range:
    """What a number may be; a bound that is None is none.

    Attributes:
      above: it is greater than this.
      at_least: it is this or more.
      below: it is less than this.
    """

    above: float | None = None
    at_least: float | None = None
    below: float | None = None

    def __contains__(self, number: float) -> bool:
        return (
            (self.above is None or number > self.above)
            and (self.at_least is None or number >= self.at_least)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """In words; empty when every number is in it."""
        bounds = (
            ("greater than {:,}", self.above),
            ("{:,} or more", self.at_least),
            ("below {:,}", self.below),
        )
        return " and ".join(
            words.format(bound) for words, bound in bounds if bound is not None
        )


def setting(
    default: Any,
    description: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
    below: float | None = None,
    parse: Callable[[str], Any] | None = None,
    form: str = "",
    runtime: bool = False,
) -> Any:
    """Returns a dataclass field that is a setting.

    Args:
      default: its value where none is given; whether it is valid is for `check` to say.
      description: what it is; `--help` adds choices and range.
      above, at_least, below: the `Range` of its number, or of each of its numbers.
      parse: the text of its flag -> its value, where a flag has no such type; raises
        ValueError for a text of another form.
      form: a text that `parse` takes, as an example.
      runtime: whether it may differ when a run is continued: it says where data is
        found, what is shown and kept, or how the same computation is spread, not what is
        computed.
    """
    declared = {
        "description": description,
        "range": Range(above, at_least, below),
        "parse": parse,
        "form": form,
        "runtime": runtime,
    }
    return dataclasses.field(default=default, metadata=declared)


@dataclass(frozen=True)
class Setting:
    """One setting, seen from outside.

    Attributes:
      section: the field of the settings as a whole that its dataclass is in.
      name: of its field, and of its flag.
      hint: its type.
      default: its value where none is given.
      description, range, parse, form, runtime: see `setting`.
    """

    section: str
    name: str
    hint: Any
    default: Any
    description: str
    range: Range
    parse: Callable[[str], Any] | None
    form: str
    runtime: bool

    @property
    def choices(self) -> tuple[Any, ...]:
        """All it may be, where its type is a Literal, else ()."""
        is_literal = typing.get_origin(self.hint) is Literal
        return typing.get_args(self.hint) if is_literal else ()

    @property
    def help(self) -> str:
        """What it is and what it takes."""
        choices = f"{' | '.join(map(str, self.choices))}: " if self.choices else ""
        limits = f"; {self.range}" if str(self.range) else ""
        return f"{choices}{self.description}{limits}"

    @property
    def is_list(self) -> bool:
        """Whether it is a list of any length, which its flag has with commas."""
        is_tuple = typing.get_origin(self.hint) is tuple
        return is_tuple and typing.get_args(self.hint)[-1] is Ellipsis

    @property
    def flag_type(self) -> type:
        """bool, int, float or str: what its flag reads."""
        for plain in (bool, int, float):
            if self.hint in (plain, plain | None):
                return plain
        return str

    def from_flag(self, value: Any) -> Any:
        """Returns the setting's value, from that of its flag, a `flag_type`.

        Raises:
          UserError: it is a text of another form than the setting's.
        """
        if self.parse is None:
            return value
        try:
            return self.parse(value)
        except ValueError as error:
            raise UserError(
                f"--{self.name}={value} must look like {self.form}"
            ) from error

    def to_flag(self, value: Any) -> str:
        """Returns the text that its flag has for a value; "" for none."""
        if isinstance(value, tuple):
            return ("," if self.is_list else "x").join(map(self.to_flag, value))
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, float):
            return repr(value).removesuffix(".0")
        return "" if value is None else str(value)

    def of(self, settings: Any) -> Any:
        """Returns its value in the settings as a whole."""
        return getattr(getattr(settings, self.section), self.name)

    def check(self, value: Any) -> None:
        """Raises UserError when the setting cannot be this."""
        if self.choices and value not in self.choices:
            raise unknown_name(f"--{self.name}", str(value), self.choices)
        if not has_type(value, self.hint):
            wanted = inspect.formatannotation(self.hint)
            raise UserError(f"--{self.name} must be of type {wanted}, got {value!r}")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise UserError(f"--{self.name} must be a finite number, got {number}")
            if isinstance(number, int | float) and number not in self.range:
                raise UserError(f"--{self.name} must be {self.range}, got {number}")


def settings_of(sections: Mapping[str, type]) -> dict[str, Setting]:
    """Returns name -> setting, in order, of dataclasses whose fields are settings.

    Args:
      sections: field of the settings as a whole -> the dataclass in it.
    """
    settings = {}
    for section, cls in sections.items():
        hints = typing.get_type_hints(cls)
        for field in dataclasses.fields(cls):
            settings[field.name] = Setting(
                section, field.name, hints[field.name], field.default, **field.metadata
            )
    return settings


def has_type(value: Any, hint: Any) -> bool:
    """Whether a value is of a type as settings have it; a whole number is a float too."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if kind is Literal:
        return value in parts
    if kind is types.UnionType:
        return any(has_type(value, part) for part in parts)
    if kind is tuple:
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            parts = parts[:1] * len(value)
        return len(value) == len(parts) and all(map(has_type, value, parts))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)
