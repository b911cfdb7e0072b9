"""The laws of trackers: every registered one keeps them, and broken ones are found out."""

import os
import random
import signal
import sys
import threading
from importlib.util import find_spec

import pytest
import torch

from seqgen.testing import check_tracker
from seqgen.testing.tracker import TRACKER_LAWS
from seqgen.trackers import Tracker, trackers


@pytest.mark.parametrize("name", trackers.names())
def test_every_registered_tracker_keeps_them(name, small):
    spec = small(trackers, name)
    if find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    report = check_tracker(spec)
    report.require()
    assert [each.outcome for each in report.findings] == ["kept"] * len(TRACKER_LAWS)


class Noted(Tracker):
    """One that keeps notes; any of its methods may be another one."""

    def __init__(self, **methods):
        self.methods, self.notes = methods, []

    def begin(self, name, folder, options):
        self.folder, self.notes = folder, [name]
        self.methods.get("begin", lambda own: None)(self)

    def log(self, step, scalars):
        self.notes.append((step, dict(scalars)))
        self.methods.get("log", lambda own, scalars: None)(self, scalars)

    def samples(self, step, texts):
        self.methods.get("samples", lambda own, texts: None)(self, texts)

    def figure(self, step, picture):
        self.methods.get("figure", lambda own, picture: None)(self, picture)

    def end(self, result):
        self.methods.get("end", lambda own, result: None)(self, result)


class Once(Noted):
    """It forgets to close what it has opened."""

    opened = False

    def begin(self, name, folder, options):
        assert not Once.opened, "one is open already"
        Once.opened = True

    def end(self, result):
        Once.opened = result is None


class Nothing:
    pass


def lasting(own, result):
    threading.Thread(target=threading.Event().wait, args=(0.2,)).start()


WHOLE = "it takes a run from its beginning to its end"
ANY = "it takes any text and number"
SAME = "what it is given is left as it is"
GOES_ON = "a run that stops may go on"
PROGRAM = "the program is as it was"
BREACHES = {
    "no file": (
        Noted(begin=lambda own: (own.folder / "no").read_bytes()), WHOLE, "FileNotFoundError",
    ),
    "needs a loss": (Noted(log=lambda own, scalars: scalars["train/loss"]), WHOLE, "KeyError"),
    "short texts": (Noted(samples=lambda own, texts: texts[0]), ANY, "IndexError"),
    "an old encoding": (
        Noted(samples=lambda own, texts: [text.encode("latin-1") for text in texts]), ANY,
        "UnicodeEncodeError",
    ),
    "takes numbers out": (Noted(log=lambda own, scalars: scalars.popitem()), SAME, "make a copy"),
    "sorts texts": (Noted(samples=lambda own, texts: texts.sort()), SAME, "make a copy"),
    "moves the picture": (
        Noted(figure=lambda own, picture: picture.rename(own.folder / "loss.png")), SAME,
        "moves or changes the picture",
    ),
    "a new folder": (
        Noted(begin=lambda own: (own.folder / "data").mkdir()), GOES_ON, "FileExistsError",
    ),
    "needs a result": (Noted(end=lambda own, result: result["parameters"]), ANY, "KeyError"),
    "ends only with a result": (
        Noted(end=lambda own, result: len(result)), GOES_ON, "has no len()",
    ),
    "never closes": (Once(), WHOLE, "one is open already"),
    "draws": (Noted(log=lambda own, scalars: torch.rand(1)), PROGRAM, "changes torch's random"),
    "draws in Python": (
        Noted(log=lambda own, scalars: random.random()), PROGRAM, "changes Python's random",
    ),
    "moves about": (Noted(begin=lambda own: os.chdir(own.folder)), PROGRAM, "the current folder"),
    "signals": (
        Noted(begin=lambda own: signal.signal(signal.SIGTERM, signal.SIG_IGN)), PROGRAM,
        "the handlers of signals",
    ),
    "a thread": (Noted(end=lasting), PROGRAM, "keeps the program from ending"),
    "prints": (
        Noted(begin=lambda own: sys.stderr.write("Hello!")), "it prints nothing", "shown: 'Hello!'",
    ),
    "no tracker": (Nothing(), "is a tracker", "Nothing is no Tracker"),
}  # fmt: skip


@pytest.mark.parametrize(("tracker", "law", "says"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_reported_for_what_it_is(tracker, law, says):
    before, Once.opened = sys.stdout, tracker.__class__ is Once
    report = check_tracker(lambda: tracker)
    found = {each.law: each for each in report.findings}
    assert found[law].outcome == "broken", report
    assert says in found[law].says
    assert len(report.findings) == len(TRACKER_LAWS)
    assert sys.stdout is before


def test_a_class_that_defines_nothing_is_told_so():
    report = check_tracker(type("Empty", (Tracker,), {}))
    assert "Empty does not define `begin`, `end`, `log`" in report.broken[0].says
