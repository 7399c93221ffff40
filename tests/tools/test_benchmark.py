"""The benchmark: its count of operations, its reports, and short runs."""

import pytest

from dfcvae_tf.command_line import run_program
from tools import benchmark


def run_here(*arguments) -> object:
    """Runs the program in this process and returns its exit code."""
    commands = {"train": benchmark.train, "export": benchmark.export}
    with pytest.raises(SystemExit) as stop:
        run_program(
            benchmark.__doc__,
            benchmark.define_flags,
            commands,
            ["benchmark", *arguments],
        )
    return stop.value.code


def test_operations_are_those_counted_by_hand():
    conv1 = 28 * 28 * 9 * 1 * 32
    encoder = conv1 + 14 * 14 * 9 * (32 * 64 + 64 * 64 + 64 * 64)
    encoder += 14 * 14 * 64 * 32 + 2 * 32 * 5
    decoder = 5 * 14 * 14 * 64 + 14 * 14 * 9 * 64 * 32 + 28 * 28 * 9 * 32
    features = 26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64
    by_hand = 2 * (3 * (encoder + decoder) - conv1 + 3 * features)
    assert benchmark._flops_per_image() == by_hand


class Asked:
    """The other end of a contestant's connection: asks for work twice."""

    def __init__(self):
        self.questions = [1, 2]
        self.answers = []

    def recv(self):
        if not self.questions:
            raise EOFError
        return self.questions.pop(0)

    def send(self, value):
        self.answers.append(value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fit", "float32"])
def test_a_contestant_trains(name):
    pipe = Asked()
    benchmark._serve_training(pipe, name, batch_size=8)
    facts, *answers = pipe.answers
    assert facts["matmul_flops_per_second"] > 1e8 and facts["flops_per_image"] > 1e8
    assert len(answers) == 2
    assert all(0 < seconds < 600 and 50 < mib < 1e5 for seconds, mib in answers)


class Scripted:
    """A contestant whose work takes as long as its name says."""

    def __init__(self, serve, name, batch_size):
        assert serve is benchmark._serve_training and batch_size == 8
        self.seconds = iter({"fit": [9, 2, 4, 2], "float32": [9, 1, 1, 1]}[name])
        self.facts = {
            "machine": "M",
            "tensorflow": "T",
            "flops_per_image": 1e6,
            "matmul_flops_per_second": 1e8,
        }
        self.mib = iter([5, 700, 710, 720])

    def run(self, steps):
        return next(self.seconds) * steps / 10, next(self.mib)

    def close(self):
        self.seconds = None


def test_training_speeds_are_medians_and_ratios_of_the_same_round(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "Contestant", Scripted)
    arguments = ["--repeats=3", "--steps=10", "--batch_size=8"]
    assert run_here("train", *arguments, "--contestants=fit,float32") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line}
    assert rows["fit"] == ["40", "20", "40", "1.00", "1.00", "1.00", "40%", "720", "20"]
    assert rows["float32"] == [
        "80",
        "80",
        "80",
        "2.00",
        "2.00",
        "4.00",
        "80%",
        "720",
        "20",
    ]


def test_export_compares_the_bundled_decoder_unless_told_otherwise(monkeypatch, capsys):
    monkeypatch.setattr(
        benchmark.decoder_speed, "compare", lambda *given: f"compared {given}"
    )
    assert run_here("export") == 0
    expected = "compared ('pretrained:mnist_dfc_vae', [1, 2], 200, 5)"
    assert capsys.readouterr().out.strip() == expected
    arguments = ["--run_dir=x", "--threads=4, 1,4", "--repeats=7", "--rounds=2"]
    assert run_here("export", *arguments) == 0
    assert capsys.readouterr().out.strip() == "compared ('x', [4, 1], 7, 2)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--contestants=bf16"], "known: fit, float32, mixed_bfloat16"),
        (["train", "--rounds=2"], "--rounds is a flag of the command export"),
        (["export", "--steps=2"], "--steps is a flag of the command train"),
        (["export", "--threads=1,0"], "whole numbers from 1, got '1,0'"),
        (["export", "--threads="], "whole numbers from 1, got ''"),
        (["export", "--run_dir=absent"], "no such run directory: absent"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert run_here(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
