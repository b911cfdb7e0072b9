"""What systems take, by a clock that the test turns by hand, and on allocations that are known."""

import gc
import time
from pathlib import Path

import pytest
import torch

from seqgen.comparison import Comparison, Plan, Strategy, System
from seqgen.comparison.cost import measure_cost, peak_bytes, take_times
from seqgen.comparison.plan import SpeedOptions
from seqgen.decoders import Greedy, decoders
from seqgen.trained import TrainedRun

TEXTS = ["the ", "cat ", "a mat", "dogs "]
ONCE = SpeedOptions(warm_ups=0, repeats=1)
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def run(finished_run):
    return TrainedRun.load(finished_run, device="cpu")


@pytest.fixture
def measure(run):
    """A function from decoders and options to the timings, and what was announced."""

    def call(*specs, texts=TEXTS, speed=ONCE, clock=time.perf_counter, **options):
        plan = Plan(strategies=(Strategy(Greedy),), max_length=5, speed=speed, **options)
        parts = [decoders.check(spec) for spec in specs]
        systems = [System(part.name, 0, part.plain(), part.name == "multinomial") for part in parts]
        announced = []
        comparison = Comparison([run], ["run"], systems, plan, announced.append)
        return measure_cost(comparison, texts, clock), announced

    return call


def per_decoding(timing):
    """The sequences and tokens that the rates were made of."""
    rates = timing.sequences_per_second, timing.tokens_per_second
    return tuple(pytest.approx(rate * timing.seconds.median) for rate in rates)


class TestMeasureCost:
    """On a run that is finished; never how long it took."""

    def test_seconds_calls_and_rows_and_what_they_depend_on(self, measure):
        """Of four texts, three at once, which each have five tokens and no end."""
        options = SpeedOptions(inputs=4, batch_size=3, warm_ups=0, repeats=2)
        found, _ = measure("greedy", {"name": "beam", "beam_size": 3}, speed=options)
        assert list(found.systems) == ["greedy", "beam"]
        greedy, beam = found.systems.values()
        for each in (greedy, beam):
            assert 0 < each.seconds.min <= each.seconds.median <= each.seconds.max
        assert (greedy.calls, greedy.rows) == (2 * 5, 4 * 5)
        assert (beam.calls, beam.rows) == (2 * 5, 4 * (1 + 4 * 3))
        assert per_decoding(greedy) == per_decoding(beam) == (4, 20)
        assert vars(found).items() >= vars(options).items()
        assert (found.device, found.threads, found.precision) == ("cpu", 1, "float32")
        assert found.hardware
        assert found.torch

    def test_random_decoders_decode_once_for_each_sample_and_only_used_outputs_count(self, measure):
        """A list of five is one output where the comparison has one for each input."""
        beam = {"name": "beam", "beam_size": 5, "n_best": 5}
        found, _ = measure("greedy", "multinomial", beam, samples=3)
        greedy, multinomial, listed = found.systems.values()
        assert (greedy.rows, multinomial.rows) == (4 * 5, 3 * 4 * 5)
        assert per_decoding(greedy) == (4, 20)
        assert per_decoding(multinomial) == per_decoding(listed) == (12, 60)
        assert per_decoding(measure(beam)[0].systems["beam"]) == (4, 20)

    def test_more_paths_take_more_memory(self, measure):
        wide = {"name": "beam", "beam_size": 20}
        greedy, beam = (each.peak_bytes for each in measure("greedy", wide)[0].systems.values())
        assert 0 < greedy < beam
        again = measure(wide, "greedy")[0].systems.values()
        assert [each.peak_bytes for each in again] == [beam, greedy]

    def test_each_decoding_is_announced(self, measure):
        _, announced = measure("greedy", "beam", speed=SpeedOptions(warm_ups=1, repeats=2))
        assert [(each.done, each.total) for each in announced] == [(i, 8) for i in range(8)]
        texts = [each.text for each in announced]
        assert texts[:3] == ["speed of greedy", "speed of beam", "speed of beam"]
        assert texts[-2:] == ["memory of greedy", "memory of beam"]

    def test_inputs_are_spread(self, measure):
        """Of four texts two, the first and the third."""
        found, _ = measure("greedy", speed=SpeedOptions(inputs=2, warm_ups=0, repeats=1))
        assert (found.inputs, found.systems["greedy"].rows) == (2, 10)
        assert measure("greedy", texts=TEXTS * 20)[0].inputs == 32

    def test_a_clock_that_stands_still_gives_no_rate(self, measure):
        [timing] = measure("greedy", clock=lambda: 0.0)[0].systems.values()
        assert (timing.sequences_per_second, timing.tokens_per_second) == (None, None)

    def test_without_repeats_nothing_is_measured_and_the_run_stays_as_it_was(self, measure, run):
        folder = Path(run.directory.folder)
        before = folder.stat().st_mtime_ns
        measure("greedy")
        assert measure("greedy", speed=SpeedOptions(repeats=0)) == (None, [])
        assert not run.built.model.training
        assert folder.stat().st_mtime_ns == before


class Clock:
    """A clock, and systems that take the seconds that they are given, one number for each time."""

    def __init__(self):
        self.now = 100.0
        self.order = ""
        self.announced = []

    def __call__(self):
        return self.now

    def system(self, label, seconds):
        times = iter(seconds)

        def decode():
            self.order += label
            self.now += next(times)

        return decode


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def times(clock):
    """A function from options, and the seconds of systems by label, to their times."""

    def call(options, **systems):
        decodes = {label: clock.system(label, each) for label, each in systems.items()}
        announce = lambda label: clock.announced.append((clock.order, label))  # noqa: E731
        return take_times(decodes, SpeedOptions(**options), announce, clock)

    return call


class TestTakeTimes:
    @pytest.mark.parametrize(
        ("warm_ups", "taken", "wanted"),
        [
            (1, [9, 2, 1, 6], (1, 2, 6)),
            (1, [9, 4, 4, 4], (4, 4, 4)),
            (0, [1, 3], (1, 2, 3)),  # the median of two is between them
        ],
    )
    def test_seconds_of_measured_rounds(self, warm_ups, taken, wanted, times):
        seconds = times({"warm_ups": warm_ups, "repeats": len(taken) - warm_ups}, a=taken)["a"]
        assert (seconds.min, seconds.median, seconds.max) == wanted

    def test_each_round_has_every_system_once_and_begins_with_another(self, clock, times):
        times({"warm_ups": 1, "repeats": 4}, a=[1] * 5, b=[1] * 5, c=[1] * 5)
        assert clock.order == "abcbcacababcbca"
        before = [clock.order[:place] for place in range(15)]
        assert clock.announced == list(zip(before, clock.order, strict=True))

    def test_the_garbage_collector_is_left_as_it_was(self, times):
        frozen = gc.get_freeze_count()
        with pytest.raises(StopIteration):
            times({}, a=[])
        assert gc.get_freeze_count() == frozen
        assert gc.isenabled()


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


@pytest.mark.parametrize("kind", ["cpu", pytest.param("cuda", marks=NO_GPU)])
class TestPeakBytes:
    @pytest.fixture
    def peak(self, kind):
        """A function from work, which gets what makes a tensor of so many megabytes, to its peak in
        megabytes."""
        device = torch.device(kind)

        def allocate(megabytes):
            return torch.empty(megabytes * MEGABYTE, dtype=torch.uint8, device=device)

        def call(work):
            return pytest.approx(peak_bytes(lambda: work(allocate), device) / MEGABYTE, rel=0.03)

        call.allocate = allocate
        return call

    def test_peak_memory_is_the_most_at_once_not_the_sum(self, peak):
        def one_by_one(allocate):
            large = allocate(10)
            del large
            allocate(5)

        def together(allocate):
            kept = [allocate(5)]
            for _ in range(10):
                allocate(2)
            kept.append(allocate(4))

        assert peak(one_by_one) == 10
        assert peak(together) == 9

    def test_what_was_there_before_does_not_count(self, peak):
        before = peak.allocate(20).fill_(1)
        assert peak(lambda allocate: (before.add_(1), allocate(10))) == 10
        assert peak(lambda allocate: None) == 0

    def test_a_failure_is_raised_and_leaves_no_file(self, peak):
        def work(allocate):
            raise OSError("lost")

        with pytest.raises(OSError, match="lost"):
            peak(work)
        assert peak(lambda allocate: allocate(1)) == pytest.approx(1, rel=0.1)


def test_peaks_are_the_same_each_time_count_what_is_inside_and_nothing_is_said(capfd):
    lstm = torch.nn.LSTM(8, 16)

    def work():
        with torch.no_grad():
            lstm(torch.ones(20, 4, 8))[0].log_softmax(-1).topk(3)

    [peak] = {peak_bytes(work, torch.device("cpu")) for _ in range(3)}
    assert peak > 20 * 4 * 16 * 4
    assert capfd.readouterr() == ("", "")
    # A sort of one column takes a copy of it inside, beside the values and their places.
    rows = torch.rand(100_000, 3)
    assert peak_bytes(lambda: rows.sort(0), torch.device("cpu")) > 3 * 100_000 * (4 + 8)
