"""Training speed: its count of operations, its report, short runs of its contestants."""

import pytest

from tools import training_speed


def test_operations_are_those_counted_by_hand():
    conv1 = 28 * 28 * 9 * 1 * 32
    encoder = conv1 + 14 * 14 * 9 * (32 * 64 + 64 * 64 + 64 * 64)
    encoder += 14 * 14 * 64 * 32 + 2 * 32 * 5
    decoder = 5 * 14 * 14 * 64 + 14 * 14 * 9 * 64 * 32 + 28 * 28 * 9 * 32
    features = 26 * 26 * 9 * 32 + 11 * 11 * 9 * 32 * 64
    by_hand = 2 * (3 * (encoder + decoder) - conv1 + 3 * features)
    assert training_speed._flops_per_image() == by_hand


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
    training_speed._serve_training(pipe, name, batch_size=8)
    facts, *answers = pipe.answers
    assert facts["matmul_flops_per_second"] > 1e8 and facts["flops_per_image"] > 1e8
    assert len(answers) == 2
    assert all(0 < seconds < 600 and 50 < mib < 1e5 for seconds, mib in answers)


class Scripted:
    """A contestant whose work takes as long as its name says."""

    def __init__(self, serve, name, batch_size):
        assert serve is training_speed._serve_training and batch_size == 8
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


def test_training_speeds_are_medians_and_ratios_of_the_same_round(monkeypatch):
    monkeypatch.setattr(training_speed, "Contestant", Scripted)
    names = ["fit", "float32"]
    report = training_speed.compare(names, repeats=3, steps=10, batch_size=8)
    lines = report.splitlines()
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
