"""The laws of decoders, and `check_decoder`, which tries them on a model made of tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen import decoders
from seqgen.errors import DecodeError
from seqgen.state import State, reorder
from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, Report, Watch, describe, try_laws, unwatched
from seqgen.testing.require import BUILT, small_part

VOCAB = 5
BATCH = 12
Found = list[list[decoders.Hypothesis]]


class TableModel:
    """A Stepper made of tables: the next token depends on all before it (the state) and on the
    source (the context), so scores are wrong as soon as a row of either goes astray."""

    def __init__(self, seed: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = 1.5 * torch.randn(VOCAB, VOCAB, generator=generator)
        self.context = torch.randn(64, VOCAB, generator=generator)
        self.fault: float | None = None
        self.steps = 0

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to log-probabilities `[rows, vocab]`; `fault` is put into row 1."""
        assert isinstance(state, Tensor)
        assert isinstance(context, Tensor)
        self.steps += 1
        history = (3 * state + tokens + 1) % VOCAB
        context = context.repeat_interleave(len(tokens) // len(context), 0)
        logits = 2 * self.table[tokens] + 2 * self.table.T[history] + context
        log_probs = logits.log_softmax(-1)
        if self.fault is not None:
            log_probs[1, 3] = self.fault
        return log_probs, history

    def start(self, batch: int, sequence_ids: Tensor | None = None) -> decoders.Start:
        """The first `batch` of up to 64 sources."""
        rows = torch.arange(batch)
        return decoders.Start(rows % 3, rows % 2, self.context[:batch], sequence_ids)

    def rescore(self, source: int, tokens: Sequence[int]) -> list[float]:
        """What the model gives to each of `tokens`, read alone from the start of the source."""
        last, state, context, _ = reorder(self.start(64), torch.tensor([source]))
        found = []
        for token in tokens:
            log_probs, state = self.step(last, state, context)
            found.append(float(log_probs[0, token]))
            last = torch.tensor([token])
        return found


@dataclass(frozen=True)
class DecoderCase:
    """How to build the decoder."""

    factory: Callable[..., Any]

    def make(self) -> decoders.Decoder:
        """The decoder, with a seed and a small vocabulary."""
        decoder: decoders.Decoder = self.factory(
            seed=3, vocab_size=VOCAB, encode=lambda text: [3 + len(text) % 2]
        )
        return decoder

    def decode(self, limits: decoders.Limits, batch: int = BATCH) -> Found:
        """What it finds in the tables."""
        model = TableModel()
        return self.make().decode(model, model.start(batch), limits)

    def sequences(self, limits: decoders.Limits) -> Iterator[tuple[int, decoders.Hypothesis]]:
        """The same one by one, with their sources."""
        return ((i, one) for i, each in enumerate(self.decode(limits)) for one in each)


def check_decoder(decoder: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a decoder: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(decoders.decoders, decoder, options)
    return try_laws(name, DECODER_LAWS, DecoderCase(factory), watch)


def _is_a_decoder(case: DecoderCase) -> None:
    require.contract(case.make(), decoders.Decoder)


def _hypotheses_for_each(case: DecoderCase) -> None:
    fault = decoders.result_fault(case.decode(decoders.Limits(5, (2,))), BATCH, VOCAB)
    require.that(not fault, fault)


def _ends(case: DecoderCase) -> None:
    for ends in ((), (2,), (2, 4), (0,)):
        for _, each in case.sequences(decoders.Limits(6, ends)):
            fault = decoders.sequence_fault(each, ends=ends)
            require.that(not fault, fault)
            ended = bool(set(each.tokens[-1:]) & set(ends))
            says = f"`finished` is {each.finished} for a sequence that ends with "
            require.that(each.finished == ended, f"{says}{'an' if ended else 'no'} end token")


def _limits(case: DecoderCase) -> None:
    lengths = [0, 3, 1, 0, 6, 2, 5, 5, 1, 0, 4, 7]
    for allowed in (*([limit] * BATCH for limit in (0, 1, 5)), lengths):
        for source, each in case.sequences(decoders.Limits(allowed, (2,))):
            fault = decoders.sequence_fault(each, allowed[source])
            require.that(not fault, fault)


def _scores(case: DecoderCase) -> None:
    def near(found: Sequence[float], wanted: Sequence[float]) -> bool:
        return all(abs(a - b) < 1e-4 for a, b in zip(found, wanted, strict=True))

    model = TableModel()
    for source, each in case.sequences(decoders.Limits(7, (2, 4))):
        require.that(
            near(each.log_probs, model.rescore(source, each.tokens)),
            "`log_probs` are not what the model gives to the sequence read alone; reorder the "
            "state with the paths, and record the model's scores, not changed ones",
        )
        says = "`score` must be the sum of `log_probs`; put others into `rank`"
        require.that(near([each.score], [sum(each.log_probs)]), says)


def _best_first(case: DecoderCase) -> None:
    for each in case.decode(decoders.Limits(6, (2,))):
        ranks = [one.ranking_score for one in each]
        says = "a source's hypotheses must be sorted, the best `rank` or score first"
        require.that(ranks == sorted(ranks, reverse=True), says)


def _distinct(case: DecoderCase) -> None:
    for each in case.decode(decoders.Limits(6, (2,))):
        says = "two hypotheses of a source are the same; merge equal paths"
        require.that(len({one.tokens for one in each}) == len(each), says)


def _row_alone(case: DecoderCase) -> None:
    model, decoder, limits = TableModel(), case.make(), decoders.Limits(7, (2,))
    sequence_ids = torch.tensor([5, 0, 2**40, 7, 1, 2, 99, 3, 2**32, 6, 4, 8])
    whole = model.start(BATCH, sequence_ids)
    wanted = decoder.decode(model, whole, limits)
    for rows in ([4], [4, 4], list(range(BATCH))[::-1], [11, 3, 7, 0, 5]):
        found = decoder.decode(model, reorder(whole, torch.tensor(rows)), limits)
        for row, each in zip(rows, found, strict=True):
            require.that(
                [one.tokens for one in each] == [one.tokens for one in wanted[row]],
                "a sequence depends on the batch around it; draw noise by `noise.uniform` with "
                "the ids of the start, and keep rows of different sources apart",
            )


def _same_twice(case: DecoderCase) -> None:
    model, decoder, limits = TableModel(), case.make(), decoders.Limits(7, (2,))
    require.that(
        len({repr(decoder.decode(model, model.start(BATCH), limits)) for _ in range(2)}) == 1,
        "decoding twice gave other sequences; what is random must follow from `seed` and the "
        "ids of the start alone, and nothing may be kept between two calls",
    )


def _nan_refused(case: DecoderCase) -> None:
    for fault in (float("nan"), float("inf")):
        model = TableModel()
        model.fault = fault
        try:
            case.make().decode(model, model.start(BATCH), decoders.Limits(5, (2,)))
        except DecodeError:
            continue
        except Exception as error:
            raise BreachError(
                f"a score of {fault} must be refused with a DecodeError, "
                f"but raised {describe(error)}"
            ) from None
        raise BreachError(
            f"a score of {fault} was taken without a word; call `decoders.check_scores` on what "
            "the stepper returned"
        )


def _bounded(case: DecoderCase) -> None:
    model = TableModel()
    case.make().decode(model, model.start(BATCH), decoders.Limits(20))
    says = f"a limit of 20 tokens took {model.steps} steps of the model"
    require.that(model.steps <= 20 * VOCAB, says)


def _no_sources(case: DecoderCase) -> None:
    require.that(
        case.decode(decoders.Limits(5, (2,)), batch=0) == [], "no sources must give an empty list"
    )


_SOUND = ("is a decoder", "each source has hypotheses")
_CALLING = "`decode(stepper, start, limits)` must work for any stepper, batch and limits"

DECODER_LAWS: tuple[Law[DecoderCase], ...] = (
    Law(_SOUND[0], _is_a_decoder, BUILT.format("`seed=`, `vocab_size=`")),
    Law(_SOUND[1], _hypotheses_for_each, _CALLING, _SOUND[:1]),
    *(
        Law(name, test, _CALLING, (*_SOUND, *more))
        for name, test, *more in (
            ("one end token and nothing after it", _ends),
            ("limits are kept", _limits),
            ("scores are those of the sequence read alone", _scores),
            ("the best comes first", _best_first),
            ("no sequence comes twice", _distinct),
            ("the same twice", _same_twice),
            ("a source alone is the source in a batch", _row_alone, "the same twice"),
            ("NaN and infinite scores are refused", _nan_refused),
            ("its cost is bounded by the limit", _bounded),
            ("no sources, no sequences", _no_sources),
        )
    ),
)
