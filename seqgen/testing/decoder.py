"""The laws of decoders, and `check_decoder`, which tries them on a model made of tables.

Besides what all of them keep there is what a decoder claims, see `decoders.Claim`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen import decoders
from seqgen.errors import DecodeError
from seqgen.options import did_you_mean
from seqgen.state import State, reorder
from seqgen.testing import require
from seqgen.testing.laws import (
    BreachError,
    Law,
    NotTriedError,
    Report,
    Watch,
    describe,
    try_laws,
    unwatched,
)
from seqgen.testing.require import BUILT, small_part

VOCAB = 5
BATCH = 12
Found = list[list[decoders.Hypothesis]]
Tokens = tuple[int, ...]


class TableModel:
    """A Stepper made of tables: the next token depends on all before it (the state) and on the
    source (the context), so scores are wrong as soon as a row of either goes astray."""

    def __init__(self, seed: int = 1, vocab: int = VOCAB) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = 1.5 * torch.randn(vocab, vocab, generator=generator)
        self.context = torch.randn(64, vocab, generator=generator)
        self.fault: float | None = None
        self.steps = 0

    def step(self, tokens: Tensor, state: State, context: State) -> tuple[Tensor, State]:
        """`tokens: [rows]` to log-probabilities `[rows, vocab]`; `fault` is put into row 1."""
        assert isinstance(state, Tensor)
        assert isinstance(context, Tensor)
        self.steps += 1
        history = (3 * state + tokens + 1) % len(self.table)
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

    def enumerate(
        self,
        source: int,
        limits: decoders.Limits,
        weigh: Callable[[Tensor], Tensor] = lambda log_probs: log_probs,
    ) -> dict[Tokens, float]:
        """Every sequence of a source and its log-probability, where `weigh` says what the tokens
        have."""
        last, state, context, _ = reorder(self.start(64), torch.tensor([source]))
        found: dict[Tokens, float] = {}

        def visit(tokens: Tokens, score: float, last: Tensor, state: State) -> None:
            if len(tokens) == limits.max_length or set(tokens[-1:]) & set(limits.ends):
                found[tokens] = score
                return
            log_probs, state = self.step(last, state, context)
            for token, each in enumerate(weigh(log_probs)[0].tolist()):
                visit((*tokens, token), score + each, torch.tensor([token]), state)

        visit((), 0.0, last, state)
        return found


@dataclass(frozen=True)
class DecoderCase:
    """How to build the decoder."""

    factory: Callable[..., Any]

    def make(self, seed: int = 3, **options: Any) -> decoders.Decoder:
        """The decoder, with a seed and a small vocabulary; it gets those of `options` that it
        has."""
        decoder: decoders.Decoder = self.factory(
            seed=seed, vocab_size=VOCAB, encode=lambda text: [3 + len(text) % 2], **options
        )
        return decoder

    def plain(self, **options: Any) -> decoders.Decoder:
        """The decoder whose ranks are scores, and whose paths are one group."""
        return self.make(length_normalisation="none", groups=1, **options)

    def claiming(self, claim: decoders.Claim, option: str = "") -> None:
        """Says that a law is not tried unless the decoder claims it; a breach if it lacks an
        `option` that the claim is about."""
        if claim not in self.make().claims:
            raise NotTriedError("it is not claimed")
        if option and not require.takes(self.factory, option):
            raise BreachError(f'it claims "{claim}", but has no option `{option}`')

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


def _draws(case: DecoderCase) -> None:
    limits, model = decoders.Limits(6, (2,)), TableModel()

    def found(seed: int, first: int) -> list[Tokens]:
        start = model.start(BATCH, torch.arange(first, first + BATCH))
        return [own[0].tokens for own in case.make(seed).decode(model, start, limits)]

    draws, usual = case.make().draws, found(3, 0)
    for named, other in (("id", found(3, 500)), ("seed", found(4, 0))):
        if not draws:
            says = f"it depends on the {named} of a sequence; say `draws = True` where it draws"
            require.that(other == usual, says)
        elif named == "seed" and not require.takes(case.factory, "seed"):
            raise NotTriedError("it takes no seed")
        else:
            says = f"`draws` says that it draws, but with another {named} it finds the same"
            require.that(other != usual, says)


def _claims(case: DecoderCase) -> None:
    claims = case.make().claims
    if isinstance(claims, str):
        raise BreachError(f'`claims` must be a set, such as {{"{claims}"}}')
    for each in claims:
        near = did_you_mean(each, decoders.CLAIMS)
        known = ", ".join(decoders.CLAIMS)
        says = f'it claims "{each}", but there is no such claim{near} ({known})'
        require.that(each in decoders.CLAIMS, says)


def _greedy(decoder: decoders.Decoder, says: str) -> None:
    """A breach that `says` what must be greedy, unless the decoder finds what `Greedy` does."""
    model, start = TableModel(), TableModel().start(BATCH)
    for limits in (decoders.Limits(6, (2,)), decoders.Limits(4), decoders.Limits(5, (0, 4))):
        wanted = decoders.Greedy().decode(model, start, limits)
        for own, [greedy] in zip(decoder.decode(model, start, limits), wanted, strict=True):
            found, tokens = list(own[0].tokens), list(greedy.tokens)
            require.that(found == tokens, f"{says} {tokens}, as greedy search does, not {found}")


def _greedy_as_it_is(case: DecoderCase) -> None:
    case.claiming("greedy")
    _greedy(case.make(), 'it claims "greedy", so it must find')


def _narrow(case: DecoderCase) -> None:
    case.claiming("beam", "beam_size")
    _greedy(case.plain(beam_size=1, n_best=1), "with `beam_size` 1 it must find")


def _cold(case: DecoderCase) -> None:
    case.claiming("temperature", "temperature")
    _greedy(case.make(temperature=0.0), "at `temperature` 0 it must find")


def _best(case: DecoderCase, **options: int) -> None:
    """A breach unless what it finds with `options` are the best of all sequences, in order."""
    decoder, model = case.plain(**options), TableModel()
    most = options["n_best"] if require.takes(case.factory, "n_best") else 1
    for limits in (decoders.Limits(3, (2,)), decoders.Limits(2), decoders.Limits(3, (0, 4))):
        for source, own in enumerate(decoder.decode(model, model.start(BATCH), limits)):
            every = model.enumerate(source, limits)
            ordered = sorted(every, key=lambda each: -every[each])
            for place, (one, wanted) in enumerate(zip(own, ordered, strict=False), 1):
                says = f"number {place} of all {len(every)} sequences is {list(wanted)}, but it has"
                require.that(one.tokens == wanted, f"{says} {list(one.tokens)} there")
            least = min(most, len(every))
            says = f"it finds {len(own)} sequences where `n_best` is {most} and there are "
            require.that(len(own) >= least, f"{says}{len(every)}")


def _wide(case: DecoderCase) -> None:
    case.claiming("beam", "beam_size")
    _best(case, beam_size=VOCAB**3, n_best=VOCAB**3)


def _best_of_all(case: DecoderCase) -> None:
    case.claiming("best")
    _best(case, n_best=20)


DRAWS, RAREST = 10_000, 5.0
"""How many sequences are drawn, and how often one must be expected to be looked at by itself."""


def _samples(case: DecoderCase) -> None:
    case.claiming("sample")
    decoder, model, limits = case.make(), TableModel(), decoders.Limits(2, (2,))

    def weigh(log_probs: Tensor) -> Tensor:
        weights = decoder.weights(log_probs)
        return (weights / weights.sum(-1, keepdim=True)).log()

    every = model.enumerate(0, limits, weigh)
    start, _ = model.start(1).copies(DRAWS)
    drawn = decoder.decode(model, start._replace(sequence_ids=torch.arange(DRAWS)), limits)
    found = Counter(own[0].tokens for own in drawn)
    for tokens in found:
        says = f"it draws {list(tokens)}, to which `weights` gives no chance"
        require.that(every[tokens] > -math.inf, says)
    worst, statistic, freedom = _chi_square(found, {t: math.exp(e) for t, e in every.items()})
    says = f"{DRAWS} draws do not follow what `weights` says: {list(worst)} came "
    says += f"{found[worst]} times, but {DRAWS * math.exp(every[worst]):.0f} are to be expected"
    require.that(statistic <= _by_chance(freedom), says)


def _chi_square(
    found: Counter[Tokens], wanted: Mapping[Tokens, float]
) -> tuple[Tokens, float, int]:
    """The sequence whose count is farthest from its share, the statistic of Pearson 1900, and its
    degrees of freedom; the rare ones count as one."""
    worst: tuple[Tokens, float] = ((), -1.0)
    rest, statistic, cells = [0.0, 0.0], 0.0, 0
    for tokens, share in wanted.items():
        expected = DRAWS * share
        if expected < RAREST:
            rest = [rest[0] + found[tokens], rest[1] + expected]
            continue
        term = (found[tokens] - expected) ** 2 / expected
        statistic, cells = statistic + term, cells + 1
        worst = max(worst, (tokens, term), key=lambda each: each[1])
    if rest[1] >= RAREST:
        statistic, cells = statistic + (rest[0] - rest[1]) ** 2 / rest[1], cells + 1
    return worst[0], statistic, max(1, cells - 1)


def _by_chance(freedom: int) -> float:
    """What the statistic exceeds by chance once in 100,000 times, by the approximation of Wilson
    and Hilferty 1931."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + 4.27 * math.sqrt(spread)) ** 3)


_SOUND = ("is a decoder", "each source has hypotheses")
_CLAIMED = ("what it claims can be tried",)
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
            ("it draws where it says so", _draws, "the same twice"),
            ("what it claims can be tried", _claims),
            ("claims greedy: it is greedy", _greedy_as_it_is, *_CLAIMED),
            ("claims beam: a beam of 1 is greedy", _narrow, *_CLAIMED),
            ("claims beam: a wide one finds the best of all", _wide, *_CLAIMED),
            ("claims best: it finds the best of all", _best_of_all, *_CLAIMED),
            ("claims sample: draws follow the distribution", _samples, *_CLAIMED),
            ("claims temperature: at 0 it is greedy", _cold, *_CLAIMED),
        )
    ),
)
