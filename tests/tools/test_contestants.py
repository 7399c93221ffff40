"""Processes that work on request."""

import pytest

from dfcvae_tf.errors import UserError
from tools.contestants import Contestant, answer, take_turns


def test_a_contestant_says_its_facts_and_works_until_closed():
    contestant = Contestant(answer, {"name": "abs"}, abs)
    assert contestant.facts == {"name": "abs"}
    assert [contestant.run(-3), contestant.run(4)] == [3, 4]
    contestant.close()
    assert contestant._process.exitcode == 0


def test_a_contestant_that_ends_early_is_an_error():
    with pytest.raises(RuntimeError, match="ended early"):
        Contestant(print)


def refuse(pipe):
    raise UserError("no such folder")


def test_what_a_user_has_to_mend_is_told_as_such():
    with pytest.raises(UserError, match="no such folder"):
        Contestant(refuse)


def test_turns_go_forwards_and_backwards():
    order = []

    class Numbered:
        def __init__(self, name):
            self.name = name

        def run(self, count):
            order.append(self.name)
            return len(order) * count

    said = take_turns({name: Numbered(name) for name in "abc"}, 10, rounds=3)
    assert "".join(order) == "abccbaabc"
    assert said == {"a": [10, 60, 70], "b": [20, 50, 80], "c": [30, 40, 90]}
