"""Errors that reach the user as one line instead of a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """The input was wrong. The message is one line: what was wrong, what would be right.

    Programs print it without a traceback and exit with code 2.
    """


class Stopped(Exception):
    """The program had to stop though its input was right; the message is one line.

    Programs print it without a traceback and exit with code 1.
    """


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> UserError:
    """Returns the error for a name that is not one of `valid`, listing those that are."""
    valid = list(valid)
    close = difflib.get_close_matches(name, valid, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UserError(f"unknown {kind} {name!r}; known: {', '.join(valid)}.{hint}")
