"""The laws of heads, and `check_head`, which tries them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen.embeddings import LearnedEmbedding
from seqgen.heads import Head, heads
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, Report, Watch, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part

INPUT, VOCAB = 5, 11
SHAPES: tuple[tuple[int, ...], ...] = ((4,), (2, 3), (), (0,), (2, 0))


@dataclass(frozen=True)
class HeadCase:
    """How to build the head."""

    factory: Callable[..., Any]

    def make(self, seed: int = 1, **place: Any) -> Head:
        """The head with weights from `seed`, next to an embedding, in evaluation mode.

        `place` is the `device=` or the `dtype=` of both.
        """
        torch.manual_seed(1)  # of the embedding, which is not the head's to save
        embedding = LearnedEmbedding(VOCAB, INPUT)
        torch.manual_seed(seed)
        head: Head = self.factory(input_size=INPUT, vocab_size=VOCAB, table=embedding.table)
        if place:
            embedding.to(**place)
            head.to(**place)
        return head.eval()

    def hidden(self, *shape: int) -> Tensor:
        """Random hidden vectors, always the same ones."""
        return torch.randn(*shape, INPUT, generator=torch.Generator().manual_seed(2))

    def targets(self, *shape: int) -> Tensor:
        """Random targets, always the same ones."""
        return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(3))


def check_head(head: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a head: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(heads, head, options)
    return try_laws(name, HEAD_LAWS, HeadCase(factory), watch)


def _is_a_head(case: HeadCase) -> None:
    require.contract(case.make(), Head)


def _shapes(case: HeadCase) -> None:
    head = case.make()
    for shape in SHAPES:
        hidden, says = case.hidden(*shape), f" for hidden {[*shape, INPUT]}"
        require.shape(head.log_probs(hidden), (*shape, VOCAB), "`log_probs`", says)
        require.shape(head.loss(hidden, case.targets(*shape)), shape, "`loss`", says)


def _sum_to_one(case: HeadCase) -> None:
    head = case.make()
    for scale in (0.0, 1.0, 1e3):
        log_probs = head.log_probs(scale * case.hidden(50))
        if log_probs.isnan().any() or (log_probs > 1e-6).any():
            worst = "NaN" if log_probs.isnan().any() else f"{float(log_probs.max()):.3g}"
            raise BreachError(
                f"a log-probability is {worst} for hidden vectors of size {scale:g}; "
                "end with `.log_softmax(-1)`"
            )
        total = log_probs.exp().sum(-1)
        says = f"the probabilities of a row must sum to 1, but one sums to {float(total[0]):.4g}"
        require.same(total, torch.ones(50), f"{says}; end with `.log_softmax(-1)`")


def _loss_is_log_prob(case: HeadCase) -> None:
    head, hidden, targets = case.make(), case.hidden(20), case.targets(20)
    wanted = -head.log_probs(hidden).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    says = "`loss` must be minus the log-probability of each target, one by one, in nats"
    require.same(head.loss(hidden, targets), wanted, says)


def _float32(case: HeadCase) -> None:
    head, hidden, targets = case.make(), case.hidden(4), case.targets(4)
    with torch.autocast("cpu", torch.bfloat16):
        found = {"log_probs": head.log_probs(hidden), "loss": head.loss(hidden, targets)}
    for name, scores in found.items():
        if scores.dtype != torch.float32:
            raise BreachError(
                f"`{name}` is {scores.dtype} under autocast; scores of many tokens are added up, "
                "so call `.float()` on the logits first"
            )


def _device(case: HeadCase) -> None:
    head, hidden, targets = case.make(device="meta"), case.hidden(4), case.targets(4)
    hidden, targets = hidden.to("meta"), targets.to("meta")

    def read() -> Iterator[tuple[str, Tensor]]:
        yield "what `log_probs` returned", head.log_probs(hidden)
        yield "what `loss` returned", head.loss(hidden, targets)

    require.same_device(read, _MADE)


def _double(case: HeadCase) -> None:
    head, hidden = case.make(dtype=torch.float64), case.hidden(4).double()
    says = "numbers in float64 are not those in float32"
    require.same(head.log_probs(hidden).float(), case.make().log_probs(case.hidden(4)), says)


def _gradients_reach(case: HeadCase) -> None:
    head = case.make()
    head.train()
    hidden = case.hidden(60).requires_grad_()
    loss = head.loss(hidden, case.targets(60))
    require.finite(loss, "`loss`", "in training")
    torch.autograd.backward(loss.sum())
    require.gradients(head, hidden, "the hidden vectors")


def _gradients_agree(case: HeadCase) -> None:
    head, targets, found = case.make(), case.targets(20), []
    for read in (
        head.loss,
        lambda hidden, of: -head.log_probs(hidden).gather(-1, of.unsqueeze(-1)),
    ):
        hidden = case.hidden(20).requires_grad_()
        torch.autograd.backward(read(hidden, targets).sum())
        found.append(hidden.grad)
    says = "`loss` and `log_probs` have other gradients with respect to the hidden vectors"
    require.same(found[0], found[1], says)


def _rows_alone(case: HeadCase) -> None:
    head, hidden = case.make(), case.hidden(6)
    says = "a vector's log-probabilities depend on its neighbours; reduce over the last dimension"
    require.same(head.log_probs(hidden[2:3]), head.log_probs(hidden)[2:3], says)


def _same_twice(case: HeadCase) -> None:
    head, hidden = case.make(), case.hidden(6)
    says = "the same vector gave other log-probabilities in evaluation mode; draw nothing there"
    require.same(head.log_probs(hidden), head.log_probs(hidden), says, 0.0)


def _saved_and_loaded(case: HeadCase) -> None:
    hidden = case.hidden(6)
    require.saved(case.make, lambda head: head.log_probs(hidden).detach())


_BUILT = ("is a head",)
_SOUND = (*_BUILT, "shapes are as declared", "probabilities sum to one")
_STABLE = (*_SOUND, "what it learns is registered", "the same twice in evaluation mode")
_ANYWHERE = ("it works on any device",)
_AGREE = ("loss is minus the log-probability", "gradients reach every parameter")
_CALLING = "`log_probs(hidden)` and `loss(hidden, targets)` must take any leading dimensions"
_MADE = "make tensors by `hidden.new_zeros(...)`, and call `register_buffer` for constants"

HEAD_LAWS: tuple[Law[HeadCase], ...] = (
    Law(_SOUND[0], _is_a_head, BUILT.format("`input_size=`, `vocab_size=`, perhaps `table=`")),
    Law(_SOUND[1], _shapes, _CALLING, _BUILT),
    Law(_SOUND[2], _sum_to_one, _CALLING, _SOUND[:2]),
    Law(_STABLE[3], lambda case: require.registered(case.make()), _CALLING, _SOUND),
    Law(_STABLE[4], _same_twice, _CALLING, _SOUND),
    Law(_ANYWHERE[0], _device, _MADE, _STABLE),
    Law("it works in float64", _double, _MADE, (*_STABLE, *_ANYWHERE)),
    Law(_AGREE[0], _loss_is_log_prob, _CALLING, _STABLE),
    Law("scores are float32 under autocast", _float32, _CALLING, _STABLE),
    Law(_AGREE[1], _gradients_reach, _CALLING, _STABLE),
    Law("both ways have the same gradient", _gradients_agree, _CALLING, (*_STABLE, *_AGREE)),
    Law("a vector alone is the vector in a batch", _rows_alone, _CALLING, _STABLE),
    Law("weights are saved and loaded", _saved_and_loaded, _CALLING, _STABLE),
)
