"""Label smoothing of heads by their log-probabilities."""

import pytest
import torch
from torch.nn import functional

from seqgen.heads import AdaptiveSoftmaxHead, MixtureOfSoftmaxesHead, chunks, cross_entropy
from seqgen.heads.smoothed import smoothed_losses

VOCAB, INPUT, SMOOTHING = 9, 8, 0.2

HEADS = {
    "adaptive": lambda **how: AdaptiveSoftmaxHead(INPUT, VOCAB, [2, 5], div_value=2, **how),
    "mixture": lambda **how: MixtureOfSoftmaxesHead(INPUT, VOCAB, mixtures=3, **how),
}


@pytest.fixture(params=HEADS)
def head(request):
    torch.manual_seed(1)
    return HEADS[request.param](label_smoothing=SMOOTHING)


@pytest.fixture
def many(monkeypatch):
    """As if the log-probabilities of a few rows were too many, and those of three a chunk."""
    monkeypatch.setattr(cross_entropy, "ALL_AT_ONCE", 0)
    monkeypatch.setattr(chunks, "CHUNK", 3 * VOCAB * 4)


def plain(head, hidden, targets):
    """The formula as it is written."""
    log_probs = head.log_probs(hidden)
    of_target = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return -(1 - SMOOTHING) * of_target - SMOOTHING / VOCAB * log_probs.sum(-1)


def test_a_written_out_example():
    """Three tokens of 1/2, 1/4 and 1/4; half a nat's weight is spread."""
    log_probs = torch.tensor([[0.5, 0.25, 0.25]]).log()
    losses = smoothed_losses(lambda rows: log_probs, torch.ones(1, 1), torch.tensor([0]), 0.5, 3)
    bits = 0.5 * 1 + 0.5 * (1 + 2 + 2) / 3
    torch.testing.assert_close(losses, torch.tensor([bits]) * torch.tensor(2.0).log())


@pytest.mark.parametrize("shape", [(), (4,), (2, 5), (2, 0), (0,), (2, 3, 2)])
@pytest.mark.parametrize("amount", ["few", "many"])
def test_is_the_plain_formula(head, shape, amount, request):
    if amount == "many":
        request.getfixturevalue("many")
    hidden, targets = torch.randn(*shape, INPUT), torch.randint(VOCAB, shape)
    losses = head.loss(hidden, targets)
    assert losses.shape == shape
    torch.testing.assert_close(losses, plain(head, hidden, targets))


@pytest.mark.usefixtures("many")
def test_many_have_the_gradients_of_the_plain_formula(head):
    head.double()
    leaves = [torch.randn(10, INPUT).double().requires_grad_(), *head.parameters()]
    targets, counts = torch.randint(VOCAB, (10,)), torch.rand(10).double()
    found = torch.autograd.grad(head.loss(leaves[0], targets) @ counts, leaves)
    wanted = torch.autograd.grad(plain(head, leaves[0], targets) @ counts, leaves)
    torch.testing.assert_close(found, wanted)


@pytest.mark.usefixtures("many")
def test_log_probabilities_are_never_there_for_all_rows(head, monkeypatch):
    rows, kept, log_probs = [], [], head.log_probs
    monkeypatch.setattr(
        head, "log_probs", lambda hidden: (rows.append(len(hidden)), log_probs(hidden))[1]
    )

    def keep(tensor):
        kept.append(tensor.shape)
        return tensor

    hidden = torch.randn(10, INPUT, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = head.loss(hidden, torch.randint(VOCAB, (10,)))
    forward = list(rows)
    losses.sum().backward()
    assert sum(forward) == 10
    assert max(rows) <= 3, "in both passes"
    assert sum(rows) == 20, "each chunk twice"
    assert not [shape for shape in kept if VOCAB in shape], "nothing of it waits for backward"


def test_evaluation_is_not_smoothed(head):
    hidden, targets = torch.randn(6, INPUT), torch.randint(VOCAB, (6,))
    wanted = functional.nll_loss(head.log_probs(hidden), targets, reduction="none")
    torch.testing.assert_close(head.eval().loss(hidden, targets), wanted)
    assert not torch.allclose(head.train().loss(hidden, targets), wanted)


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(head, mode):
    hidden, targets = torch.randn(7, INPUT), torch.randint(VOCAB, (7,))
    wanted = plain(head, hidden, targets).detach()
    with mode():
        torch.testing.assert_close(head.loss(hidden, targets), wanted)


@pytest.mark.usefixtures("many")
def test_in_autocast(head):
    hidden, targets = torch.randn(7, INPUT), torch.randint(VOCAB, (7,))
    wanted = plain(head, hidden, targets)
    with torch.autocast("cpu", torch.bfloat16):
        losses = head.loss(hidden, targets)
    losses.sum().backward()
    assert losses.dtype == torch.float32
    torch.testing.assert_close(losses, wanted, atol=0.05, rtol=0.05)
    assert all(each.grad.any() for each in head.parameters())


@pytest.mark.parametrize("make", HEADS.values(), ids=HEADS)
def test_without_smoothing_nothing_is_spread(make, monkeypatch):
    torch.manual_seed(1)
    head, hidden, targets = make(), torch.randn(6, INPUT), torch.randint(VOCAB, (6,))
    wanted = functional.nll_loss(head.log_probs(hidden), targets, reduction="none")
    monkeypatch.setattr(head, "log_probs", None)
    torch.testing.assert_close(head.loss(hidden, targets), wanted)
