"""The laws of constraints, for every registered one, and the checks of scores and of results."""

import re
import warnings
from itertools import combinations, pairwise, permutations

import pytest
import torch

from seqgen.decoders import (
    AllowedByFunction,
    Constraint,
    Decoder,
    Greedy,
    Hypothesis,
    Limits,
    MinimumLength,
    Tracing,
    WithoutTokens,
    check_scores,
    checked,
    constrain,
    constraints,
    decoders,
    watched,
)
from seqgen.decoders.guards import DEAD_END, unmet
from seqgen.errors import DecodeError, PluginError
from seqgen.state import leaves, reorder, repeat
from seqgen.testing.decoder import TableModel

from .conftest import VOCAB, build, constrained, enumerated, installed, rows_of

SOURCES = 8
LIMITS = Limits(9, (2,))
NAN, INF = float("nan"), float("inf")
# Settings with which a constraint changes nothing (`allowed`: where there is no end token), if
# there are any: `pattern` never lets <unk> through, and `must_contain` always wants something.
NEUTRAL = {
    "minimum_length": {"length": 0},
    "no_repeat_ngram": {"size": 20},
    "repetition_penalty": {"penalty": 1.0},
    "presence_penalty": {"penalty": 0},
    "frequency_penalty": {"penalty": 0.0},
    "sequence_bias": {},
    "forbid": {"texts": []},
    "forced_prefix": {},
    "allowed": {"texts": [""]},
    "language_model": {"run": "other", "weight": 0.0},
    "guidance": {"scale": 1},
    "coverage_penalty": {"beta": 0},
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
        return WithoutTokens(stepper, self.tokens), start


@pytest.fixture
def begin(constraint, deep):
    """A function from sources to the wrapped `deep` and its start."""

    def wrapped(sources):
        start = rows_of(deep.start(SOURCES, torch.arange(SOURCES)), [*sources])
        return constraint.wrap(deep, start, LIMITS, torch.tensor([*sources]))

    return wrapped


def walk(stepper, start, tokens):
    """The scores after each of `tokens`, from the beginning."""
    found = []
    read, state = start.tokens, start.state
    for following in [*tokens, None]:
        log_probs, state = stepper.step(read, state, start.context)
        found.append(log_probs)
        read = following
    return found


def random_tokens(*shape):
    return torch.randint(VOCAB, shape, generator=torch.manual_seed(2))


def test_reordered_rows_go_on_as_if_they_had_begun_there(begin):
    sources = torch.arange(SOURCES)
    stepper, start = begin(sources.tolist())
    tokens, state, context = start[:3]
    paths = torch.empty(SOURCES, 0, dtype=torch.long)
    for step in range(6):
        log_probs, state = stepper.step(tokens, state, context)
        for row, source in enumerate(sources.tolist()):
            alone, begun = begin([source])
            wanted = walk(alone, begun, paths[row].unsqueeze(1))[-1]
            torch.testing.assert_close(log_probs[row], wanted[0], rtol=0, atol=1e-6)
        tokens = random_tokens(6, SOURCES)[step]
        paths = torch.cat([paths, tokens.unsqueeze(1)], 1)
        rows = torch.randint(SOURCES, (SOURCES,), generator=torch.manual_seed(step))
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
def test_neither_other_rows_nor_order_matter(begin, search):
    decoder = build(search)
    wanted = decoder.decode(*begin(range(SOURCES)), LIMITS)
    for sources in ([4], [2, 2, 7], list(range(SOURCES))[::-1]):
        found = decoder.decode(*begin(sources), LIMITS)
        assert found == [wanted[source] for source in sources]


@pytest.mark.parametrize("ends", [(), (2,), (2, 4)])
@pytest.mark.parametrize("forbidden", [(), (0, 1), (2,), (0, 2, 3, 4), (1, 2, 3, 4), (0, 1, 3, 4)])
def test_nothing_is_nan_and_what_was_impossible_stays_so(constraint, deep, ends, forbidden):
    """Whatever came before; where nothing is possible, a dead end is marked."""
    chosen, batch = [Always(forbidden), constraint], torch.arange(SOURCES)
    begun = constrain(chosen, deep, deep.start(SOURCES), Limits(9, ends), batch)
    for log_probs in walk(*begun, random_tokens(8, SOURCES)):
        assert log_probs.shape == (SOURCES, VOCAB)
        best = log_probs.amax(-1)
        assert best.isfinite().all()
        assert (log_probs <= 1e-6).all()
        assert (log_probs[best > DEAD_END][:, list(forbidden)] == -INF).all()
        marked = torch.full((VOCAB,), -INF)
        marked[list(ends) or slice(None)] = DEAD_END
        assert all(torch.equal(row, marked) for row in log_probs[best == DEAD_END])


def test_what_went_in_is_not_touched(begin, deep):
    stepper, start = begin(range(SOURCES))
    tensors = [deep.log_probs, *leaves(start)]
    before = [each.clone() for each in tensors]
    walk(stepper, start, random_tokens(6, SOURCES))
    assert all(map(torch.equal, tensors, before))


@pytest.mark.parametrize("limits", [Limits(9), LIMITS])
@pytest.mark.parametrize("name", NEUTRAL)
def test_a_neutral_setting_changes_nothing(name, deep, supplied, limits):
    if name == "allowed" and limits.ends:
        pytest.skip("only the texts of the list are possible there")
    neutral = constraints.build({"name": name, **NEUTRAL[name]}, **supplied)
    start, tokens = deep.start(SOURCES), random_tokens(8, SOURCES)
    stepper, begun = neutral.wrap(deep, start, limits, torch.arange(SOURCES))
    for found, plain in zip(walk(stepper, begun, tokens), walk(deep, start, tokens), strict=True):
        assert torch.equal(found, plain)


def test_no_room_and_no_sources(constraint, deep):
    assert isinstance(constraint, Constraint)
    for start, limits in ((deep.start(SOURCES), Limits(0)), (deep.start(0), LIMITS)):
        batch = torch.arange(len(start.tokens))
        found = Greedy().decode(*constraint.wrap(deep, start, limits, batch), limits)
        assert [each.tokens for [each] in found] == [()] * len(start.tokens)


def test_the_first_is_innermost_and_all_see_the_batch(deep):
    seen = []
    chosen = [Noting("a", seen), Noting("b", seen)]
    stepper, start = constrain(chosen, deep, deep.start(2), LIMITS, "batch")
    assert seen == [("a", "batch"), ("b", "batch")]
    stepper.step(*start[:3])
    assert seen[2:] == ["b steps", "a steps"]


def test_without_constraints_nothing_is_wrapped():
    stepper, start = object(), object()
    assert constrain((), stepper, start, None) == (stepper, start)


@pytest.mark.parametrize("fault", [NAN, INF, -INF])
def test_a_model_without_scores_is_no_dead_end(decoder, table, fault):
    """Nor does it help that the constraint forbids what has the fault."""
    table.log_probs[3] = fault
    with pytest.raises(DecodeError, match="row 3 at step 1 have"):
        constrained(decoder, [Always([0])], table, table.start(SOURCES), LIMITS)


# Several constraints at once, against all sequences that satisfy them.
SETTINGS = {
    "minimum_length": {"length": 3},
    "no_repeat_ngram": {"size": 2},
    "repetition_penalty": {"penalty": 2.0},
    "presence_penalty": {"penalty": 0.7, "window": 2},
    "frequency_penalty": {"penalty": 0.4},
    "sequence_bias": {"texts": {"10": -2.0, "4": -0.3}, "tokens": {1: -0.5}},
    "forbid": {"texts": ["101", "14", "3"]},
    "forced_prefix": {"text": "10"},
    "allowed": {"texts": ["0140", "0", "44", "101", "1010"]},
    "must_contain": {"texts": ["01", "4"]},
    "pattern": {"regex": "(10|1*4)*0?"},
    "language_model": {"run": "other"},
    "guidance": {"scale": 2},
    "coverage_penalty": {"beta": 0.5},
    "ensemble": {"runs": ["other"]},
}
NORMALISING = {"guidance"}
"""What these make of the scores depends on which tokens are possible."""


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
    "must_contain": lambda text, ended: "01" in text and "4" in text,
    "pattern": lambda text, ended: re.fullmatch(SETTINGS["pattern"]["regex"], text) is not None,
}
THAT_MISS_NOTHING = [{"name": "beam", "beam_size": VOCAB**3}, {"name": "exact", "max_nodes": 10**5}]


@pytest.fixture
def satisfying(deep, supplied):
    """A function: the sequences of each of 2 sources that satisfy all, with their scores."""
    known = {}

    def scored(names, limits):
        """Those that change scores by another model or by the past, in their order."""
        if names not in known:
            chosen = [constraints.build({"name": n, **SETTINGS[n]}, **supplied) for n in names]
            known[names] = []
            for row in range(2):
                start = rows_of(deep.start(2, torch.arange(2)), [row])
                begun = constrain([Always([]), *chosen], deep, start, limits, torch.tensor([row]))
                every = enumerated(*begun, limits).items()
                known[names].append({tokens: sum(given) for tokens, given in every})
        return known[names]

    def all_of(names, limits):
        rules = [HOLDS[name] for name in names if name in HOLDS]

        def satisfied(tokens):
            text = "".join(str(token) for token in tokens if token not in limits.ends)
            return all(rule(text, bool(limits.ends)) for rule in rules)

        # What forbids tokens changes no other scores, but for those that are normalised again.
        others = tuple(name for name in names if name not in HOLDS or NORMALISING & {*names})
        return [
            {tokens: score for tokens, score in every.items() if satisfied(tokens)}
            for every in scored(others, limits)
        ]

    return all_of


def require_satisfying(found, wanted, best):
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
    """Pairs in both orders, and by five decoders in turn and two searches that miss nothing; some
    threes by greedy and by a wide beam."""
    limits, sources = Limits(4, ends), torch.arange(2)
    greedy, *rest = (build(small(decoders, n)) for n in ("greedy", *decoders.names()))
    wide, exact = map(build, THAT_MISS_NOTHING)
    built = {
        name: constraints.build({"name": name, **SETTINGS[name]}, **supplied)
        for name in installed(constraints.names())
    }
    satisfied = set()

    def require(names, *searches):
        start = deep.start(2, sources)
        begun = constrain([built[name] for name in names], deep, start, limits, sources)
        wanted = satisfying(names, limits)
        for search in searches:
            found = search.decode(*begun, limits)
            require_satisfying(found, wanted, search in (wide, exact))
            satisfied.update(each.satisfied for own in found for each in own)

    for names in permutations(built, 2):
        require(names, greedy)
    for place, names in enumerate(combinations(built, 2)):
        some = (rest * 2)[place % len(rest) :][:5]
        require(names, *some, wide, exact)
    for place, names in enumerate([*combinations(built, 3)][::7]):
        turned = names[place % 3 :] + names[: place % 3]
        require(turned, greedy, wide)
    assert satisfied == {True, False}


@pytest.mark.parametrize(
    ("most", "wanted", "says"),
    [
        (3, [False, False], ""),
        (2, [True, True], "minimum_length needs at least 3 tokens, but max_length is 2"),
        ((3, 2), [False, True], "minimum_length needs more tokens than some outputs may have"),
    ],
)
def test_too_little_room_for_a_constraint_is_said(deep, most, wanted, says):
    with warnings.catch_warnings(action="always", record=True) as caught:
        assert unmet([MinimumLength(3)], deep.start(2), Limits(most), None).tolist() == wanted
    assert [str(each.message) for each in caught] == [f"the constraint {says}"] * bool(says)


# The check that a token can be chosen from scores.
@pytest.mark.parametrize(
    "row", [[0.0, -1.0, -2.0], [-INF, -3.0, -INF], [1e30, 0.0, -1e30], [-1e-30, -INF, -INF]]
)
def test_one_possible_token_is_enough(row):
    rows = torch.tensor([row, [-INF, DEAD_END, -INF], row])
    assert check_scores(rows, torch.arange(3), 0).tolist() == [True, False, True]


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
    scores, sources = torch.zeros(3, 3), torch.tensor([4, 7, 9])
    scores[index] = torch.tensor(row)
    with pytest.raises(DecodeError) as caught:
        check_scores(scores, sources, 11)
    assert str(caught.value) == (
        f"the model's scores for row {int(sources[index])} at step 12 have {what}; "
        "no token can be chosen from them"
    )


# What is said of a decoder from a plugin that breaks its contract.
SHORT = Limits(3, (2,))
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
    return checked(Foreign(found), 5).decode(model, model.start(2), SHORT)


def test_ours_are_left_alone_and_right_ones_find_the_same():
    greedy = Greedy()
    assert checked(greedy, 5) is greedy
    for found in ([[RIGHT], [RIGHT, RIGHT]], [[Hypothesis((), 0, False)]] * 2):
        assert search(found) == found
    lost = RIGHT._replace(satisfied=False)
    assert search([[lost, lost], [lost, RIGHT, RIGHT]]) == [[lost], [RIGHT, RIGHT]]


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
        ([[Hypothesis((3,) * 4, 0, False, (0,) * 4)]] * 2, "has 4 tokens where `max_length` is 3"),
        ([[RIGHT], [RIGHT._replace(tokens=(2, 3))]], "a sequence goes on after its end token"),
        ([[RIGHT._replace(log_probs=())]] * 2, "must have a number for each of `tokens`"),
        ([[RIGHT._replace(score=float("nan"))]] * 2, "must be plain numbers, and none is NaN"),
        ([[RIGHT._replace(rank=float("nan"))]] * 2, "must be plain numbers, and none is NaN"),
        (KeyError("oops"), "`decode` raised KeyError: 'oops' (seqgen check "),
        (ValueError("one\ntwo"), "`decode` raised ValueError: one two (seqgen check "),
    ],
)  # fmt: skip
def test_a_breach_is_named_with_the_place(found, fault):
    with pytest.raises(PluginError, match=re.escape(fault)) as caught:
        search(found)
    assert re.match(r"the decoder Foreign \(.*test_guards.py:\d+\): ", str(caught.value))
    assert "\n" not in str(caught.value)


def test_errors_of_ours_stay_what_they_are():
    with pytest.raises(DecodeError, match="no number"):
        search(DecodeError("no number"))


def test_its_constraints_are_those_of_the_decoder():
    foreign, tracing = Foreign([[RIGHT], [RIGHT]]), Tracing()
    foreign.constraints = (MinimumLength(1),)
    safe = checked(watched(foreign, tracing), 5)
    assert safe.draws is foreign.draws is RIGHT.complete is True  # where it does not say so
    model = TableModel()
    assert constrained(safe, safe.constraints, model, model.start(2), SHORT) == foreign.found
    [trace] = tracing.traces
    with pytest.raises(PluginError, match=r"the token \d at place 0, but took no step from there"):
        trace.ends(0, [RIGHT])


class ForeignGreedy(Decoder):
    """Follows the best token as one from a plugin may: it knows of no dead ends."""

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
def test_where_constraints_leave_nothing_one_from_a_plugin_ends_as_ours_do(length):
    model, limits = TableModel(), Limits(4, (2,))
    until = AllowedByFunction(lambda tokens: [1, 3, 4] if len(tokens) < length else [])
    begun = constrain([until], model, model.start(3), limits)
    found = checked(ForeignGreedy(), 5).decode(*begun, limits)
    for [one], [ours] in zip(found, Greedy().decode(*begun, limits), strict=True):
        assert one.tokens == ours.tokens
        assert one.score == pytest.approx(ours.score)
        assert len(one.tokens) == length
        assert (one.finished, one.satisfied) == (False, length == 4)
        assert (ours.finished, ours.satisfied) == (False, length == 4)
