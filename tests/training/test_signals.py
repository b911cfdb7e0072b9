"""Signals while training."""

import os
import signal
import threading

import pytest

from seqgen.errors import StoppedError
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


@pytest.mark.parametrize("number", BOTH)
class TestInterrupting:
    def test_the_first_ends_it_at_once(self, number):
        def work():
            try:
                os.kill(os.getpid(), number)
                pytest.fail("it goes on")
            except Exception:  # as what guards against a plugin's faults does
                pytest.fail("it was taken for a fault")

        signals = Signals()
        with signals, pytest.raises(StoppedError, match="half done") as caught:  # noqa: SIM117
            with signals.interrupting("half done"):
                work()
        assert caught.value.exit_code == 128 + number

    def test_so_does_one_that_came_before(self, number):
        with Signals() as signals:
            os.kill(os.getpid(), number)
            with pytest.raises(StoppedError), signals.interrupting():
                pytest.fail("it begins")

    def test_outside_of_it_the_first_is_only_noted(self, number):
        with Signals() as signals:
            with signals.interrupting():
                pass
            os.kill(os.getpid(), number)
            assert signals.received == number


@pytest.mark.parametrize("number", BOTH)
def test_the_first_is_answered_at_once(number, capfd):
    with Signals():
        os.kill(os.getpid(), number)
        said = capfd.readouterr().err
        assert said == (
            "stopping after this step, with a checkpoint; press Ctrl-C again to stop at once\n"
        )
    with Signals() as signals, pytest.raises(StoppedError), signals.interrupting():
        os.kill(os.getpid(), number)
    assert capfd.readouterr().err == "stopping; press Ctrl-C again to stop at once\n"


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
