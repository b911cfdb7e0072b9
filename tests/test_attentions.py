"""The laws of attentions, for every registered one, and each against its formula."""

import math

import pytest
import torch

from seqgen.attentions import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    NoAttention,
    attentions,
)

SIZE = 4
LENGTHS = (3, 0, 1, 5)


class Scene:
    """What an attention is given: `[4, 2, 4]` queries and `[4, 5, 4]` memory, zero in padding."""

    def __init__(self, dtype=torch.float32, lengths=LENGTHS, source_time=5, time=2):
        draw = torch.Generator().manual_seed(3)
        rows = len(lengths)
        self.queries = torch.randn(rows, time, SIZE, generator=draw).to(dtype)
        self.mask = torch.arange(source_time) < torch.tensor(lengths, dtype=torch.long).unsqueeze(1)
        memory = 2 * torch.randn(rows, source_time, SIZE, generator=draw).to(dtype)
        self.memory = memory.masked_fill(~self.mask.unsqueeze(2), 0)

    def read(self, attention):
        """What the attention makes of it: what is read, and the weights."""
        return attention(self.queries, attention.keys(self.memory), self.memory, self.mask)


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def build():
    """A function from an attention's name, or more of it, to one and the same."""

    def make(spec, query_size=SIZE, memory_size=SIZE):
        torch.manual_seed(1)
        return attentions.build(spec, query_size=query_size, memory_size=memory_size)

    return make


CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(params=attentions.names())
def name(request):
    return request.param


@pytest.fixture
def attention(name, build):
    return build(name)


def test_shapes(attention, scene):
    assert isinstance(attention, Attention)
    for time in (2, 0):
        read, weights = Scene(time=time).read(attention)
        assert read.shape == (4, time, attention.output_size)
        assert weights.shape == (4, time, 5)


def test_weights_are_shares_of_the_real_tokens(name, attention, scene):
    _, weights = scene.read(attention)
    assert (weights >= 0).all()
    assert not weights.masked_select(~scene.mask.unsqueeze(1)).any()
    assert bool(weights.any()) == attention.looks == (name != "none")
    wanted = scene.mask.any(1).unsqueeze(1).expand(4, 2) * float(attention.looks)
    torch.testing.assert_close(weights.sum(2), wanted, **CLOSE)


@pytest.mark.parametrize("lengths", [(0, 0), (0,), ()], ids=str)
@pytest.mark.parametrize("time", [0, 3])
def test_empty_sources_are_no_nan_in_value_or_gradient(attention, lengths, time):
    scene = Scene(lengths=lengths, source_time=time)
    scene.queries.requires_grad_()
    scene.memory.requires_grad_()
    read, weights = scene.read(attention)
    assert weights.shape == (len(lengths), 2, time)
    assert not weights.any()
    (read.sum() + weights.square().sum()).backward()
    inputs = [scene.queries, *([scene.memory] if scene.memory.grad is not None else [])]
    found = [read, *(each.grad for each in inputs)]
    found += [each.grad for each in attention.parameters() if each.grad is not None]
    assert all(each.isfinite().all() for each in found)


def test_an_empty_source_among_others_leaves_their_gradients_alone(attention, scene):
    def gradients(given):
        attention.zero_grad()
        given.queries.requires_grad_()
        read, _ = given.read(attention)
        read[0].square().sum().backward()
        return [given.queries.grad[0], *(each.grad for each in attention.parameters())]

    together = gradients(scene)
    assert all(each.isfinite().all() for each in together)
    alone = Scene()
    for part in ("queries", "memory", "mask"):
        setattr(alone, part, getattr(alone, part)[:1].detach())
    torch.testing.assert_close(gradients(alone), together, **CLOSE)


def test_each_query_of_each_row_is_answered_by_itself(attention, scene):
    read, weights = scene.read(attention)
    keys = attention.keys(scene.memory)
    for row, length in enumerate(scene.mask.sum(1).tolist()):
        for step in range(2):
            here = (part[[row], :length] for part in (keys, scene.memory, scene.mask))
            one = attention(scene.queries[[row]][:, [step]], *here)
            torch.testing.assert_close(one[0][0, 0], read[row, step], **CLOSE)
            torch.testing.assert_close(one[1][0, 0], weights[row, step, :length], **CLOSE)


def test_what_is_in_the_padding_does_not_matter(attention, scene):
    wanted = scene.read(attention)
    scene.memory = scene.memory.masked_fill(~scene.mask.unsqueeze(2), 1e4)
    torch.testing.assert_close(scene.read(attention), wanted, rtol=0, atol=0)


def test_padding_gets_no_gradient(attention, scene):
    scene.queries.requires_grad_()
    scene.memory.requires_grad_()
    read, weights = scene.read(attention)
    (read.square().sum() + weights.square().sum()).backward()
    gradient = scene.memory.grad
    if gradient is not None:
        assert not gradient[~scene.mask].any()
        assert gradient[scene.mask].any(1).all()


def test_every_parameter_learns(attention, scene):
    scene.queries.requires_grad_()
    read, _ = scene.read(attention)
    read.square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in attention.parameters())


def test_float64(name, build, scene):
    wanted = scene.read(build(name))
    found = Scene(torch.float64).read(build(name).double())
    assert {each.dtype for each in found} == {torch.float64}
    torch.testing.assert_close([each.float() for each in found], [*wanted], **CLOSE)


@pytest.mark.parametrize("of_cells", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_encoder", [torch.float32, torch.bfloat16], ids=str)
def test_bfloat16_by_autocast(attention, scene, of_cells, of_encoder):
    wanted = scene.read(attention)
    scene.queries, scene.memory = scene.queries.to(of_cells), scene.memory.to(of_encoder)
    scene.queries.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        read, weights = scene.read(attention)
        loss = read.square().sum()
    loss.backward()
    assert scene.queries.grad.isfinite().all()
    assert all(each.grad.isfinite().all() for each in attention.parameters())
    torch.testing.assert_close(read.float(), wanted[0], rtol=0, atol=0.1)
    torch.testing.assert_close(weights.float(), wanted[1], rtol=0, atol=0.1)
    sums = weights.float().sum(2)
    torch.testing.assert_close(sums[sums > 0], torch.ones_like(sums[sums > 0]), rtol=0, atol=1e-2)


def test_scores_of_any_size_stay_finite(attention, scene):
    scene.queries, scene.memory = 1e6 * scene.queries, 1e6 * scene.memory
    read, weights = scene.read(attention)
    assert read.isfinite().all()
    assert weights.isfinite().all()


def test_saved_and_loaded(name, attention, build, scene):
    torch.manual_seed(2)
    other = attentions.build(name, query_size=4, memory_size=4)
    other.load_state_dict(attention.state_dict())
    torch.testing.assert_close(scene.read(other), scene.read(attention), rtol=0, atol=0)


SCORED = ("dot", "general", "additive")


def products(matrix, vector):
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def dot(attention, query, memory):
    return sum(a * b for a, b in zip(query, memory, strict=True))


def general(attention, query, memory):
    return dot(None, query, products(attention.of_memory.weight.tolist(), memory))


def additive(attention, query, memory):
    of_query = products(attention.of_query.weight.tolist(), query)
    of_memory = products(attention.of_memory.weight.tolist(), memory)
    bias, [last] = attention.of_query.bias.tolist(), attention.of_layer.weight.tolist()
    sums = zip(of_query, of_memory, bias, strict=True)
    return sum(v * math.tanh(a + b + c) for v, (a, b, c) in zip(last, sums, strict=True))


def softmax(scores):
    shares = [math.exp(each) for each in scores]
    return [each / sum(shares) for each in shares]


@pytest.fixture(params=SCORED)
def name_scored(request):
    return request.param


def test_it_is_what_the_formulas_say(name_scored, build, scene):
    attention = build(name_scored)
    read, weights = scene.read(attention)
    score = {"dot": dot, "general": general, "additive": additive}[name_scored]
    combine, bias = attention.combine.weight.tolist(), attention.combine.bias.tolist()
    for row, length in enumerate(scene.mask.sum(1).tolist()):
        memory = scene.memory[row, :length].tolist()
        for step, query in enumerate(scene.queries[row].tolist()):
            shares = softmax([score(attention, query, each) for each in memory])
            mixed = [
                sum(share * each[i] for share, each in zip(shares, memory, strict=True))
                for i in range(4)
            ]
            sums = zip(products(combine, [*mixed, *query]), bias, strict=True)
            wanted = [math.tanh(a + b) for a, b in sums]
            assert read[row, step].tolist() == pytest.approx(wanted, abs=1e-5)
            assert weights[row, step].tolist() == pytest.approx(
                [*shares, *[0.0] * (5 - length)], abs=1e-6
            )


def test_the_order_of_the_source_does_not_matter(name_scored, build, scene):
    attention, turned = build(name_scored), [2, 4, 0, 3, 1]
    read, weights = scene.read(attention)
    scene.memory, scene.mask = scene.memory[:, turned], scene.mask[:, turned]
    found, moved = scene.read(attention)
    assert found.flatten().tolist() == pytest.approx(read.flatten().tolist(), abs=1e-6)
    assert moved.flatten().tolist() == pytest.approx(
        weights[:, :, turned].flatten().tolist(), abs=1e-6
    )


def test_an_encoder_without_a_memory_is_refused(name_scored, build):
    with pytest.raises(ValueError, match="needs an encoder with a memory to look back at, and thi"):
        build(name_scored, memory_size=0)


def test_the_layer_of_additive_is_as_wide_as_the_cell_by_default():
    for size, wanted in ((None, 3), (7, 7)):
        attention = AdditiveAttention(3, 5, size)
        assert attention.keys(torch.zeros(2, 4, 5)).shape == (2, 4, wanted)
        assert attention.output_size == 3
        mask = torch.ones(2, 4, dtype=torch.bool)
        memory = torch.randn(2, 4, 5)
        read, weights = attention(torch.randn(2, 6, 3), attention.keys(memory), memory, mask)
        assert read.shape == (2, 6, 3)
        assert weights.shape == (2, 6, 4)


def test_the_weights_of_dot_by_hand():
    """Scores 0 and ln 3 are shares 1/4 and 3/4."""
    attention = DotAttention(2, 2)
    memory = torch.tensor([[[0.0, 1.0], [torch.tensor(3.0).log(), 0.0], [9.0, 9.0]]])
    mask = torch.tensor([[True, True, False]])
    _, weights = attention(torch.tensor([[[1.0, 0.0]]]), attention.keys(memory), memory, mask)
    assert weights.flatten().tolist() == pytest.approx([0.25, 0.75, 0.0])


def test_dot_refuses_other_sizes():
    message = "a cell as wide as the encoder's memory, but they have 3 and 4 numbers; `general` m"
    with pytest.raises(ValueError, match=message):
        DotAttention(3, 4)


def test_dot_has_no_weights_but_those_that_combine():
    assert {name for name, _ in DotAttention(3, 3).named_parameters()} == {
        "combine.weight",
        "combine.bias",
    }


def test_the_keys_of_general_are_as_wide_as_the_cell():
    attention = GeneralAttention(3, 5)
    memory = torch.randn(2, 4, 5)
    keys = attention.keys(memory)
    assert keys.shape == (2, 4, 3)
    torch.testing.assert_close(keys, memory @ attention.of_memory.weight.T)


def test_general_with_the_identity_is_a_plain_product(build, scene):
    general, dot = build("general"), build("dot")
    with torch.no_grad():
        general.of_memory.weight.copy_(torch.eye(4))
        general.combine.load_state_dict(dot.combine.state_dict())
    torch.testing.assert_close(scene.read(general), scene.read(dot))


def test_none_reads_the_query_and_needs_no_memory(scene):
    attention = NoAttention(4)
    read, weights = scene.read(attention)
    assert read is scene.queries
    assert torch.equal(weights, torch.zeros(4, 2, 5))
    memory, mask = torch.zeros(4, 1, 0), torch.ones(4, 1, dtype=torch.bool)
    assert attention(scene.queries, memory, memory, mask)[1].shape == (4, 2, 1)
