"""Processes that work on request."""

import pytest

from tools.contestants import Contestant, answer


def test_a_contestant_says_its_facts_and_works_until_closed():
    contestant = Contestant(answer, {"name": "abs"}, abs)
    assert contestant.facts == {"name": "abs"}
    assert [contestant.run(-3), contestant.run(4)] == [3, 4]
    contestant.close()
    assert contestant._process.exitcode == 0


def test_a_contestant_that_ends_early_is_an_error():
    with pytest.raises(RuntimeError, match="ended early"):
        Contestant(print)
