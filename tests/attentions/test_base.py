"""The laws of attentions, for every registered one."""

import pytest
import torch

from seqgen.attentions import Attention, attentions

CLOSE = {"rtol": 1e-5, "atol": 1e-6}


@pytest.fixture(params=attentions.names())
def name(request):
    return request.param


@pytest.fixture
def attention(name, build):
    return build(name)


def test_is_an_attention(attention):
    assert isinstance(attention, Attention)


def test_shapes(attention, scene):
    read, weights = scene.read(attention)
    assert read.shape == (4, 2, attention.output_size)
    assert weights.shape == (4, 2, 5)


def test_weights_are_shares_of_the_real_tokens(attention, scene):
    _, weights = scene.read(attention)
    assert (weights >= 0).all()
    assert not weights.masked_select(~scene.mask.unsqueeze(1)).any()
    looks = bool(weights.any())
    wanted = scene.mask.any(1).unsqueeze(1).expand(4, 2) * float(looks)
    torch.testing.assert_close(weights.sum(2), wanted, **CLOSE)


def test_it_says_whether_it_looks(name, attention, scene):
    assert bool(scene.read(attention)[1].any()) == attention.looks
    assert name != "none" or not attention.looks


@pytest.mark.parametrize("lengths", [(0, 0), (0,), ()], ids=str)
@pytest.mark.parametrize("time", [0, 3])
def test_empty_sources_are_no_nan_in_value_or_gradient(attention, make_scene, lengths, time):
    scene = make_scene(lengths=lengths, time=time)
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


def test_an_empty_source_among_others_leaves_their_gradients_alone(attention, scene, make_scene):
    def gradients(given):
        attention.zero_grad()
        given.queries.requires_grad_()
        read, _ = given.read(attention)
        read[0].square().sum().backward()
        return [given.queries.grad[0], *(each.grad for each in attention.parameters())]

    together = gradients(scene)
    assert all(each.isfinite().all() for each in together)
    alone = make_scene()
    for part in ("queries", "memory", "mask"):
        setattr(alone, part, getattr(alone, part)[:1].detach())
    torch.testing.assert_close(gradients(alone), together, **CLOSE)


def test_no_moments(attention, make_scene):
    read, weights = make_scene(moments=0).read(attention)
    assert read.shape == (4, 0, attention.output_size)
    assert weights.shape == (4, 0, 5)


def test_each_moment_of_each_row_is_read_for_itself(attention, scene):
    read, weights = scene.read(attention)
    keys = attention.keys(scene.memory)
    for row, length in enumerate(scene.mask.sum(1).tolist()):
        for moment in range(2):
            one = attention(
                scene.queries[[row]][:, [moment]],
                keys[[row], :length],
                scene.memory[[row], :length],
                scene.mask[[row], :length],
            )
            torch.testing.assert_close(one[0][0, 0], read[row, moment], **CLOSE)
            torch.testing.assert_close(one[1][0, 0], weights[row, moment, :length], **CLOSE)


def test_what_is_in_the_padding_is_nothing(attention, scene):
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


def test_float64(name, build, scene, make_scene):
    wanted = scene.read(build(name))
    found = make_scene(torch.float64).read(build(name).double())
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
