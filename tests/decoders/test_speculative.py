"""Speculation: no draft changes a text, and a good one spares the model most of its calls."""

import pytest
import torch

import seqgen
from seqgen.cells import cells
from seqgen.data import data
from seqgen.decoders import (
    Counting,
    Draft,
    Drafter,
    Limits,
    constraints,
    decoders,
    drafts,
    read_ahead,
    watched,
)
from seqgen.errors import CheckpointError
from seqgen.generate import Generator
from seqgen.models import models
from seqgen.state import leaves
from seqgen.tokenizers import EOS, CharTokenizer

ALPHABET = "abcdefgh\n"
PROMPTS = ["abcabcabc", "", "hgfedcba", "aabbccddaabb"]
SAMPLERS = {
    "greedy": "greedy",
    "drawn": "multinomial",
    "cold": {"name": "multinomial", "temperature": 0.4},
    "hot": {"name": "multinomial", "temperature": 3},
    "nucleus": {"name": "top_p", "p": 0.8},
}


def generator(small, cell="lstm_cell", kind="text", seed=1, size=None):
    torch.manual_seed(seed)
    tokenizer = CharTokenizer(alphabet=ALPHABET)
    own = small(cells, cell) | ({"hidden_size": size} if size else {})
    model = models.build({"name": "language_model", "cell": own}, vocab_size=len(tokenizer))
    with torch.no_grad():
        for each in model.parameters():
            each.mul_(3)
    texts = data.build({"name": kind, "corpus": "unicode_names"}, seed=1)
    return Generator(model.double().eval(), {"text": tokenizer}, texts, torch.device("cpu"))


class Wild(Drafter, Draft):
    """Proposes whatever comes to its mind, impossible tokens among it."""

    def __init__(self, high=13):
        self.drawn, self.high = torch.Generator().manual_seed(3), high

    def drafter(self, tokens, memory):
        return self

    def accept(self, tokens):
        pass

    def propose(self, count, choose):
        size = int(torch.randint(count + 1, (1,), generator=self.drawn))
        return torch.randint(self.high, (size,), generator=self.drawn).tolist()


def build(draft, sampler, load, **options):
    supplied = {"vocab_size": 13, "encode": lambda text: [4 + ord(each) - 97 for each in text]}
    named = "lookup" if draft is Wild else draft
    spec = {"name": "speculative", "draft": named, "sampler": sampler, **options}
    one = decoders.build(spec, seed=5, load=load, **supplied)
    one._draft = Wild() if draft is Wild else one._draft
    given = {key: options[key] for key in ("constraints",) if key in options}
    other = {"name": sampler} if isinstance(sampler, str) else sampler
    return one, decoders.build({**other, **given}, seed=5, load=load, **supplied)


DRAFTS = {
    "lookup": "lookup",
    "ngram": "ngram",
    "unigram": {"name": "ngram", "order": 1},
    "itself": {"name": "model", "run": "itself"},
    "another": {"name": "model", "run": "another"},
    "wild": Wild,
}


def found(generator, decoder, length=60, prompts=PROMPTS):
    """Alone, since several at once are decoded without a draft."""
    return [
        [each.hypothesis for each in own]
        for place, prompt in enumerate(prompts)
        for own in generator.generate([prompt], decoder, length, sequence_ids=[place])
    ]


@pytest.fixture
def load(small):
    return {
        "itself": generator(small).model,
        "another": generator(small, "gru", seed=2, size=3).model,
    }.__getitem__


def alike(one, other):
    """The same but for the rounding of scores."""
    assert [h.tokens for [h] in one] == [h.tokens for [h] in other]
    for [first], [second] in zip(one, other, strict=True):
        assert first.log_probs == pytest.approx(second.log_probs, abs=1e-9)
        assert first._replace(score=0, log_probs=()) == second._replace(score=0, log_probs=())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("kind", ["text", "lines"])
def test_no_draft_changes_a_text(kind, draft, sampler, load, small):
    here = generator(small, kind=kind)
    for ahead in (1, 4, 100):
        one, other = build(DRAFTS[draft], SAMPLERS[sampler], load, ahead=ahead)
        alike(found(here, one), found(here, other))
        if draft != "wild":
            assert one.proposed


@pytest.mark.parametrize("cell", cells.names())
def test_for_every_cell(cell, load, small):
    here = generator(small, cell)
    alike(*(found(here, each) for each in build("lookup", SAMPLERS["cold"], load)))


CONSTRAINTS = ["allowed", "ensemble", "forbid", "forced_prefix", "language_model", "minimum_length"]
CONSTRAINTS += ["no_repeat_ngram", "repetition_penalty"]


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("draft", ["ngram", "wild"])
def test_with_constraints(draft, name, load, small):
    """What a constraint remembers is rolled back with the state."""
    here = generator(small, kind="lines")
    own = {"allowed": {"texts": ["abc", "abd", "bcd", "abcabcabcabc"]}, "forbid": {"texts": ["a"]}}
    own |= {"ensemble": {"runs": ["another"]}, "language_model": {"run": "another"}}
    own |= {"forced_prefix": {"text": "abca"}}
    spec = small(constraints, name) | own.get(name, {})
    made = build(DRAFTS[draft], "multinomial", load, constraints=[spec], ahead=6)
    alike(*(found(here, each) for each in made))


def test_a_model_that_is_its_own_draft_is_always_right(load, small):
    one, _ = build(DRAFTS["itself"], "multinomial", load, ahead=4)
    found(generator(small), one, 60, PROMPTS[:1])
    assert one.accepted == one.proposed
    assert one.read == 13, "1 token, and 59, 5 for each call"


def test_how_much_is_read_at_once(load, small):
    """Nothing is proposed for the first place, and for the last, which nothing follows."""
    one, _ = build(DRAFTS["itself"], "multinomial", load, ahead=100)
    found(generator(small), one, 60, PROMPTS[:1])
    assert (one.read, one.proposed, one.accepted) == (2, 58, 58)


def test_the_end_of_a_text(load, small):
    here = generator(small, kind="lines")
    one, other = build(DRAFTS["itself"], SAMPLERS["hot"], load, ahead=9)
    wanted = found(here, other, 200)
    alike(found(here, one, 200), wanted)
    assert any(h.finished and h.tokens[-1] == EOS for [h] in wanted)
    assert found(here, one, 0)[0][0].tokens == ()


def test_batches_and_samples_are_as_ever(load, small):
    here = generator(small)
    one, other = build("lookup", "multinomial", load)
    for how in ({"samples": 3}, {}):
        mine, theirs = (here.generate(PROMPTS, each, 20, **how) for each in (one, other))
        assert [[e.text for e in own] for own in mine] == [[e.text for e in own] for own in theirs]
    assert not one.proposed


def test_streaming(load, small):
    one, other = build("ngram", "multinomial", load)
    texts = ["".join(generator(small).stream("abcabc", each, 50)) for each in (one, other)]
    assert texts[0] == texts[1]
    assert one.accepted


@pytest.mark.parametrize("cell", cells.names())
def test_states_are_those_of_single_steps(cell, small):
    """To the last bit where nothing is read at once."""
    model = generator(small, cell).model
    tokens = torch.tensor([4, 7, 5, 5])
    for stepper in (model, model.stepper(1), model.stepper(1000)):
        with torch.inference_mode():
            state = model.initial_state(1)
            log_probs, states = read_ahead(stepper, tokens, state, None)
            for place, token in enumerate(tokens.split(1)):
                row, state = stepper.step(token, state, None)
                torch.testing.assert_close(log_probs[[place]], row)
                torch.testing.assert_close([*leaves(states[place])], [*leaves(state)])
                if model.cell.reading_ahead() is None:
                    assert all(map(torch.equal, leaves(states[place]), leaves(state)))
                state = states[place]


def test_what_of_a_stack_is_read_at_once(small):
    """A cell that takes its steps, below one that reads at once."""
    own = [{"name": "gru", "hidden_size": 5}, {"name": "min_gru", "hidden_size": 5}]
    cell = cells.build({"name": "stack", "cells": own, "residual": True}, input_size=3).double()
    with torch.inference_mode():
        xs, state = torch.randn(4, 3).double(), cell.initial_state(1)
        outputs, states = cell.reading_ahead()(xs, state)
        for place, x in enumerate(xs.split(1)):
            wanted, state = cell.step_input(x, state)
            torch.testing.assert_close(outputs[[place]], wanted)
            torch.testing.assert_close([*leaves(states[place])], [*leaves(state)])


def propose(draft, tokens, count=5):
    return draft.drafter(tokens, None).propose(count, None)


class TestLookup:
    @pytest.mark.parametrize(
        ("tokens", "guess"),
        [
            ([], []),
            ([1], []),
            ([1, 2, 3], []),
            ([1, 2, 3, 1], [2, 3, 1, 2, 3]),
            ([1, 2, 3, 4, 5, 6, 7, 1, 2], [3, 4, 5, 6, 7]),
            ([1, 2, 8, 9, 2, 7, 1, 2], [8, 9, 2, 7, 1]),
            ([5, 5], [5] * 5),
        ],
    )
    def test_what_came_after_the_longest_match(self, tokens, guess):
        assert propose(drafts.build("lookup"), tokens) == guess

    def test_short_matches_may_be_left_out(self):
        draft = drafts.build({"name": "lookup", "shortest": 2})
        assert propose(draft, [1, 2, 3, 1]) == []
        assert propose(draft, [1, 2, 3, 1, 2]) == [3, 1, 2, 3, 1]


class TestNgram:
    def test_the_most_frequent_after_the_longest_context(self):
        draft = drafts.build({"name": "ngram", "order": 3})
        assert propose(draft, [1, 2, 3, 1, 2, 4, 1, 2, 3, 1, 2]) == [3, 1, 2, 3, 1]
        assert propose(draft, [1, 2, 9, 9, 9, 1]) == [2, 9, 9, 9, 9]
        assert propose(draft, []) == []

    def test_of_order_1_it_is_the_most_frequent_token(self):
        assert propose(drafts.build({"name": "ngram", "order": 1}), [1, 2, 2]) == [2] * 5


class TestRefusals:
    @pytest.mark.parametrize(
        ("sampler", "said"),
        [
            ("beam", "`sampler` must be one that chooses token by token, such as greedy"),
            ({"name": "greedy", "constraints": ["minimum_length"]}, "must have no `constraints`"),
        ],
    )
    def test_samplers(self, sampler, said, load, small):
        if "constraints" in sampler:
            sampler = {"name": "greedy", "constraints": [small(constraints, "minimum_length")]}
        with pytest.raises(ValueError, match=said):
            build("lookup", sampler, load)

    def test_a_draft_of_other_tokens(self, finished_run, run_once):
        other = run_once("data.path=HERE/text.txt", "tokenizer=byte")
        run = seqgen.load(finished_run)
        draft = {"name": "model", "run": str(other)}
        with pytest.raises(CheckpointError, match="its vocabulary differs from that of the main"):
            run.generate("the ", "speculative", draft=draft)


def test_of_a_run_and_from_a_state(finished_run, run_once):
    run = seqgen.load(finished_run)
    smaller = run_once("data.path=HERE/text.txt", "model.cell.hidden_size=4")
    wanted = run.generate("the cat ", "multinomial", 80, seed=3)
    for draft in ("lookup", "ngram", {"name": "model", "run": str(smaller)}):
        assert run.generate("the cat ", "speculative", 80, seed=3, draft=draft) == wanted
    state = run.state("the cat ")
    found = run.generate("sat ", "speculative", 80, seed=3, state=state)
    assert f"the cat {found}" == run.generate("the cat sat ", "multinomial", 80, seed=3)


def test_a_search_without_a_batch_has_no_draft(load, small):
    here = generator(small)
    one, other = build("ngram", "multinomial", load)
    with torch.inference_mode():
        batch = here.batch(["abcabc"])
        start = here.model.start(batch)
        mine, theirs = (each.decode(here.model, start, Limits(30)) for each in (one, other))
    alike(mine, theirs)
    assert not one.proposed


def test_what_is_watched_is_decoded_without_a_draft(load, small):
    one, other = build("lookup", "multinomial", load)
    counting = Counting()
    alike(found(generator(small), watched(one, counting)), found(generator(small), other))
    assert counting.rows == 4 * 60
    assert not one.proposed
