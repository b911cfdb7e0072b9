"""The laws of constraints, for every registered one, and wrapping in turn."""

from itertools import pairwise, permutations

import pytest
import torch

from seqgen.decoders import (
    Constraint,
    Decoder,
    Forbid,
    Limits,
    Start,
    constrain,
    constraints,
    decoders,
)
from seqgen.decoders.scores import DEAD_END
from seqgen.errors import DecodeError
from seqgen.options import OptionError
from seqgen.state import leaves, reorder, repeat

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
