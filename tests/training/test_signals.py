"""The first signal is noted, the second acts."""

import os
import signal
import threading

import pytest

from dfcvae_tf.training.signals import StopSignals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_noted_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with StopSignals() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before


def test_second_interrupt_is_an_interrupt(interruptible):
    with pytest.raises(KeyboardInterrupt), StopSignals():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.sigtimedwait([], 1)


def test_other_threads_catch_nothing():
    result = []

    def use():
        with StopSignals() as stop:
            result.append(stop.requested)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert result == [False]
