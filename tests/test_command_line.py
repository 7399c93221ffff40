"""Flags, errors, exit codes."""

from types import SimpleNamespace

import pytest
from absl import flags

from dfcvae_tf import command_line
from dfcvae_tf.command_line import progress_printer, run_program
from dfcvae_tf.errors import Stopped, UserError


def define_flags(values):
    flags.DEFINE_integer("count", 3, "how many", flag_values=values)


def run(argv, main=lambda values: None):
    with pytest.raises(SystemExit) as exit_info:
        run_program("What it does.", define_flags, main, ["program", *argv])
    return exit_info.value.code


def test_main_gets_the_flags():
    seen = []
    assert run(["--count=5"], lambda values: seen.append(values["count"].value)) == 0
    assert seen == [5]


def test_help_shows_description_and_flags(capsys):
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "What it does." in shown
    assert "--count" in shown and "how many" in shown


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--cuont=1"], "Did you mean: count"),
        (["--count=many"], "many"),
        (["stray"], "unexpected argument 'stray'"),
    ],
)
def test_wrong_flags_are_one_line_and_code_2(argv, message, capsys):
    assert run(argv) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_exit_codes(capsys):
    def wrong(values):
        raise UserError("this was\nwrong")

    def stopped(values):
        raise Stopped("could not go on")

    def interrupted(values):
        raise KeyboardInterrupt

    assert run([], wrong) == 2
    assert capsys.readouterr().err == "error: this was wrong\n"
    assert run([], stopped) == 1
    assert run([], interrupted) == 1


def test_progress_is_told_with_the_seconds(monkeypatch, capsys):
    clock = iter([100.0, 100.2, 1234.6])
    fake = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr(command_line, "time", fake)
    progress = progress_printer()
    progress("first")
    progress("last")
    assert capsys.readouterr().out == "[   0 s] first\n[1135 s] last\n"
