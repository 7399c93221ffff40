"""What is held back, and when it comes after all."""

import os
import warnings

import pytest

from dfcvae_tf.messages import held_back_messages, held_back_stderr


@pytest.mark.parametrize("held_back", [held_back_stderr, held_back_messages])
def test_nothing_is_seen_of_what_went_well(capfd, held_back):
    with held_back():
        os.write(2, b"news")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@pytest.mark.parametrize("held_back", [held_back_stderr, held_back_messages])
def test_what_failed_is_seen_whole(capfd, held_back):
    with pytest.raises(KeyError), held_back():
        os.write(2, b"reason")
        raise KeyError
    assert capfd.readouterr().err == "reason"


def test_warnings_are_held_back_only_where_asked_for():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with held_back_messages():
            warnings.warn("one", stacklevel=1)
        with held_back_stderr():
            warnings.warn("two", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["two"]
