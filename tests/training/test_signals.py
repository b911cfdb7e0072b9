"""Signals while training."""

import os
import signal
import threading

import pytest

from seqgen.training.signals import Signals

BOTH = (signal.SIGINT, signal.SIGTERM)


def handlers():
    return [signal.getsignal(number) for number in BOTH]


@pytest.fixture(autouse=True)
def quiet():
    """SIGTERM raises instead of ending the tests; what was set before is set again."""

    def end(number, frame):
        raise SystemExit(number)

    before = handlers()
    signal.signal(signal.SIGTERM, end)
    yield
    for number, handler in zip(BOTH, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_is_only_noted(number):
    with Signals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number


@pytest.mark.parametrize(("number", "error"), [(BOTH[0], KeyboardInterrupt), (BOTH[1], SystemExit)])
def test_the_second_acts_as_usual(number, error):
    with Signals() as signals:
        os.kill(os.getpid(), BOTH[0])
        with pytest.raises(error):
            os.kill(os.getpid(), number)
        assert signals.received == BOTH[0]


def test_the_handlers_come_back():
    before = handlers()
    with Signals():
        assert handlers() != before
    assert handlers() == before
    with pytest.raises(ZeroDivisionError), Signals():
        raise ZeroDivisionError
    assert handlers() == before
    with Signals():
        os.kill(os.getpid(), signal.SIGINT)
    assert handlers() == before


def test_outside_the_main_thread_signals_are_left_alone():
    before = handlers()
    found = []

    def work():
        with Signals() as signals:
            found.append((signals.received, handlers()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, before)]
