"""Processes that a benchmark has do the same work in turn.

None of them shares its memory, its threads or the settings of its libraries with another.
"""

import contextlib
import multiprocessing
from collections.abc import Callable
from typing import Any

from dfcvae_tf.errors import UserError


class Contestant:
    """A process that does its work on request and says how long it took.

    Attributes:
      facts: what it said of itself when it was ready.
    """

    def __init__(self, serve: Callable[..., None], *args: Any):
        """Starts a process that runs `serve` with its end of the connection and `args`.

        Raises:
          UserError: the process did.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(serve, theirs, *args), daemon=True
        )
        self._process.start()
        theirs.close()
        self.facts = self._receive()

    def run(self, count: int) -> Any:
        """Has so much work done; returns what the process says of it."""
        self._pipe.send(count)
        return self._receive()

    def close(self) -> None:
        self._pipe.close()
        self._process.join(10)

    def _receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("a benchmark process ended early") from error
        if isinstance(answer, UserError):
            raise answer
        return answer


def take_turns(
    contestants: dict[str, Contestant], count: int, rounds: int
) -> dict[str, list[Any]]:
    """Has each do so much work once per round; returns name -> what it said each time."""
    said: dict[str, list[Any]] = {name: [] for name in contestants}
    for index in range(rounds):
        # Every other round backwards, so that none always follows the same one.
        for name in contestants if index % 2 == 0 else reversed(contestants):
            said[name].append(contestants[name].run(count))
    return said


def _serve(serve: Callable[..., None], pipe: Any, *args: Any) -> None:
    try:
        serve(pipe, *args)
    except UserError as error:
        pipe.send(error)


def answer(pipe: Any, facts: Any, work: Callable[[int], Any]) -> None:
    """The process' side of a contestant: does the work until nobody asks any more."""
    pipe.send(facts)
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(work(pipe.recv()))
