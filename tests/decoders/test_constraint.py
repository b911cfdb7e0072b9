"""The laws of constraints, for every registered one, and wrapping in turn."""

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
    """Adds its name to what the start carries."""

    def __init__(self, name):
        self.name = name

    def wrap(self, stepper, start, limits, batch):
        return [*stepper, self.name], (*start, batch)


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
def test_something_is_always_possible_and_nothing_is_nan(begin, ends, forbidden):
    """Whatever came before; and what was impossible stays so."""
    limits = Limits(9, ends)
    for log_probs in walk(*begin(range(BATCH), limits, forbidden), random_tokens(8, BATCH)):
        assert log_probs.shape == (BATCH, VOCAB)
        assert log_probs.amax(-1).isfinite().all()
        assert (log_probs <= 1e-6).all()
        assert (log_probs[:, list(forbidden)] == float("-inf")).all()


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


def test_the_first_is_innermost():
    stepper, start = constrain([Noting("a"), Noting("b")], ["model"], (), None, "batch")
    assert stepper == ["model", "a", "b"]
    assert start == ("batch", "batch")


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
