"""What systems take, on a run that has come to its end; never how long it took."""

from pathlib import Path

import pytest

from seqgen.comparison.contest import Contest
from seqgen.comparison.plan import Plan, SpeedOptions, Strategy
from seqgen.comparison.speed import measure_speed
from seqgen.comparison.systems import System
from seqgen.decoders import Greedy, decoders
from seqgen.trained import TrainedRun

TEXTS = ["the ", "cat ", "a mat", "dogs "]
DRAWING = {"multinomial", "minimum_bayes_risk"}


@pytest.fixture(scope="module")
def run(finished_run):
    return TrainedRun.load(finished_run, device="cpu")


@pytest.fixture
def measure(run):
    """A function from decoders and options to the timings, and what was announced."""

    def call(*specs, texts=TEXTS, **options):
        plan = Plan(strategies=(Strategy(Greedy),), max_length=5, **options)
        names = [spec if isinstance(spec, str) else spec["name"] for spec in specs]
        systems = [
            System(name, 0, decoders.check(spec).plain(), name in DRAWING)
            for name, spec in zip(names, specs, strict=True)
        ]
        told = []
        contest = Contest([run], ["run"], systems, told.append)
        return measure_speed(contest, texts, plan), told

    return call


def per_decoding(timing):
    """The sequences and tokens that the rates were made of."""
    seconds = timing["seconds"]["median"]
    rates = timing["sequences_per_second"], timing["tokens_per_second"]
    return tuple(pytest.approx(rate * seconds) for rate in rates)


def test_what_the_figures_depend_on_is_said(measure):
    options = SpeedOptions(inputs=3, batch_size=2, warm_ups=0, repeats=1)
    found, _ = measure("greedy", speed=options)
    given = {"inputs": 3, "batch_size": 2, "warm_ups": 0, "repeats": 1}
    assert found.items() >= given.items()
    assert found.items() >= {"device": "cpu", "threads": 1, "precision": "float32"}.items()
    assert found["hardware"]
    assert found["torch"]


def test_seconds_are_in_order(measure):
    found, _ = measure("greedy", "beam")
    assert list(found["systems"]) == ["greedy", "beam"]
    for timing in found["systems"].values():
        seconds = timing["seconds"]
        assert 0 < seconds["min"] <= seconds["median"] <= seconds["max"]


def test_calls_and_rows(measure):
    """Of four texts, three at once, which each have five tokens and no end."""
    options = SpeedOptions(inputs=4, batch_size=3, warm_ups=0, repeats=1)
    found, _ = measure("greedy", {"name": "beam", "beam_size": 3}, speed=options)
    greedy, beam = found["systems"].values()
    assert (greedy["calls"], greedy["rows"]) == (2 * 5, 4 * 5)
    assert (beam["calls"], beam["rows"]) == (2 * 5, 4 * (1 + 4 * 3))
    assert per_decoding(greedy) == per_decoding(beam) == (4, 20)


def test_random_decoders_decode_once_for_each_sample(measure):
    found, _ = measure("greedy", "multinomial", samples=3)
    greedy, multinomial = found["systems"].values()
    assert (greedy["rows"], multinomial["rows"]) == (4 * 5, 3 * 4 * 5)
    assert per_decoding(greedy) == (4, 20)
    assert per_decoding(multinomial) == (12, 60)


def test_only_outputs_that_are_used_count(measure):
    """A list of five is one output where the comparison has one for each input."""
    spec = {"name": "beam", "beam_size": 5, "n_best": 5}
    assert per_decoding(measure(spec)[0]["systems"]["beam"]) == (4, 20)
    assert per_decoding(measure(spec, samples=3)[0]["systems"]["beam"]) == (12, 60)


def test_more_paths_take_more_memory(measure):
    found, _ = measure("greedy", {"name": "beam", "beam_size": 20})
    greedy, beam = (each["peak_bytes"] for each in found["systems"].values())
    assert 0 < greedy < beam
    again, _ = measure({"name": "beam", "beam_size": 20}, "greedy")
    assert [each["peak_bytes"] for each in again["systems"].values()] == [beam, greedy]


def test_each_decoding_is_announced(measure):
    options = SpeedOptions(warm_ups=1, repeats=2)
    _, told = measure("greedy", "beam", speed=options)
    assert [(each.done, each.total) for each in told] == [(i, 8) for i in range(8)]
    assert [each.text for each in told][:3] == ["speed of greedy", "speed of beam", "speed of beam"]
    assert [each.text for each in told][-2:] == ["memory of greedy", "memory of beam"]


def test_without_repeats_nothing_is_measured(measure):
    assert measure("greedy", speed=SpeedOptions(repeats=0)) == (None, [])


def test_inputs_are_spread(measure):
    """Of four texts two, the first and the third."""
    found, _ = measure("greedy", speed=SpeedOptions(inputs=2))
    assert (found["inputs"], found["systems"]["greedy"]["rows"]) == (2, 10)
    many, _ = measure("greedy", texts=TEXTS * 20)
    assert many["inputs"] == 32


def test_the_run_stays_as_it_was(measure, run):
    before = run.directory.folder, Path(run.directory.folder).stat().st_mtime_ns
    measure("greedy")
    assert not run.built.model.training
    assert before == (run.directory.folder, Path(run.directory.folder).stat().st_mtime_ns)
