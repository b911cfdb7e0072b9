"""Jobs decoded together: each text is what it would be alone, whatever else there is."""

import queue
from dataclasses import replace

import pytest

from seqgen.decoders import PathDecoder, decoders
from seqgen.errors import DecodeError
from seqgen.machine import double_precision
from seqgen.serving import Batcher, Job
from seqgen.serving.batching import BusyError
from seqgen.serving.jobs import Ended, Piece
from seqgen.tokenizers import BOS

DECODERS = (
    None,
    "greedy",
    {"name": "multinomial", "temperature": 0.7},
    {"name": "multinomial", "temperature": 2.0, "truncations": [{"name": "top_k", "k": 5}]},
    {"name": "top_p", "p": 0.8},
    {"name": "beam", "beam_size": 3},
    {"name": "stochastic_beam", "beam_size": 3},
    {"name": "speculative", "sampler": {"name": "multinomial", "temperature": 0.9}},
    {
        "name": "multinomial",
        "constraints": [
            {"name": "presence_penalty", "penalty": 1.0},
            {"name": "minimum_length", "length": 5},
        ],
    },
)


class Asked(Job):
    """A job that keeps what comes of it."""

    def __init__(self, run, prompts, spec, seed, **how):
        self.events = queue.Queue()
        decoder = run.decoder(spec, seed)
        super().__init__(run, prompts, decoder, str(spec), self.events.put, **how)

    def comes(self):
        """All events until its end."""
        found = []
        while (event := self.events.get(timeout=30)) is not None:
            if isinstance(event, Exception):
                raise event
            found.append(event)
        return found

    def ended(self):
        found = sorted((each for each in self.comes() if isinstance(each, Ended)), key=place_of)
        return [each.output for each in found]


def place_of(event):
    return event.place


@pytest.fixture
def batcher():
    made = Batcher(rows=16, queue=500)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="module")
def exact(served):
    """The runs in double precision, where batches decide nothing."""
    with double_precision():
        yield {name: run.in_double_precision() for name, run in served.items()}


def mixed(runs):
    """Jobs of every kind, and what each is alone."""
    number = 0
    for name, texts in (("lm", ["the cat", "", "a mat and"]), ("caps", ["abc", "d", "eabdc"])):
        for spec in DECODERS:
            for options in ({}, {"stop": "a" if name == "lm" else "C"}):
                number += 1
                run = runs[name].generating(**options)
                prompts = texts if number % 3 == 0 else [texts[number % 3]]
                samples = 2 if number % 4 == 0 else 1
                how = {"samples": samples, "max_length": 5 + number % 7 * 3}
                yield run, prompts, spec, number % 5, how


def test_each_text_is_what_it_is_alone(exact, batcher):
    asked = list(mixed(exact))
    jobs = []
    for place, (run, prompts, spec, seed, how) in enumerate(asked):
        jobs.append(Asked(run, prompts, spec, seed, streams=place % 2 == 0, **how))
        batcher.submit(jobs[-1])
    for job, (run, prompts, spec, seed, how) in zip(jobs, asked, strict=True):
        alone = [
            run.continuations([prompt], run.decoder(spec, seed), how["max_length"], how["samples"])[
                0
            ]
            for prompt in prompts
        ]
        wanted = [each for own in alone for each in own]
        found = job.ended()
        assert [each.text for each in found] == [each.text for each in wanted], (spec, how)
        for one, other in zip(found, wanted, strict=True):
            assert one.hypothesis.tokens == other.hypothesis.tokens
            assert one.hypothesis.finish_reason == other.hypothesis.finish_reason
            assert one.hypothesis.score == pytest.approx(other.hypothesis.score, abs=1e-9)
    assert (batcher.running, batcher.waiting) == (0, 0)


def test_a_seed_gives_the_text_of_the_run(served, batcher):
    run = served["lm"]
    jobs = [Asked(run, ["the "], None, seed, max_length=20 + seed) for seed in range(30)]
    for job in jobs:
        batcher.submit(job)
    for seed, job in enumerate(jobs):
        [output] = job.ended()
        assert "the " + output.text == run.generate("the ", seed=seed, max_length=20 + seed)


@pytest.mark.parametrize("options", [{}, {"stop": ["at "]}, {"max_length": 0}])
def test_pieces_are_the_text(served, batcher, options):
    length = options.pop("max_length", 30)
    run = served["lm"].generating(**options)
    job = Asked(run, ["the "], None, 1, streams=True, max_length=length, candidates=2)
    batcher.submit(job)
    *pieces, ended = job.comes()
    assert all(isinstance(each, Piece) for each in pieces)
    assert "".join(each.text for each in pieces) == ended.output.text
    tokens = [token for each in pieces for token in each.tokens]
    assert tokens[: len(ended.output.hypothesis.tokens)] == [*ended.output.hypothesis.tokens]
    assert [len(each) for each in ended.candidates] == [2] * len(ended.candidates)
    assert all(each[0][1] >= each[1][1] for each in ended.candidates)


def test_rows_that_have_run_for_a_while_are_joined(exact, batcher):
    """The second job comes when the first one has shown a piece."""
    run = exact["lm"]
    first = Asked(run, ["the "], None, 1, streams=True, max_length=200)
    batcher.submit(first)
    assert first.events.get(timeout=30).text
    second = Asked(run, ["a "], None, 2, max_length=30)
    batcher.submit(second)
    [output] = second.ended()
    assert "a " + output.text == run.generate("a ", seed=2, max_length=30)
    [output] = first.ended()
    assert "the " + output.text == run.generate("the ", seed=1, max_length=200)


def test_a_job_that_is_gone_leaves(served, batcher):
    job = Asked(served["lm"], ["the "], None, 1, streams=True, max_length=10**6)
    batcher.submit(job)
    job.events.get(timeout=30)
    assert batcher.running == 1
    job.gone = True
    after = Asked(served["lm"], ["the "], None, 1, max_length=3)
    batcher.submit(after)
    after.ended()
    assert batcher.running == 0


@pytest.mark.parametrize("spec", [None, {"name": "beam", "beam_size": 2}])
def test_what_has_waited_too_long_or_is_gone_is_not_begun(served, spec):
    batcher = Batcher(rows=4, queue=2)
    jobs = [Asked(served["lm"], ["the "], spec, 1, max_length=3) for _ in range(2)]
    jobs[0].waits_until, jobs[1].gone = 0.0, True
    for job in jobs:
        batcher.submit(job)
    with pytest.raises(BusyError):
        batcher.submit(jobs[0])
    batcher.start()
    with pytest.raises(TimeoutError):
        jobs[0].comes()
    after = Asked(served["lm"], ["the "], spec, 1, max_length=3)
    batcher.submit(after)
    assert after.ended()
    assert jobs[1].events.empty()
    batcher.close()


class _Wrong(PathDecoder):
    def choose(self, log_probs, sequence_ids, step):
        if step == 2:
            raise ZeroDivisionError("a defect")
        return log_probs.argmax(-1)


class _ByStep(PathDecoder):
    """What only knows steps that are numbers."""

    def choose(self, log_probs, sequence_ids, step):
        return log_probs.topk(2).indices[:, int(step) % 2]


def test_decoders_of_plugins_see_one_step_at_a_time(exact, batcher, own_registries):
    decoders.register("by_step")(_ByStep)
    run = exact["lm"]
    jobs = [Asked(run, ["the "], "by_step", 0, max_length=40 + each) for each in range(5)]
    for job in jobs:
        batcher.submit(job)
    for place, job in enumerate(jobs):
        [output] = job.ended()
        assert "the " + output.text == run.generate("the ", "by_step", 40 + place)


def test_what_fails_says_so_and_the_next_job_works(served, batcher, own_registries):
    decoders.register("wrong")(_Wrong)
    job = Asked(served["lm"], ["the "], "wrong", 0, max_length=5)
    batcher.submit(job)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        job.comes()
    after = Asked(served["lm"], ["the "], None, 0, max_length=5)
    batcher.submit(after)
    assert len(after.ended()) == 1


class _Broken:
    """A model with no scores after BOS, which is read where a prompt is empty."""

    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)

    def stepper(self, tokens):
        return self

    def step(self, tokens, state, context):
        log_probs, state = self.model.step(tokens, state, context)
        return log_probs.masked_fill((tokens == BOS).unsqueeze(1), float("nan")), state


def test_scores_that_are_no_numbers_end_their_job_alone(served):
    run = served["lm"]
    broken = replace(run, built=replace(run.built, model=_Broken(run.built.model)))
    batcher = Batcher(rows=4, queue=2)
    jobs = [Asked(broken, [text], None, 0, max_length=5) for text in ("", "the ")]
    for job in jobs:
        batcher.submit(job)
    batcher.start()
    with pytest.raises(DecodeError, match="NaN"):
        jobs[0].comes()
    assert len(jobs[1].ended()) == 1
    batcher.close()
