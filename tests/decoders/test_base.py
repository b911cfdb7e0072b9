"""The laws of constraints, for every registered one, and wrapping in turn."""

import re
from itertools import pairwise, permutations

import pytest
import torch

from seqgen.decoders import (
    AllowedBy,
    Constraint,
    Decoder,
    Forbid,
    Greedy,
    Hypothesis,
    Limits,
    MinimumLength,
    Start,
    Traced,
    constrain,
    constraints,
    decoders,
    held,
    watched,
)
from seqgen.decoders.base import DEAD_END, check_scores
from seqgen.errors import DecodeError, PluginError
from seqgen.options import OptionError
from seqgen.state import leaves, reorder, repeat
from seqgen.testing.decoder import TableModel

BATCH, VOCAB = 8, 5
LIMITS = Limits(9, (2,))
# Settings with which a constraint changes nothing (`allowed`: where there is no end token).
NEUTRAL = {
    "minimum_length": {"length": 0},
    "no_repeat_ngram": {"size": 20},
    "repetition_penalty": {"penalty": 1.0},
    "forbid": {"texts": []},
    "forced_prefix": {},
    "allowed": {"texts": [""]},
    "language_model": {"run": "other", "weight": 0.0},
    "ensemble": {"runs": []},
}


class Noting(Constraint):
    """Notes when it is called."""

    def __init__(self, name, seen):
        self.name = name
        self.seen = seen

    def wrap(self, stepper, start, limits, batch):
        self.seen.append((self.name, batch))
        self.inner = stepper
        return self, start

    def step(self, tokens, state, context):
        self.seen.append(f"{self.name} steps")
        return self.inner.step(tokens, state, context)


class Always(Constraint):
    """Forbids some tokens at every step."""

    def __init__(self, tokens):
        self.tokens = tokens

    def wrap(self, stepper, start, limits, batch):
        return Forbid(stepper, self.tokens), start


@pytest.fixture(params=constraints.names())
def name(request):
    return request.param


@pytest.fixture
def constraint(name, small, supplied):
    return constraints.build(small(constraints, name), **supplied)


@pytest.fixture
def begin(constraint, deep):
    """A function from sources and limits to the wrapped `deep` and its start."""

    def wrapped(sources, limits=LIMITS, tokens=()):
        sources = torch.tensor(sources)
        whole = deep.start(BATCH, torch.arange(BATCH))
        start = Start(*(each[sources] for each in whole))
        return constraint.wrap(Forbid(deep, tokens), start, limits, sources)

    return wrapped


def walk(stepper, start, tokens):
    """The scores behind each of `tokens`, from the beginning."""
    found = []
    read, state = start.tokens, start.state
    for following in [*tokens, None]:
        log_probs, state = stepper.step(read, state, start.context)
        found.append(log_probs)
        read = following
    return found


def random_tokens(*shape):
    return torch.randint(VOCAB, shape, generator=torch.manual_seed(2))


def test_it_is_a_constraint(constraint):
    assert isinstance(constraint, Constraint)


def test_moving_rows_about_is_the_same_as_beginning_again(begin):
    sources = torch.arange(BATCH)
    stepper, start = begin(sources.tolist())
    tokens, state, context = start[:3]
    paths = torch.empty(BATCH, 0, dtype=torch.long)
    for step in range(6):
        log_probs, state = stepper.step(tokens, state, context)
        for row, source in enumerate(sources.tolist()):
            alone, begun = begin([source])
            wanted = walk(alone, begun, paths[row].unsqueeze(1))[-1]
            torch.testing.assert_close(log_probs[row], wanted[0], rtol=0, atol=1e-6)
        tokens = random_tokens(6, BATCH)[step]
        paths = torch.cat([paths, tokens.unsqueeze(1)], 1)
        rows = torch.randint(BATCH, (BATCH,), generator=torch.manual_seed(step))
        sources, paths, tokens, state, context = reorder(
            (sources, paths, tokens, state, context), rows
        )


def test_several_paths_of_a_source_do_not_know_one_another(begin):
    stepper, start = begin([3, 0, 5])
    tokens = random_tokens(6, 3 * 4)
    paths = start._replace(tokens=repeat(start.tokens, 4), state=repeat(start.state, 4))
    wanted = walk(stepper, paths._replace(context=repeat(start.context, 4)), tokens)
    for found, apart in zip(walk(stepper, paths, tokens), wanted, strict=True):
        assert torch.equal(found, apart)


@pytest.mark.parametrize("search", ["greedy", "multinomial", "beam"])
def test_neither_neighbours_nor_order_matter(begin, search):
    decoder = decoders.build(search, seed=3, vocab_size=VOCAB)
    wanted = decoder.decode(*begin(range(BATCH)), LIMITS)
    for sources in ([4], [2, 2, 7], list(range(BATCH))[::-1]):
        found = decoder.decode(*begin(sources), LIMITS)
        assert found == [wanted[source] for source in sources]


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
@pytest.mark.parametrize("forbidden", [(), (0, 1), (2,), (0, 2, 3, 4), (1, 2, 3, 4), (0, 1, 3, 4)])
def test_nothing_is_nan_and_what_was_impossible_stays_so(constraint, deep, ends, forbidden):
    """Whatever came before; where nothing is possible, a dead end is marked."""
    limits = Limits(9, ends)
    begun = constrain(
        [Always(forbidden), constraint], deep, deep.start(BATCH), limits, torch.arange(BATCH)
    )
    for log_probs in walk(*begun, random_tokens(8, BATCH)):
        assert log_probs.shape == (BATCH, VOCAB)
        best = log_probs.amax(-1)
        assert best.isfinite().all()
        assert (log_probs <= 1e-6).all()
        assert (log_probs[best > DEAD_END][:, list(forbidden)] == float("-inf")).all()
        marked = torch.full((VOCAB,), float("-inf"))
        marked[list(ends) or slice(None)] = DEAD_END
        assert all(torch.equal(row, marked) for row in log_probs[best == DEAD_END])


def test_what_went_in_is_not_touched(begin, deep):
    stepper, start = begin(range(BATCH))
    tensors = [deep.log_probs, *leaves(start)]
    before = [each.clone() for each in tensors]
    walk(stepper, start, random_tokens(6, BATCH))
    assert all(map(torch.equal, tensors, before))


@pytest.mark.parametrize("limits", [Limits(9), LIMITS])
def test_a_neutral_setting_changes_nothing(name, deep, supplied, limits):
    if name == "allowed" and limits.ends:
        pytest.skip("only the texts of the list are possible there")
    neutral = constraints.build({"name": name, **NEUTRAL[name]}, **supplied)
    start, tokens = deep.start(BATCH), random_tokens(8, BATCH)
    stepper, begun = neutral.wrap(deep, start, limits, torch.arange(BATCH))
    for found, plain in zip(walk(stepper, begun, tokens), walk(deep, start, tokens), strict=True):
        assert torch.equal(found, plain)


def test_no_room_and_no_sources(constraint, deep):
    for start, limits in ((deep.start(BATCH), Limits(0)), (deep.start(0), LIMITS)):
        batch = torch.arange(len(start.tokens))
        stepper, begun = constraint.wrap(deep, start, limits, batch)
        found = decoders.build("greedy").decode(stepper, begun, limits)
        assert [each.tokens for [each] in found] == [()] * len(start.tokens)


def test_all_of_them_at_once(deep, small, supplied):
    every = [
        constraints.build(small(constraints, each), **supplied) for each in constraints.names()
    ]
    stepper, start = constrain(every, deep, deep.start(BATCH), LIMITS, torch.arange(BATCH))
    for log_probs in walk(stepper, start, random_tokens(8, BATCH)):
        assert log_probs.amax(-1).isfinite().all()


def test_the_first_is_innermost_and_all_see_the_batch(deep):
    seen = []
    chosen = [Noting("a", seen), Noting("b", seen)]
    stepper, start = constrain(chosen, deep, deep.start(2), LIMITS, "batch")
    assert seen == [("a", "batch"), ("b", "batch")]
    stepper.step(*start[:3])
    assert seen[2:] == ["b steps", "a steps"]


@pytest.mark.parametrize("fault", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("search", decoders.names())
def test_a_model_without_scores_is_no_dead_end(small, table, fault, search):
    """Nor does it help that the constraint forbids what has the fault."""
    table.log_probs[3] = fault
    decoder = decoders.build(small(decoders, search), seed=3, vocab_size=VOCAB)
    begun = constrain([Always([0])], table, table.start(BATCH), LIMITS)
    with pytest.raises(DecodeError, match="row 3 at step 1 have"):
        decoder.decode(*begun, LIMITS)


SETTINGS = {
    "minimum_length": {"length": 3},
    "no_repeat_ngram": {"size": 2},
    "repetition_penalty": {"penalty": 2.0},
    "forbid": {"texts": ["101", "14", "3"]},
    "forced_prefix": {"text": "10"},
    "allowed": {"texts": ["0140", "0", "44", "101", "1010"]},
    "language_model": {"run": "other"},
    "ensemble": {"runs": ["other"]},
}


def allowed(text, ended):
    texts = SETTINGS["allowed"]["texts"]
    return text in texts if ended else any(map(text.startswith, texts))


# What each says of a text, `ended` where there are end tokens; the others change scores only.
HOLDS = {
    "minimum_length": lambda text, ended: len(text) >= 3,
    "no_repeat_ngram": lambda text, ended: len({*pairwise(text)}) == max(len(text) - 1, 0),
    "forbid": lambda text, ended: not any(each in text for each in ("101", "14", "3")),
    "forced_prefix": lambda text, ended: text.startswith("10"),
    "allowed": allowed,
}
THAT_MISS_NOTHING = {
    ("beam", "wide"): {"name": "beam", "beam_size": VOCAB**3},
    ("exact", "sure"): {"name": "exact", "max_nodes": 10**5},
}


def every_sequence(stepper, start, limits):
    """All sequences of a source with their scores, by reading all of them."""
    paths, over = [((), 0.0)], {}
    tokens, state, context = start[:3]
    for length in range(1, limits.max_length + 1):
        log_probs, state = stepper.step(tokens, state, context)
        grown = [
            (row, (*path, token), score + each)
            for row, (path, score) in enumerate(paths)
            for token, each in enumerate(log_probs[row].tolist())
        ]
        live = [each for each in grown if each[1][-1] not in limits.ends]
        over |= {path: score for _, path, score in grown if path[-1] in limits.ends}
        paths = [(path, score) for _, path, score in live]
        state = reorder(state, torch.tensor([row for row, *_ in live]))
        tokens = torch.tensor([path[-1] for path, _ in paths])
        if length == limits.max_length:
            over |= dict(paths)
    return over


@pytest.fixture
def satisfying(deep, supplied):
    """A function: the sequences of each of 2 sources that satisfy all, with their scores."""
    known = {}

    def scored(names, limits):
        """Those that change scores by another model or by the past, in their order."""
        if (names, limits) not in known:
            chosen = [constraints.build({"name": n, **SETTINGS[n]}, **supplied) for n in names]
            start = deep.start(2, torch.arange(2))
            known[names, limits] = [
                every_sequence(
                    *constrain(
                        [Always([]), *chosen],
                        deep,
                        Start(*(each[row : row + 1] for each in start)),
                        limits,
                        torch.tensor([row]),
                    ),
                    limits,
                )
                for row in range(2)
            ]
        return known[names, limits]

    def all_of(names, limits):
        rules = [HOLDS[name] for name in names if name in HOLDS]
        others = tuple(name for name in names if name not in HOLDS)
        return [
            {
                tokens: score
                for tokens, score in every.items()
                if all(rule(text_of(tokens, limits), bool(limits.ends)) for rule in rules)
            }
            for every in scored(others, limits)
        ]

    return all_of


def text_of(tokens, limits):
    return "".join(str(token) for token in tokens if token not in limits.ends)


def check(found, wanted, best=False):
    """Against all sequences that satisfy the constraints, with their scores."""
    for own, those in zip(found, wanted, strict=True):
        for each in own:
            if each.satisfied:
                assert each.score == pytest.approx(those[each.tokens], abs=1e-4)
            else:
                assert len(own) == 1
                assert not each.finished
                size = len(each.tokens)
                assert not any(tokens[:size] == each.tokens for tokens in those)
        if best and those:
            assert own[0].score == pytest.approx(max(those.values()), abs=1e-4)


@pytest.mark.parametrize("ends", [(), (2,)])
def test_of_several_all_hold_in_any_order(deep, small, supplied, satisfying, ends):
    """For pairs by every decoder, for threes by greedy, and by a search that misses nothing."""
    limits, satisfied = Limits(4, ends), set()
    known = {(name,): small(decoders, name) for name in decoders.names()}
    made = {
        name: decoders.build(spec, seed=3, vocab_size=VOCAB)
        for name, spec in (known | THAT_MISS_NOTHING).items()
    }
    built = {
        name: constraints.build({"name": name, **SETTINGS[name]}, **supplied)
        for name in constraints.names()
    }
    for several in (2, 3):
        for names in permutations(built, several):
            chosen, sources = [built[name] for name in names], torch.arange(2)
            begun = constrain(chosen, deep, deep.start(2, sources), limits, sources)
            wanted = satisfying(names, limits)
            searches = made if several == 2 else [("greedy",)]
            if several == 3 and sorted(names) == [*names]:
                searches = [("greedy",), ("beam", "wide")]
            for search in searches:
                found = made[search].decode(*begun, limits)
                check(found, wanted, search in THAT_MISS_NOTHING)
                satisfied |= {each.satisfied for own in found for each in own}
    assert satisfied == {True, False}


def test_without_constraints_nothing_is_wrapped():
    stepper, start = object(), object()
    assert constrain((), stepper, start, None) == (stepper, start)


@pytest.mark.parametrize("decoder", decoders.names())
def test_every_decoder_has_the_option(decoder):
    assert "constraints" in decoders.entry(decoder).options
    assert Decoder.constraints == ()


def test_a_constraint_that_is_not_there_is_named():
    with pytest.raises(OptionError, match="no constraint named 'nothing'") as caught:
        decoders.check({"name": "greedy", "constraints": ["nothing"]})
    assert caught.value.path == ("constraints", 0)


def test_the_registry_has_its_own_room():
    assert constraints.room == "constraints"


# The laws of decoders, for every registered one, and the limits of a search.


VOCAB_BASE, BATCH_BASE = 5, 12


@pytest.fixture(params=decoders.names())
def decoder(request, small):
    return decoders.build(small(decoders, request.param), seed=3, vocab_size=VOCAB_BASE)


def all_of(found):
    return [(i, hypothesis) for i, each in enumerate(found) for hypothesis in each]


def test_is_a_decoder(decoder):
    assert isinstance(decoder, Decoder)


@pytest.mark.parametrize("ends", [(), (2,), (2, 4), (0, 1, 2, 3, 4), (0,)])
@pytest.mark.parametrize("max_length", [0, 1, 2, 7])
def test_a_sequence_ends_with_its_first_end_token_or_at_the_limit(decoder, deep, ends, max_length):
    found = decoder.decode(deep, deep.start(BATCH_BASE), Limits(max_length, ends))
    assert len(found) == BATCH_BASE
    assert all(found)
    for _, each in all_of(found):
        assert len(each.tokens) == len(each.log_probs) <= max_length
        assert not set(each.tokens[:-1]) & set(ends)
        assert each.finished == bool(set(each.tokens[-1:]) & set(ends))
        assert each.finished or len(each.tokens) == max_length


def test_the_score_is_what_the_stepper_gives_to_the_sequence_read_alone(decoder, deep):
    start = deep.start(BATCH_BASE)
    for source, each in all_of(decoder.decode(deep, start, Limits(7, (2, 4)))):
        wanted = deep.rescore(start, source, each.tokens)
        assert each.log_probs == pytest.approx(wanted, abs=1e-5)
        assert each.score == pytest.approx(sum(each.log_probs), abs=1e-9)
        assert all(map(int.__instancecheck__, each.tokens))


def test_the_best_comes_first(decoder, deep):
    for each in decoder.decode(deep, deep.start(BATCH_BASE), Limits(7, (2,))):
        ranks = [one.score if one.rank is None else one.rank for one in each]
        assert ranks == sorted(ranks, reverse=True)


def test_no_sequence_comes_twice(decoder, deep):
    for each in decoder.decode(deep, deep.start(BATCH_BASE), Limits(7, (2, 4))):
        assert len({one.tokens for one in each}) == len(each)


def test_no_length_is_nothing_at_all(decoder, deep):
    for _, each in all_of(decoder.decode(deep, deep.start(BATCH_BASE), Limits(0, (2,)))):
        assert each[:4] == ((), 0.0, False, ())
    assert deep.seen == []


def test_each_source_may_have_its_own_length(decoder, deep):
    lengths = [0, 3, 1, 0, 8, 2, 5, 5, 1, 0, 4, 7]
    start = deep.start(BATCH_BASE, torch.arange(BATCH_BASE))
    found = decoder.decode(deep, start, Limits(lengths))
    assert [len(each[0].tokens) for each in found] == lengths
    for length in set(lengths):
        other = decoder.decode(deep, start, Limits(length))
        same = [i for i in range(BATCH_BASE) if lengths[i] == length]
        assert [found[i] for i in same] == [other[i] for i in same]


def test_what_never_ends_costs_no_more_than_the_limit(decoder, table):
    endless = Forbid(table, [2])
    found = decoder.decode(endless, table.start(BATCH_BASE), Limits(50, (2,)))
    assert len(table.seen) <= 50
    assert not any(each.finished for _, each in all_of(found))


def test_forbidden_tokens_never_come(decoder, deep):
    found = decoder.decode(Forbid(deep, [0, 3]), deep.start(BATCH_BASE), Limits(9, (2,)))
    assert not {token for _, each in all_of(found) for token in each.tokens} & {0, 3}


def test_a_sequence_depends_on_its_source_and_its_number_alone(decoder, deep):
    """Not on the size of the batch, its order or the neighbours; exactly."""
    numbers = torch.tensor([5, 0, 2**40, 7, 1, 2, 99, 3, 2**32, 6, 4, 8])
    whole = deep.start(BATCH_BASE, numbers)
    wanted = decoder.decode(deep, whole, Limits(9, (2,)))
    for rows in ([4], [4, 4, 4], [0, 1, 2], list(range(BATCH_BASE))[::-1], [11, 3, 7, 0, 5]):
        here = torch.tensor(rows)
        part = Start(*(each[here] for each in whole))
        assert decoder.decode(deep, part, Limits(9, (2,))) == [wanted[row] for row in rows]


def test_a_nested_state_moves_as_a_whole(decoder, deep):
    class Nested:
        def step(self, tokens, state, context):
            history, (copy, nothing) = state
            assert torch.equal(history, copy[:, 0])
            log_probs, history = deep.step(tokens, history, context[0])
            return log_probs, (history, (history.unsqueeze(1), nothing))

    start, limits = deep.start(BATCH_BASE), Limits(6, (2,))
    state = (start.state, (start.state.unsqueeze(1), None))
    nested = Start(start.tokens, state, (start.context, None))
    assert decoder.decode(Nested(), nested, limits) == decoder.decode(deep, start, limits)


def test_decoding_twice_is_the_same_twice(decoder, deep):
    found = [decoder.decode(deep, deep.start(BATCH_BASE), Limits(9, (2,))) for _ in range(2)]
    assert found[0] == found[1]


def test_no_sources_no_sequences(decoder, deep):
    assert decoder.decode(deep, deep.start(0), Limits(5, (2,))) == []


@pytest.mark.parametrize("fault", [float("nan"), float("inf")])
@pytest.mark.parametrize("token", [0, 2, 4])
def test_nan_and_infinite_scores_are_refused(decoder, table, fault, token):
    table.log_probs[3, token] = fault
    with pytest.raises(DecodeError, match=r"for row 3 at step 1 .*; no token can be chosen"):
        decoder.decode(table, table.start(BATCH_BASE), Limits(5, (2,)))


def test_scores_without_any_possible_token_are_refused(decoder, table):
    table.log_probs[3] = float("-inf")
    with pytest.raises(DecodeError, match="row 3 at step 1 have -inf as the best score"):
        decoder.decode(table, table.start(BATCH_BASE), Limits(5, (2,)))
    assert decoder.decode(table, table.start(3), Limits(0, (2,)))


def test_a_watched_decoder_has_one_constraint_more_and_leaves_the_other(decoder):
    own, watching = MinimumLength(1), MinimumLength(2)
    decoder.constraints = (own,)
    copied = watched(decoder, watching)
    assert copied.constraints == (own, watching)
    assert decoder.constraints == (own,)
    assert type(copied) is type(decoder)


class TestLimits:
    def test_one_length_is_for_all(self, table):
        assert Limits(4).lengths(table.start(3)).tolist() == [4, 4, 4]

    def test_or_one_for_each(self, table):
        assert Limits((1, 0, 7)).lengths(table.start(3)).tolist() == [1, 0, 7]

    @pytest.mark.parametrize("lengths", [[], [1, 2], [1, 2, 3, 4]])
    def test_another_number_of_lengths_is_refused(self, table, lengths):
        message = f"`max_length` must have 3 numbers, but has {len(lengths)}"
        with pytest.raises(ValueError, match=message):
            Limits(lengths).lengths(table.start(3))


# The check that a token can be chosen from scores.


NAN, INF = float("nan"), float("inf")
SOURCES = torch.tensor([4, 7, 9])


@pytest.mark.parametrize(
    "row", [[0.0, -1.0, -2.0], [-INF, -3.0, -INF], [1e30, 0.0, -1e30], [-1e-30, -INF, -INF]]
)
def test_one_possible_token_is_enough(row):
    scores = torch.tensor([row] * 3)
    assert check_scores(scores, SOURCES, 0) is None


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ([NAN, 0.0, -1.0], "NaN"),
        ([-INF, -INF, NAN], "NaN"),
        ([INF, NAN, 0.0], "NaN"),
        ([0.0, INF, 0.0], "inf as the best score"),
        ([-INF, -INF, -INF], "-inf as the best score"),
    ],
)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_fault_is_named_by_source_step_and_kind(row, what, index):
    scores = torch.zeros(3, 3)
    scores[index] = torch.tensor(row)
    with pytest.raises(DecodeError) as caught:
        check_scores(scores, SOURCES, 11)
    assert str(caught.value) == (
        f"the model's scores for row {int(SOURCES[index])} at step 12 have {what}; "
        "no token can be chosen from them"
    )


# What is said of a decoder from outside that breaks its contract, and of ours nothing.


LIMITS_HELD = Limits(3, (2,))
RIGHT = Hypothesis((3, 2), -1.0, True, (-0.5, -0.5))


class Foreign(Decoder):
    """Returns what it is given, or raises it."""

    def __init__(self, found):
        self.found = found

    def decode(self, stepper, start, limits):
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


def search(found):
    model = TableModel()
    return held(Foreign(found), 5).decode(model, model.start(2), LIMITS_HELD)


def test_ours_are_left_alone_and_right_ones_find_the_same():
    greedy = Greedy()
    assert held(greedy, 5) is greedy
    assert search([[RIGHT], [RIGHT, RIGHT]]) == [[RIGHT], [RIGHT, RIGHT]]
    assert search([[Hypothesis((), 0, False)]] * 2) == [[Hypothesis((), 0, False)]] * 2


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        ([], "must return a list with an entry for each of 2 sources, but returned a list of 0"),
        (None, "must return a list with an entry for each of 2 sources, but returned a NoneType"),
        ([[], [RIGHT]], "each source must have a list of at least one Hypothesis"),
        ([RIGHT, RIGHT], "each source must have a list of at least one Hypothesis"),
        ([[RIGHT], [(3, 2)]], "each result must be a Hypothesis, but one is a tuple"),
        ([[RIGHT._replace(tokens=(3, 5))]] * 2, "must be a tuple of int below vocab_size"),
        ([[RIGHT._replace(tokens=(-1, 2))]] * 2, "must be a tuple of int below vocab_size"),
        ([[RIGHT._replace(tokens=(3,) * 4)]] * 2, "has 4 tokens where `max_length` is 3"),
        ([[RIGHT._replace(tokens=(2, 3))]] * 2, "a sequence goes on behind its end token"),
        ([[RIGHT._replace(log_probs=())]] * 2, "must have a number for each of `tokens`"),
        ([[RIGHT._replace(score=float("nan"))]] * 2, "must be plain numbers, and none is NaN"),
        (KeyError("oops"), "`decode` raised KeyError: 'oops' (seqgen check "),
        (ValueError("one\ntwo"), "`decode` raised ValueError: one two (seqgen check "),
    ],
)  # fmt: skip
def test_a_breach_is_told_with_the_place(found, fault):
    with pytest.raises(PluginError, match=re.escape(fault)) as caught:
        search(found)
    assert re.match(r"the decoder Foreign \(.*test_held.py:\d+\): ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_errors_of_ours_stay_what_they_are():
    with pytest.raises(DecodeError, match="no number"):
        search(DecodeError("no number"))


def test_its_constraints_are_those_of_the_decoder():
    foreign = Foreign([[RIGHT], [RIGHT]])
    foreign.constraints = (MinimumLength(1),)
    traced = Traced()
    safe = held(watched(foreign, traced), 5)
    model = TableModel()
    stepper, start = constrain(safe.constraints, model, model.start(2), LIMITS_HELD)
    assert safe.decode(stepper, start, LIMITS_HELD) == foreign.found
    [trace] = traced.traces
    with pytest.raises(PluginError, match=r"the token \d at place 0, but took no step from there"):
        trace.ends(0, [RIGHT])


class ForeignGreedy(Decoder):
    """Follows the best token as one from outside may: it knows of no dead ends."""

    def decode(self, stepper, start, limits):
        tokens, state, context = start[:3]
        taken, given = [], []
        for step in range(limits.max_length):
            log_probs, state = stepper.step(tokens, state, context)
            check_scores(log_probs, torch.arange(len(tokens)), step)
            best, tokens = log_probs.max(-1)
            taken.append(tokens.tolist())
            given.append(best.tolist())
        found = []
        for own, log_probs in zip(zip(*taken, strict=True), zip(*given, strict=True), strict=True):
            size = own.index(2) + 1 if 2 in own else len(own)
            score = sum(log_probs[:size])
            found.append([Hypothesis(own[:size], score, 2 in own, log_probs[:size])])
        return found


@pytest.mark.parametrize("length", [0, 1, 2, 4])
def test_where_constraints_leave_nothing_one_from_outside_ends_as_ours_do(length):
    model = TableModel()
    until = AllowedBy(lambda tokens: [1, 3, 4] if len(tokens) < length else [])
    limits = Limits(4, (2,))
    begun = constrain([until], model, model.start(3), limits)
    found = held(ForeignGreedy(), 5).decode(*begun, limits)
    for [one], [ours] in zip(found, Greedy().decode(*begun, limits), strict=True):
        assert one.tokens == ours.tokens
        assert one.score == pytest.approx(ours.score)
        assert len(one.tokens) == length
        assert (one.finished, one.satisfied) == (False, length == 4) == ours[2:3] + ours[-1:]
