"""The laws of attentions, for every registered one, and each against its formula."""

import pytest
import torch

from seqgen.attentions import Attention, DotAttention, NoAttention, attentions
from seqgen.state import real

LENGTHS = (3, 0, 1, 5)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


class Scene:
    """What an attention is given: `[4, 2, 4]` queries and `[4, 5, 4]` memory, zero in padding."""

    def __init__(self, lengths=LENGTHS, source_time=5, time=2):
        draw, rows = torch.Generator().manual_seed(3), len(lengths)
        self.queries = torch.randn(rows, time, 4, generator=draw).requires_grad_()
        self.mask = real(torch.tensor(lengths, dtype=torch.long), source_time)
        memory = 2 * torch.randn(rows, source_time, 4, generator=draw)
        self.memory = memory.masked_fill(~self.mask.unsqueeze(2), 0).requires_grad_()

    def read(self, attention):
        """What the attention makes of it: what is read, and the weights."""
        return attention(self.queries, attention.keys(self.memory), self.memory, self.mask)


@pytest.fixture
def scene():
    return Scene()


def build(name, query_size=4, memory_size=4, **options):
    torch.manual_seed(1)
    sizes = {"query_size": query_size, "memory_size": memory_size}
    return attentions.build({"name": name, **options}, **sizes)


@pytest.fixture(params=attentions.names())
def attention(request, small):
    return build(**small(attentions, request.param))


def test_shapes(attention):
    assert isinstance(attention, Attention)
    for time in (2, 0):
        read, weights = Scene(time=time).read(attention)
        assert read.shape == (4, time, attention.output_size)
        assert weights.shape == (4, time, 5)


def test_weights_are_shares_of_the_real_tokens(attention, scene):
    _, weights = scene.read(attention)
    assert (weights >= 0).all()
    assert not weights.masked_select(~scene.mask.unsqueeze(1)).any()
    assert bool(weights.any()) == attention.looks == (not isinstance(attention, NoAttention))
    wanted = scene.mask.any(1).unsqueeze(1).expand(4, 2) * float(attention.looks)
    torch.testing.assert_close(weights.sum(2), wanted, **CLOSE)


@pytest.mark.parametrize("lengths", [(0, 0), (0,), ()], ids=str)
@pytest.mark.parametrize("time", [0, 3])
def test_empty_sources_are_no_nan_in_value_or_gradient(attention, lengths, time):
    scene = Scene(lengths=lengths, source_time=time)
    read, weights = scene.read(attention)
    assert weights.shape == (len(lengths), 2, time)
    assert not weights.any()
    (read.sum() + weights.square().sum()).backward()
    gradients = [each.grad for each in (scene.queries, scene.memory, *attention.parameters())]
    found = [read, *(each for each in gradients if each is not None)]
    assert all(each.isfinite().all() for each in found)


def test_an_empty_source_among_others_leaves_their_gradients_alone(attention):
    found = []
    for lengths in (LENGTHS, LENGTHS[:1]):
        together, given = Scene(), Scene(lengths)
        with torch.no_grad():
            given.queries.copy_(together.queries[: len(lengths)])
            given.memory.copy_(together.memory[: len(lengths)])
        attention.zero_grad()
        given.read(attention)[0][0].square().sum().backward()
        found.append(
            [given.queries.grad[0], *(each.grad.clone() for each in attention.parameters())]
        )
    assert all(each.isfinite().all() for each in found[0])
    torch.testing.assert_close(*found, **CLOSE)


def test_each_query_of_each_row_is_answered_by_itself(attention, scene):
    read, weights = scene.read(attention)
    keys = attention.keys(scene.memory)
    for row, length in enumerate(LENGTHS):
        for step in range(2):
            here = (part[[row], :length] for part in (keys, scene.memory, scene.mask))
            one = attention(scene.queries[[row]][:, [step]], *here)
            torch.testing.assert_close(one[0][0, 0], read[row, step], **CLOSE)
            torch.testing.assert_close(one[1][0, 0], weights[row, step, :length], **CLOSE)


def test_padding_does_not_matter_and_gets_no_gradient(attention, scene):
    wanted = scene.read(attention)
    (wanted[0].square().sum() + wanted[1].square().sum()).backward()
    assert all(each.grad is not None and each.grad.any() for each in attention.parameters())
    gradient = scene.memory.grad
    if gradient is not None:
        assert not gradient[~scene.mask].any()
        assert gradient[scene.mask].any(1).all()
    scene.memory = scene.memory.masked_fill(~scene.mask.unsqueeze(2), 1e4)
    torch.testing.assert_close(scene.read(attention), wanted, rtol=0, atol=0)


@pytest.mark.parametrize("of_cells", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_encoder", [torch.float32, torch.bfloat16], ids=str)
def test_bfloat16_by_autocast(attention, scene, of_cells, of_encoder):
    wanted = scene.read(attention)
    scene.queries = scene.queries.detach().to(of_cells).requires_grad_()
    scene.memory = scene.memory.to(of_encoder)
    with torch.autocast("cpu", torch.bfloat16):
        read, weights = scene.read(attention)
        loss = read.square().sum()
    attention.zero_grad()
    loss.backward()
    assert all(each.grad.isfinite().all() for each in (scene.queries, *attention.parameters()))
    torch.testing.assert_close((read.float(), weights.float()), wanted, rtol=0, atol=0.1)
    sums = weights.float().sum(2)
    torch.testing.assert_close(sums[sums > 0], torch.ones_like(sums[sums > 0]), rtol=0, atol=1e-2)


def test_scores_of_any_size_stay_finite(attention, scene):
    scene.queries, scene.memory = 1e6 * scene.queries, 1e6 * scene.memory
    assert all(each.isfinite().all() for each in scene.read(attention))


SCORES = {
    "dot": lambda made, q, m: q @ m,
    "general": lambda made, q, m: q @ made.of_memory.weight @ m,
    "additive": lambda made, q, m: (
        made.of_layer.weight[0] @ torch.tanh(made.of_query(q) + made.of_memory.weight @ m)
    ),
}


@pytest.mark.parametrize("name", SCORES)
def test_it_is_what_the_formulas_say(name, scene):
    attention = build(name)
    read, weights = scene.read(attention)
    for row, length in enumerate(LENGTHS):
        memory = scene.memory[row, :length]
        for step, query in enumerate(scene.queries[row]):
            scores = [SCORES[name](attention, query, each) for each in memory]
            shares = torch.stack(scores).softmax(0) if scores else torch.zeros(0)
            wanted = torch.tanh(attention.combine(torch.cat([shares @ memory, query])))
            torch.testing.assert_close(read[row, step], wanted, **CLOSE)
            torch.testing.assert_close(weights[row, step, :length], shares, **CLOSE)


@pytest.mark.parametrize("size", [4, 128])
@pytest.mark.parametrize("name", attentions.names())
def test_in_generation_it_reads_the_same(name, size):
    scene, attention = Scene(), build(name, size, size)
    queries, memory = scene.queries.repeat(1, 1, size // 4), scene.memory.repeat(1, 1, size // 4)
    keys = attention.keys(memory)
    wanted = attention(queries, keys, memory, scene.mask)
    found = attention.look(queries, keys, attention.values(memory), scene.mask)
    torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize(
    ("spec", "width"),
    [({"name": "additive"}, 3), ({"name": "additive", "size": 7}, 7), ({"name": "general"}, 3)],
)
def test_keys_are_as_wide_as_the_cell_unless_additive_has_a_size(spec, width):
    attention, memory = build(**spec, query_size=3, memory_size=5), torch.randn(2, 4, 5)
    keys = attention.keys(memory)
    assert keys.shape == (2, 4, width)
    torch.testing.assert_close(keys, memory @ attention.of_memory.weight.T)
    read, weights = attention(torch.randn(2, 6, 3), keys, memory, torch.ones(2, 4).bool())
    assert (read.shape, weights.shape, attention.output_size) == ((2, 6, 3), (2, 6, 4), 3)


def test_dot_has_no_weights_but_those_that_combine():
    assert list(DotAttention(3, 3).state_dict()) == ["combine.weight", "combine.bias"]


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        *((name, 0, "needs an encoder with a memory to look back at, and thi") for name in SCORES),
        ("dot", 3, "a cell as wide as the encoder's memory, but they have 4 and 3 numbers; `gen"),
    ],
)
def test_other_sizes_are_refused(name, size, message):
    with pytest.raises(ValueError, match=message):
        build(name, memory_size=size)


def test_none_reads_the_query_and_needs_no_memory(scene):
    attention = NoAttention(4)
    read, weights = scene.read(attention)
    assert read is scene.queries
    assert torch.equal(weights, torch.zeros(4, 2, 5))
    memory, mask = torch.zeros(4, 1, 0), torch.ones(4, 1, dtype=torch.bool)
    assert attention(scene.queries, memory, memory, mask)[1].shape == (4, 2, 1)
