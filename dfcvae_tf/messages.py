"""Keeps what C++ libraries print off the terminal."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def held_back_stderr() -> Iterator[None]:
    """Holds back all that is written to stderr; when the block fails, it comes after all."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as messages:
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            with contextlib.suppress(OSError):
                os.write(original, messages.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


@contextlib.contextmanager
def held_back_messages() -> Iterator[None]:
    """Holds back stderr as `held_back_stderr` does; Python warnings never come."""
    with held_back_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
