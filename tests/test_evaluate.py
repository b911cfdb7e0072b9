"""Evaluation: one set of figures, however many lanes are read at once."""

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch

import seqgen.evaluate
from seqgen.cells import Cell, cells
from seqgen.data import Example, LinesData, TextSize, TokenBatch, data
from seqgen.data.text import StreamSplit
from seqgen.data.text_files import TextFile
from seqgen.decoders import Beam, Greedy, Multinomial
from seqgen.errors import RecipeError, SeqgenError
from seqgen.evaluate import (
    FIGURES,
    DecodingOptions,
    Judge,
    answer,
    evaluate,
    evenly_spaced,
    outputs,
    score_rows,
)
from seqgen.generate import GenerationOptions, Generator
from seqgen.heads import heads
from seqgen.metrics import Answer, metrics
from seqgen.models import LanguageModel, models
from seqgen.tokenizers import CharTokenizer

VOCAB, TOKENS = 11, 4500
CPU = torch.device("cpu")


class Counter(Cell):
    """Never forgets: its state is the sum of everything that it has read."""

    def __init__(self, input_size):
        super().__init__()
        self.output_size = 2 * input_size

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.output_size // 2)

    def step(self, x, state):
        state = state + x
        return torch.cat([state.sin(), x], 1), state


class Chaos(Counter):
    """Never forgets either: the least difference between two states grows until it is all."""

    def step(self, x, state):
        state = (3.99 * state * (1 - state) + 0.01 * x.sigmoid()).clamp(0.01, 0.99)
        return torch.cat([state, x], 1), state


OWN = {"counter": Counter, "chaos": Chaos}

# At twice their weights these are chaotic: what another batch size rounds otherwise would grow.
SCALES = {"layer_norm_lstm": 1, "multiplicative_lstm": 1}

# At twice its weights this one would add up all that it has read.
OF_A_STREAM = {"indrnn": {"bound": 0.9}}


@pytest.fixture(scope="module", params=[*cells.names(), *OWN])
def model(request, small):
    torch.manual_seed(1)
    spec = (
        {**small(cells, request.param), **OF_A_STREAM.get(request.param, {})}
        if request.param not in OWN
        else None
    )
    cell = OWN.get(request.param) or cells.check(spec)
    made = LanguageModel(VOCAB, cell, heads.check("linear"), dropout=0.5)
    with torch.no_grad():
        for each in made.parameters():
            each.mul_(SCALES.get(request.param, 2))  # so that the state matters
    return made


@pytest.fixture(scope="module")
def split():
    tokens = torch.randint(4, VOCAB, (TOKENS + 1,), generator=torch.Generator().manual_seed(2))
    return StreamSplit(tokens, TextSize(TOKENS, 2 * TOKENS), 17)


@pytest.fixture(scope="module")
def one_reading(model, split):
    """Nats and correct tokens of the stream, from end to end in a single batch of one row."""
    stream = split.stream.unsqueeze(0)
    with torch.inference_mode():
        score = model.eval().score(TokenBatch(stream[:, :-1], stream[:, 1:]))
    return float(score.nats.double().sum()), int(score.correct.sum())


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32])
def test_the_figures_are_those_of_one_reading(model, split, one_reading, batch_size):
    nats, correct = one_reading
    assert evaluate(model, split, CPU, batch_size) == pytest.approx(
        {
            "nats_per_token": nats / TOKENS,
            "perplexity": math.exp(nats / TOKENS),
            "bits_per_char": nats / math.log(2) / TOKENS,
            "bits_per_byte": nats / math.log(2) / TOKENS / 2,
            "accuracy": correct / TOKENS,
            "tokens": TOKENS,
            "unknown": 17,
            "unknown_share": 17 / TOKENS,
        },
        rel=1e-6,
    )


def test_the_state_matters_here(model, split, one_reading):
    """Or the test above would show nothing: fresh states at every 100th token cost something."""
    nats, _ = one_reading
    stream = split.stream
    rows = TokenBatch(stream[:TOKENS].view(-1, 100), stream[1:].view(-1, 100))
    with torch.inference_mode():
        fresh = float(model.eval().score(rows).nats.double().sum())
    assert abs(fresh / nats - 1) > 1e-5


def test_a_short_split(model):
    short = StreamSplit(torch.tensor([1, 4, 5]), TextSize(2, 2), 0)
    assert evaluate(model, short, CPU)["tokens"] == 2


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_as_before(model, split, training):
    part = StreamSplit(split.stream[:401], TextSize(400, 800), 0)
    model.train(training)
    found = [evaluate(model, part, CPU, 4) for _ in range(2)]
    assert found[0] == found[1]
    assert model.training == model.cell.training == training


def test_the_mode_is_as_before_when_it_fails(model, split):
    broken = StreamSplit(torch.full((10,), VOCAB + 5), TextSize(9, 9), 0)
    model.train()
    with pytest.raises((IndexError, SeqgenError)):
        evaluate(model, broken, CPU)
    assert model.training
    assert not torch.is_inference_mode_enabled()


class TestRows:
    @pytest.fixture
    def rows(self):
        """Seven lines, the last but one of them with a sign that is not known."""
        tokenizer = CharTokenizer()
        tokenizer.fit(["abcdefg"])
        text = TextFile.of("abc\ng\n\nabcdefgabcdefg\ngfe\nxax\nb")
        lines = LinesData(path=None, train="none.txt")
        return lines.parse_rows(text, "text", {"text": tokenizer}), len(tokenizer)

    @pytest.mark.parametrize("batch_size", [1, 2, 32])
    def test_each_is_scored_for_itself(self, rows, batch_size):
        split, vocab = rows
        torch.manual_seed(1)
        model = LanguageModel(vocab, cells.check({"name": "gru", "hidden_size": 5}))
        scores = score_rows(model, split, CPU, batch_size)
        assert [len(each.log_probs) for each in scores] == [4, 2, 1, 15, 4, 4, 2]
        assert [each.unknown for each in scores] == [0, 0, 0, 0, 0, 2, 0]
        for each in scores:
            assert each.score == pytest.approx(sum(each.log_probs))
        nats = evaluate(model, split, CPU)["nats_per_token"]
        assert -sum(each.score for each in scores) / 32 == pytest.approx(nats)
        alone = score_rows(model, split, CPU, 1)
        for one, other in zip(scores, alone, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-6)


SOURCES = ["ab", "", "abcab", "b", "ab", "c" * 30, "ba", "abc", "x", "c"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Pairs from a file, with several targets for some sources."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = [(source, source.upper()) for source in SOURCES if source]
    rows += [("ab", "BA"), ("c", "C C"), ("abc", "ABC!")]
    text = "".join(f"{source}\t{target}\n" for source, target in rows)
    for name in ("train", "dev", "test"):
        (folder / f"{name}.tsv").write_text(text)
    return data.build({"name": "pairs", "path": str(folder)}, seed=1)


@pytest.fixture
def generator(pairs):
    """One with attention that has learned nothing, and is sure of much."""
    torch.manual_seed(1)
    tokenizers = {"source": CharTokenizer("abc"), "target": CharTokenizer("ABC! ")}
    cell = {"name": "gru", "hidden_size": 6}
    spec = {
        "name": "seq2seq",
        "encoder": {"name": "recurrent", "cell": cell, "embedding": {"size": 4}},
        "cell": cell,
        "attention": "general",
        "embedding": {"size": 4},
    }
    model = models.build(spec, **pairs.sizes(tokenizers))
    for each in model.parameters():
        each.data.mul_(2)
    options = GenerationOptions(max_length=7)
    return Generator(model, tokenizers, pairs, torch.device("cpu"), options)


@pytest.fixture
def valid(pairs, generator):
    return pairs.held_out("valid", generator.tokenizers)


def judge_of(generator, *names, batch_size=64):
    return Judge(generator, {name: metrics.build(name) for name in names}, batch_size)


DECODERS = {"greedy": Greedy(), "beam": Beam(3, 2), "multinomial": Multinomial(3)}


@pytest.fixture(params=DECODERS)
def decoder(request):
    return DECODERS[request.param]


class TestOutputs:
    def test_are_in_the_order_of_the_texts_whatever_the_batches(self, generator, decoder):
        first, *others = [
            outputs(generator, decoder, SOURCES, DecodingOptions(size)) for size in (1, 2, 3, 64)
        ]
        assert [own[0].prompt for own in first] == SOURCES
        for found in others:
            for own, wanted in zip(found, first, strict=True):
                for one, same in zip(own, wanted, strict=True):
                    assert (one.prompt, one.text) == (same.prompt, same.text)
                    assert one.hypothesis.score == pytest.approx(same.hypothesis.score, abs=1e-5)

    def test_texts_that_are_equal_draw_for_themselves(self, generator):
        found = outputs(generator, Multinomial(3, 2.0), ["ab"] * 6, DecodingOptions(4))
        assert len({own[0].text for own in found}) > 1

    def test_each_draws_by_its_id(self, generator):
        numbers = [5, 0, 9, 2, 3, 4, 1, 7, 8, 2**33]
        decoder = Multinomial(3)
        found = outputs(generator, decoder, SOURCES, DecodingOptions(3), numbers)
        for source, number, own in zip(SOURCES, numbers, found, strict=True):
            [alone] = outputs(generator, decoder, [source], DecodingOptions(1), [number])
            assert [one.text for one in alone] == [one.text for one in own]

    def test_several_samples_and_a_length(self, generator):
        options = DecodingOptions(4, max_length=2, samples=3)
        found = outputs(generator, Multinomial(3), SOURCES, options)
        assert [len(own) for own in found] == [3] * len(SOURCES)
        assert all(len(one.hypothesis.tokens) <= 2 for own in found for one in own)

    def test_texts_of_similar_length_share_a_batch(self, generator, monkeypatch):
        class Noting(Greedy):
            """Greedy search that notes how many sources it is given."""

            def decode(self, stepper, start, limits):
                self.sizes.append(len(start.tokens))
                return super().decode(stepper, start, limits)

        decoder = Noting()
        for at_once, wanted in ((1 << 18, [4, 4, 2]), (12, [4, 4, 1, 1]), (5, [4, 2, 1, 1, 1, 1])):
            monkeypatch.setattr(seqgen.evaluate, "CHARACTERS_AT_ONCE", at_once)
            decoder.sizes = []
            outputs(generator, decoder, SOURCES, DecodingOptions(4))
            assert decoder.sizes == wanted


class TestAnswer:
    def test_is_the_best_output_of_each_example(self, generator, decoder):
        examples = [Example(source, (source.upper(), "?")) for source in SOURCES]
        found = answer(generator, decoder, examples, 3)
        wanted = outputs(generator, decoder, SOURCES, DecodingOptions(64))
        for example, one, own in zip(examples, found, wanted, strict=True):
            assert (one.source, one.references) == (example.source, example.references)
            assert one.output == own[0].text
            assert one.score == pytest.approx(own[0].hypothesis.score, abs=1e-5)
            assert one.finished == own[0].hypothesis.finished
        assert {one.finished for one in found} <= {True, False}

    def test_no_examples(self, generator):
        assert answer(generator, Greedy(), [], 3) == []
        assert outputs(generator, Greedy(), [], DecodingOptions(4)) == []


@pytest.mark.parametrize(
    ("count", "most", "wanted"),
    [
        (10, 4, [0, 2, 5, 7]), (10, 10, [*range(10)]), (10, 11, [*range(10)]),
        (10, None, [*range(10)]), (10, 1, [0]), (10, 0, []), (3, 2, [0, 1]), (0, 2, []),
        (7, 3, [0, 2, 4]),
    ],
)  # fmt: skip
def test_some_examples_are_evenly_spaced(count, most, wanted):
    assert [*evenly_spaced(range(count), most)] == wanted


class TestJudge:
    def test_without_metrics_there_is_likelihood_alone(self, generator, valid):
        figures, found = judge_of(generator).figures(valid, None)
        assert found == []
        assert figures == evaluate(generator.model, valid, torch.device("cpu"))

    def test_figures_of_outputs(self, generator, valid):
        judge = judge_of(generator, "exact_match", "character_error_rate")
        figures, found = judge.figures(valid, Greedy())
        assert [each.source for each in found] == [each.source for each in valid.examples]
        assert figures["examples"] == len(found) == 8
        assert set(figures["metrics"]) == set(figures["details"]) == set(judge.metrics)
        for name, metric in judge.metrics.items():
            assert figures["metrics"][name] == metric.measure(found).value
        assert set(FIGURES) <= set(figures)
        assert json.loads(json.dumps(figures)) == figures

    def test_of_several_references_any_is_right(self, generator, valid):
        _, found = judge_of(generator, "exact_match").figures(valid, Greedy())
        assert {each.source: each.references for each in found}["ab"] == ("AB", "BA")

    def test_a_few_are_evenly_spaced(self, generator, valid):
        judge = judge_of(generator, "exact_match")
        _, few = judge.figures(valid, Greedy(), 3)
        _, every = judge.figures(valid, Greedy())
        assert [each.source for each in few] == [every[i].source for i in (0, 2, 5)]
        assert [each.output for each in few] == [every[i].output for i in (0, 2, 5)]

    @pytest.mark.parametrize("name", ["exact_match", "character_error_rate"])
    def test_figures_do_not_depend_on_the_batches(self, generator, valid, decoder, name):
        found = [
            judge_of(generator, name, batch_size=size).figures(valid, decoder)
            for size in (1, 3, 64)
        ]
        assert len({figures["metrics"][name] for figures, _ in found}) == 1
        assert len({tuple(each.output for each in own) for _, own in found}) == 1

    def test_a_criterion_is_the_better_the_less_it_is(self, generator):
        judge = judge_of(generator, "exact_match", "character_error_rate", "accuracy")
        figures = dict.fromkeys(FIGURES, 2.0)
        figures["metrics"] = {"exact_match": 0.25, "character_error_rate": 0.75, "accuracy": 0.5}
        assert judge.criterion("exact_match", figures) == -0.25
        assert judge.criterion("character_error_rate", figures) == 0.75
        assert judge.criterion("accuracy", figures) == -0.5
        for name in ("nats_per_token", "perplexity", "bits_per_char", "bits_per_byte"):
            assert judge.criterion(name, figures) == 2.0
        assert judge_of(generator).criterion("accuracy", {"accuracy": 0.5}) == -0.5

    @pytest.mark.parametrize("name", metrics.names())
    def test_of_every_metric_the_better_answers_have_the_lesser_criterion(self, generator, name):
        judge = judge_of(generator, name)
        right = [Answer(text, text, (text,)) for text in ("a b c d", "b c d e", "c d e f")]
        wrong = [each.__class__(each.source, "f f f f", each.references) for each in right]
        best, worst = (
            judge.criterion(name, {"metrics": {name: judge.metrics[name].measure(own).value}})
            for own in (right, wrong)
        )
        assert best < worst

    def test_nan_stays_nan(self, generator):
        judge = judge_of(generator, "exact_match")
        assert math.isnan(judge.criterion("exact_match", {"metrics": {"exact_match": math.nan}}))


class TestCheckingTheCriterion:
    @pytest.mark.parametrize("name", [*FIGURES, "exact_match"])
    def test_what_there_will_be(self, generator, valid, name):
        judge_of(generator, "exact_match").check_criterion(name, valid, 1)

    def test_where_nothing_is_validated_a_metric_is_no_fault(self, generator):
        judge_of(generator, "exact_match").check_criterion("exact_match", None, 500)

    @pytest.mark.parametrize("name", ["exact_natch", "tokens", "bleu", "metrics", "", "unknown"])
    def test_what_there_is_not(self, generator, valid, name):
        with pytest.raises(
            ValueError, match="must be one of exact_match, nats_per_token, "
        ) as caught:
            judge_of(generator, "exact_match").check_criterion(name, valid, 1)
        assert ("did you mean 'exact_match'" in str(caught.value)) == (name == "exact_natch")

    @pytest.mark.parametrize(
        ("most", "sources", "reason"),
        [(0, True, "`validation_examples` is 0"), (500, False, "there are no sources")],
    )
    def test_what_needs_outputs(self, generator, valid, most, sources, reason):
        judge = judge_of(generator, "exact_match")
        valid.examples = valid.examples if sources else ()
        with pytest.raises(
            ValueError, match=f"'exact_match' needs outputs to measure, but {reason}"
        ):
            judge.check_criterion("exact_match", valid, most)
        judge.check_criterion("nats_per_token", valid, 0)


@pytest.fixture
def train_pairs(place, train):
    """A function that trains on words to write in capitals, of which it learns some."""
    place.pairs(a + b for a in "abcdefgh" for b in "abcdefgh")
    options = ["data.batch_size=8", "data.split=[0.5,0.25,0.25]", "train.max_steps=40"]
    options += ["train.validate_every=10", "evaluation.criterion=exact_match"]
    return partial(train, *options, recipe="pairs.yaml")


def validations(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "valid"]


class TestARun:
    def test_the_best_checkpoint_is_the_first_with_most_exact(self, train_pairs):
        folder = train_pairs()
        found = validations(folder)
        exact = [event["metrics"]["exact_match"] for event in found]
        assert [event["criterion"] for event in found] == [-each for each in exact]
        assert max(exact) > exact[0]
        result = json.loads((folder / "result.json").read_text())
        best = found[exact.index(max(exact))]
        assert result["best_step"] == best["step"]
        assert [event["best"] for event in found] == [
            each > max(exact[:place], default=-1) for place, each in enumerate(exact)
        ]
        # It is judged with the weights that were chosen.
        assert result["valid"]["metrics"]["exact_match"] == max(exact)
        assert result["valid"]["nats_per_token"] == pytest.approx(best["nats_per_token"])
        assert not any("details" in event for event in found)

    def test_patience_counts_validations_without_more_exact(self, train_pairs):
        slow = ["train.lr=1e-6", "train.patience=3", "train.validate_every=5"]
        folder = train_pairs(*slow, out="exact")
        assert [event["step"] for event in validations(folder)] == [0, 5, 10, 15]
        result = json.loads((folder / "result.json").read_text())
        assert result["stopped"] == "no better validation in 3 validations"
        assert result["best_step"] == 0
        likely = train_pairs(*slow, "evaluation.criterion=nats_per_token", out="likely")
        assert len(validations(likely)) == 9

    @pytest.mark.parametrize(
        ("overrides", "message"),
        [
            (["evaluation.criterion=exact"], "must be one of exact_match, nats_per_token"),
            (["evaluation.validation_examples=0"], "but `validation_examples` is 0"),
        ],
    )
    def test_a_criterion_that_there_will_not_be(self, overrides, message, train_pairs):
        with pytest.raises(RecipeError, match=rf"evaluation\.criterion: .*{message}"):
            train_pairs(*overrides)
        assert not Path("run").exists()

    def test_metrics_of_data_without_sources(self, place, train):
        with pytest.raises(RecipeError, match=r"metrics: this data has no sources, so there ar"):
            train("metrics=[exact_match]")
        with pytest.raises(RecipeError, match="metrics"):
            train("metrics=[exact_match]", "evaluation.criterion=exact_match")
        assert not Path("run").exists()
