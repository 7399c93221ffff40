"""Keeps what C++ libraries print off the terminal."""

import contextlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def held_back_messages() -> Iterator[None]:
    """Holds back stderr and Python warnings; when the block fails, stderr comes after all."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as messages, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(messages.fileno(), 2)
        try:
            yield
        except BaseException:
            messages.seek(0)
            os.write(original, messages.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
