"""Settings that are declared once: ranges, choices, types, help, flags."""

from dataclasses import dataclass
from typing import Literal

import pytest

from dfcvae_tf.errors import UserError
from dfcvae_tf.settings import Range, has_type, setting, settings_of


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


@dataclass(frozen=True)
class Oven:
    heat: float = setting(180.0, "degrees", at_least=0, below=1000)
    mode: Literal["fan", "grill"] = setting("fan", "where heat comes from")
    minutes: int | None = setting(None, "time", above=0, runtime=True)
    shelves: tuple[float, ...] = setting(
        (), "heights", above=0, parse=numbers, form="10,20.5"
    )
    light: bool = setting(True, "so that one can see")


@dataclass(frozen=True)
class Kitchen:
    oven: Oven = Oven()


SETTINGS = settings_of({"oven": Oven})


def test_help_says_what_a_setting_takes():
    assert {name: each.help for name, each in SETTINGS.items()} == {
        "heat": "degrees; 0 or more and below 1,000",
        "mode": "fan | grill: where heat comes from",
        "minutes": "time; greater than 0",
        "shelves": "heights; greater than 0",
        "light": "so that one can see",
    }


def test_flags_read_plain_types_and_the_rest_as_text():
    types = [each.flag_type for each in SETTINGS.values()]
    assert types == [float, str, int, str, bool]
    assert SETTINGS["heat"].from_flag(20.0) == 20.0
    assert SETTINGS["shelves"].from_flag("1,2.5") == (1.0, 2.5)
    with pytest.raises(UserError, match="--shelves=1,up must look like 10,20.5"):
        SETTINGS["shelves"].from_flag("1,up")


def test_a_flag_is_read_from_the_text_it_is_shown_with():
    shown = {n: each.to_flag(each.default) for n, each in SETTINGS.items()}
    assert shown == {
        "heat": "180",
        "mode": "fan",
        "minutes": "",
        "shelves": "",
        "light": "true",
    }
    shelves = SETTINGS["shelves"]
    assert shelves.to_flag((1.0, 1e-5)) == "1,1e-05" and shelves.is_list
    assert shelves.from_flag("1,1e-05") == (1.0, 1e-5)
    assert not SETTINGS["mode"].is_list


def test_values_are_found_in_the_whole():
    assert SETTINGS["heat"].of(Kitchen(Oven(heat=3.0))) == 3.0
    assert [name for name, each in SETTINGS.items() if each.runtime] == ["minutes"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("heat", 0),
        ("heat", 999.9),
        ("mode", "grill"),
        ("minutes", None),
        ("minutes", 1),
        ("shelves", ()),
        ("shelves", (0.1, 7)),
        ("light", False),
    ],
)
def test_what_is_fine(name, value):
    SETTINGS[name].check(value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("heat", -0.5, "--heat must be 0 or more and below 1,000, got -0.5"),
        ("heat", 1000, "--heat must be 0 or more and below 1,000, got 1000"),
        ("heat", float("nan"), "--heat must be a finite number, got nan"),
        ("heat", "hot", "--heat must be of type float, got 'hot'"),
        (
            "mode",
            "gril",
            "unknown --mode 'gril'; known: fan, grill. Did you mean 'gril",
        ),
        ("minutes", 0, "--minutes must be greater than 0, got 0"),
        ("minutes", 1.5, "--minutes must be of type int | None, got 1.5"),
        ("minutes", True, "--minutes must be of type int | None, got True"),
        ("shelves", (3.0, 0.0), "--shelves must be greater than 0, got 0.0"),
        ("shelves", (1.0, float("inf")), "--shelves must be a finite number, got inf"),
        ("shelves", [1.0], "--shelves must be of type tuple[float, ...], got [1.0]"),
        ("light", 1, "--light must be of type bool, got 1"),
    ],
)
def test_what_is_not_fine_says_what_would_be(name, value, message):
    with pytest.raises(UserError) as error:
        SETTINGS[name].check(value)
    assert message in str(error.value)


def test_a_range_without_bounds_holds_all():
    assert str(Range()) == ""
    assert -1e9 in Range() and 1e9 in Range()


def test_a_tuple_of_fixed_length_has_that_length():
    assert has_type((1, 2), tuple[int, int])
    assert not has_type((1,), tuple[int, int])
    assert not has_type((1, 2.0), tuple[int, int])
