"""Stopping between two blocks of steps instead of in the middle of one."""

import signal
from types import FrameType


class StopSignals:
    """While entered, the first SIGINT or SIGTERM only sets `requested`.

    The second one acts as it would have without this object. Outside of the main
    thread, where Python allows no signal handlers, nothing is caught.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":  # noqa: PYI034 (typing.Self: Python 3.11)
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        except ValueError:
            self._previous = {}
        return self

    def __exit__(self, *exception) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous = {}
