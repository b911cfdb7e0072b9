"""The log of a run: what is written, what a full disk does, what is cut off; and signals."""

import json
import math
import os
import signal
import threading

import pytest

from seqgen.errors import CheckpointError, SetupError, StoppedError
from seqgen.training import MetricsLog, Signals, cut_back, read_events

SIGNS = 'a\u2028b\u0085c\x1cd\re\nf"é😀'
BOTH = (signal.SIGINT, signal.SIGTERM)
both = pytest.mark.parametrize("number", BOTH)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def written(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


class TestMetricsLog:
    def test_each_event_is_a_line_as_soon_as_it_comes(self, path):
        events = [
            {"event": "train", "step": 1, "loss": 0.1},
            {"event": "valid", "text": SIGNS},
            {"a": math.nan, "b": [math.inf, 1.5], "c": {"d": -math.inf}, "e": (1,)},
        ]
        wanted = [*events[:2], {"a": None, "b": [None, 1.5], "c": {"d": None}, "e": [1]}]
        log = MetricsLog(path)
        for count, event in enumerate(events, start=1):
            log(event)
            assert written(path) == wanted[:count]
        log.close()
        again = MetricsLog(path)
        again(events[0])
        again.close()
        again.close()
        assert written(path) == [*wanted, events[0]]

    def test_a_full_disk_ends_the_log_with_one_warning(self, small_disk):
        log = MetricsLog(small_disk(16) / "full")
        with pytest.warns(UserWarning, match="full: No space left on device; no further metrics"):
            log({"step": 1, "text": "x" * 100_000})
        log({"step": 2})
        log.close()

    def test_it_is_not_written_through_a_link(self, path):
        path.symlink_to("mine")
        for linked in (True, False):
            with pytest.raises(SetupError, match="cannot be written: Too many levels of symbolic"):
                MetricsLog(path)
            assert (path.parent / "mine").exists() is not linked
            (path.parent / "mine").write_text("mine")
        assert path.read_text() == "mine"


class TestCuttingBack:
    def test_later_events_and_a_cut_line_go(self, path):
        cut_back(path, 5)
        assert not path.exists(), "nothing is made where no log is"
        events = [{"step": step, "text": SIGNS} for step in (0, 3, 3, 6, 9)]
        lines = [json.dumps(event, ensure_ascii=False) for event in events]
        path.write_text("\n".join([*lines, '{"step": 1, "lo']), encoding="utf-8")
        for step, left in ((6, 4), (6, 4), (-1, 0)):
            cut_back(path, step)
            assert written(path) == events[:left]
        assert [each.name for each in path.parent.iterdir()] == ["metrics.jsonl"]

    def test_what_was_written_is_read_again(self, path):
        assert read_events(path) == []
        path.write_text('{"step": 1, "text": "a\u2028b"}\n{"step": 2}\n{"st', encoding="utf-8")
        assert read_events(path) == [{"step": 1, "text": "a\u2028b"}, {"step": 2}]
        path.write_text('{"step\n{"step": 2}\n', encoding="utf-8")
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl: damaged: "):
            read_events(path)

    def test_what_is_no_event_goes(self, path):
        lines = (b"\xff\xfe", b"[1]", b"null", b"", b"[" * 100_000, b'{"step": "2"}', b"1" * 5000)
        good = (b'{"step": 2}', b'{"event": "other"}', b"")
        path.write_bytes(b"\n".join([*lines, *good]))
        cut_back(path, 5)
        assert written(path) == [{"step": 2}, {"event": "other"}]

    def test_what_is_no_file_is_an_error(self, path):
        os.mkfifo(path)
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl: this is not a regular file"):
            cut_back(path, 5)


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


class TestSignals:
    @both
    def test_the_first_is_only_noted_and_answered_at_once(self, number, capfd):
        with Signals() as signals:
            assert signals.received is None
            with signals.interrupting():
                pass
            os.kill(os.getpid(), number)
            assert signals.received == number
        assert capfd.readouterr().err == (
            "stopping after this step, with a checkpoint; press Ctrl-C again to stop at once\n"
        )

    @pytest.mark.parametrize(
        ("number", "error"), [(BOTH[0], KeyboardInterrupt), (BOTH[1], SystemExit)]
    )
    def test_the_second_acts_as_usual(self, number, error):
        with Signals() as signals:
            os.kill(os.getpid(), BOTH[0])
            with pytest.raises(error):
                os.kill(os.getpid(), number)
            assert signals.received == BOTH[0]

    @both
    def test_the_first_interrupts_at_once_what_can_be_done_again(self, number, capfd):
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
        assert capfd.readouterr().err == "stopping; press Ctrl-C again to stop at once\n"

    @both
    def test_one_that_came_before_interrupts_too(self, number):
        with Signals() as signals:
            os.kill(os.getpid(), number)
            with pytest.raises(StoppedError), signals.interrupting():
                pytest.fail("it begins")

    def test_the_handlers_come_back(self):
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

    def test_outside_the_main_thread_they_are_left_alone(self):
        before, found = handlers(), []

        def work():
            with Signals() as signals:
                found.append((signals.received, handlers()))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert found == [(None, before)]
