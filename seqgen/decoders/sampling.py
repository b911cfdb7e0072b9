"""Decoders of one path, token by token: greedy search, and samplers, which draw at random.

`minimum_bayes_risk` draws many and takes the one that is most like the others.

To add a sampler: subclass `Sampler` and say in `truncate` which tokens stay.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from operator import add
from typing import Annotated, Literal, NamedTuple, final

import torch
from pydantic import Field
from rapidfuzz.distance import Levenshtein
from torch import Tensor

from seqgen.decoders import base
from seqgen.decoders.base import Decoder, Hypothesis, Limits, Start, Stepper
from seqgen.decoders.guards import IMPOSSIBLE, can_go_on, check_scores, check_steps, checked
from seqgen.decoders.noise import StepNoise, child_keys
from seqgen.decoders.search import best
from seqgen.options import Size, Temperature
from seqgen.registry import check_bounds
from seqgen.state import reorder, repeat


class Extension(NamedTuple):
    """One step of a walk, all `[rows]`: the sources still alive, their new tokens, what the
    stepper gave to these (log-probabilities), and which of the rows end with this step."""

    sources: Tensor
    tokens: Tensor
    log_probs: Tensor
    finished: Tensor


class PathDecoder(Decoder, ABC):
    """A decoder that picks one token for each row and never looks back, so it can stream.

    A subclass says which token. A row that ends leaves the batch at once.
    """

    @abstractmethod
    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        """The next token of each row, `[rows]`, from `log_probs: [rows, vocab]`.

        `sequence_ids: [rows]` name the sequences and `step` counts the tokens before this one: all
        that a random choice may depend on besides the seed.
        """

    def walk(self, stepper: Stepper, start: Start, limits: Limits) -> Iterator[Extension]:
        """Yield one Extension for each step until every row has ended.

        A row at a dead end leaves without another token: it is neither finished nor at its limit.
        """
        tokens, state, context = start[:3]
        sources = torch.arange(tokens.shape[0], device=tokens.device)
        # Of each row its source, its sequence, and how many tokens it may have.
        own = (sources, start.ids, limits.lengths(start))
        ending = set(limits.ends)
        ends = torch.tensor(limits.ends, dtype=tokens.dtype, device=tokens.device)
        keep = own[2] > 0
        step, until = 0, 0  # at step `until`, at the latest, a row is at its limit
        while True:
            if step == until:
                if not bool(keep.all()):
                    rows = keep.nonzero().squeeze(1)
                    tokens, state, context, own = reorder((tokens, state, context, own), rows)
                if not len(tokens):
                    return
                until = int(own[2].amin())
                none_finished = torch.zeros_like(tokens, dtype=torch.bool)
                places = None
            log_probs, state = stepper.step(tokens, state, context)
            if not can_go_on(log_probs):
                rows = check_scores(log_probs, own[0], step).nonzero().squeeze(1)
                log_probs, state, context, own = reorder((log_probs, state, context, own), rows)
                if not len(rows):
                    return
                none_finished, places = none_finished[: len(rows)], None
            sources, sequence_ids, room = own
            tokens = self.choose(log_probs, sequence_ids, step)
            if places is None:  # where each row begins in the flattened scores
                places = torch.arange(0, log_probs.numel(), log_probs.shape[1], device=ends.device)
            chosen = log_probs.take(places + tokens)
            finished = none_finished
            step += 1
            if step == until or (ending and not ending.isdisjoint(tokens.tolist())):
                finished, until = torch.isin(tokens, ends), step
                keep = ~finished & (room > step)
            yield Extension(sources, tokens, chosen, finished)

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        lengths = limits.lengths(start).tolist()
        steps = [*self.walk(stepper, start, limits)]
        if not steps:  # no row has room for a token
            steps = [Extension(*[start.tokens.new_empty(0)] * 4)]
        sources, tokens, log_probs, _ = map(torch.cat, zip(*steps, strict=True))
        order = sources.argsort(stable=True)  # by source, then by time
        counts = sources.bincount(minlength=len(lengths)).tolist()
        chosen, shares = iter(tokens[order].tolist()), iter(log_probs[order].tolist())
        found = []
        for count, length in zip(counts, lengths, strict=True):
            own, given = tuple(islice(chosen, count)), tuple(islice(shares, count))
            score = reduce(add, given, 0.0)  # `sum` would be more exact than the sums of a beam
            finished = bool(own) and own[-1] in limits.ends
            satisfied = finished or len(own) == length
            one = Hypothesis(own, score, finished, given, satisfied=satisfied)
            found.append([one])
        return found


@base.decoders.register("greedy")
class Greedy(PathDecoder):
    """The most probable token at each step; ties go to the lowest id."""

    draws = False

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        return log_probs.argmax(-1)


@final
class Forced(PathDecoder):
    """Takes the tokens that it is given: `sequences`, by the ids of the starts.

    A sequence must have as many tokens as its source's limit. It is no strategy to be named in a
    recipe, but the way to ask any stepper how probable a sequence is to it.
    """

    draws = False

    def __init__(self, sequences: Mapping[int, Sequence[int]]) -> None:
        self.sequences = sequences

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        tokens = [self.sequences[each][step] for each in sequence_ids.tolist()]
        return sequence_ids.new_tensor(tokens)


# Samplers: what stays of a distribution before a token is drawn from it.


ROUNDING = 2.0**-20
"""Probabilities that differ by no more than this share of them, 8 units in the last place of a
float32, are the same to a threshold: rounding must not decide whether a token reaches it."""

Mass = Annotated[float, Field(gt=0, le=1)]


class Sampler(PathDecoder, ABC):
    """Draw from `p(token) ** (1 / temperature)`, normalised over the tokens that `truncate` keeps.

    Temperature 1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy.
    The temperature comes first, the truncation sees its result. Each sequence draws from its own
    stream, see `noise`.
    """

    seed: int
    temperature: float

    def __init__(self, seed: int, temperature: float) -> None:
        # For a subclass that is no dataclass.
        check_bounds("temperature", Temperature, temperature)
        self.seed = seed
        self.temperature = temperature
        self.draws = temperature > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.draws = self.temperature > 0

    @abstractmethod
    def truncate(self, log_probs: Tensor) -> Tensor:
        """`log_probs: [rows, vocab]` in float64, IMPOSSIBLE for tokens that may not be drawn.

        At least one must stay. What a row keeps must not depend on the other rows.
        """

    def choose(self, log_probs: Tensor, sequence_ids: Tensor, step: int) -> Tensor:
        """The first token at which the cumulative probability exceeds a uniform number."""
        if self.temperature == 0:
            return log_probs.argmax(-1)
        cumulative = self.weights(log_probs).cumsum(-1)
        # Scaled by the last sum (all that was kept), the number falls before the last possible
        # token's end; `right` steps over tokens of probability zero.
        noise: StepNoise | None = vars(self).get("_noise")
        if noise is None:
            noise = vars(self)["_noise"] = StepNoise()
        points = noise(self.seed, sequence_ids, step) * cumulative[:, -1:]
        return torch.searchsorted(cumulative, points, right=True).squeeze(1)

    def weights(self, log_probs: Tensor) -> Tensor:
        """How likely each token is, `[rows, vocab]` in float64, but for a factor of its row."""
        return self.truncate(at_temperature(log_probs, self.temperature)).exp()


def at_temperature(log_probs: Tensor, temperature: float) -> Tensor:
    """`log softmax(log_probs / temperature)` in float64, stable from 1e-4 to 100 and beyond."""
    top = log_probs.amax(-1, keepdim=True)  # taken off first: tiny temperatures cannot overflow
    return ((log_probs - top).double() / temperature).log_softmax(-1)


class ShareSampler(Sampler, ABC):
    """A sampler that truncates by probabilities: fewer operations than by their logarithms."""

    @abstractmethod
    def keep(self, shares: Tensor) -> Tensor:
        """The probabilities `shares: [rows, vocab]` in float64, 0 for tokens that may not come. A
        new tensor or the same, which may be overwritten."""

    def truncate(self, log_probs: Tensor) -> Tensor:
        return log_probs.masked_fill(self.keep(log_probs.exp()) == 0, IMPOSSIBLE)

    def weights(self, log_probs: Tensor) -> Tensor:
        if self.temperature == 1:
            return self.keep(log_probs.softmax(-1, dtype=torch.float64))
        if 1e-3 <= self.temperature <= 1e3:  # beyond, a quotient could lose what it has of digits
            return self.keep((log_probs.double() / self.temperature).softmax(-1))
        return self.keep(at_temperature(log_probs, self.temperature).exp())


def keep_mass(ordered: Tensor, order: Tensor, mass: float) -> Tensor:
    """The probabilities `ordered: [rows, vocab]`, cut to the first ones that have `mass` together,
    in the order of ids.

    `order: [rows, vocab]` holds the id of each; `ordered` is overwritten. The token that reaches
    the mass, within ROUNDING, stays and is the last one, so one always does.
    """
    ordered[:, 1:].mul_(ordered.cumsum(1)[:, :-1] < mass * (1 - ROUNDING))
    return torch.empty_like(ordered).scatter_(1, order, ordered)


@base.decoders.register("multinomial")
@dataclass
class Multinomial(ShareSampler):
    """Draw from `p(token) ** (1 / temperature)`, normalised over all tokens.

    1 is the model's own distribution, below 1 is bolder, above 1 wilder; 0 is greedy.
    """

    seed: int = 0
    temperature: Temperature = 1.0

    def keep(self, shares: Tensor) -> Tensor:
        return shares


@base.decoders.register("top_k")
@dataclass
class TopK(ShareSampler):
    """Draw from the `k` most probable tokens (Fan et al. 2018); ties go to the lowest ids.

    1 is greedy, the number of tokens is `multinomial`; there cannot be more.
    """

    k: Size
    seed: int = 0
    temperature: Temperature = 1.0
    vocab_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocab_size is not None and self.k > self.vocab_size:
            raise ValueError(
                f"`k` must be from 1 to {self.vocab_size}, the number of tokens, but is {self.k}"
            )
        self.draws &= self.k > 1

    def keep(self, shares: Tensor) -> Tensor:
        if self.k >= shares.shape[1]:
            return shares
        edge = shares.topk(self.k + 1).values[:, -2:]
        if all(last > after or not last for last, after in edge.tolist()):
            return shares * (shares >= edge[:, :1])
        columns = best(shares, self.k)  # where there are ties, the lowest ids
        return torch.zeros_like(shares).scatter(1, columns, shares.gather(1, columns))


@base.decoders.register("top_p")
@dataclass
class TopP(ShareSampler):
    """Draw from the nucleus (Holtzman et al. 2020): the fewest tokens with total probability `p`.

    They are the most probable ones, ties going to the lowest ids, up to and with the token that
    reaches `p`, within rounding (a millionth of it): 0.5 of ten equal tokens are the first five. 1
    is `multinomial`, towards 0 it becomes greedy.
    """

    p: Mass = 0.9
    seed: int = 0
    temperature: Temperature = 1.0

    def keep(self, shares: Tensor) -> Tensor:
        if self.p == 1:  # rounding could reach 1 before the last token
            return shares
        return keep_mass(*shares.sort(stable=True, dim=1, descending=True), self.p)


@base.decoders.register("min_p")
@dataclass
class MinP(ShareSampler):
    """Draw from the tokens with at least `p` times the probability of the best one.

    By Nguyen et al. (2024): the surer the model is, the fewer tokens stay. 0 is
    `multinomial`, 1 is greedy (but for ties, among which it draws). A token that reaches the
    threshold within rounding (a millionth of it) stays: 0.5 of (0.6, 0.3, 0.1) leaves two.
    """

    p: Annotated[float, Field(ge=0, le=1)] = 0.1
    seed: int = 0
    temperature: Temperature = 1.0

    def keep(self, shares: Tensor) -> Tensor:
        threshold = shares.amax(1, keepdim=True) * (self.p * (1 - ROUNDING))
        return shares * (shares >= threshold)


@base.decoders.register("typical")
@dataclass
class Typical(ShareSampler):
    """Locally typical sampling (Meister et al. 2022).

    Tokens come in the order of `|-log p(token) - H|`, where H is the entropy of the distribution:
    first those whose surprise is the expected one. The fewest of these that have probability `p`
    stay, `p` being reached within rounding (a millionth of it); ties go to the lowest ids. 1 is
    `multinomial`.
    """

    p: Mass = 0.95
    seed: int = 0
    temperature: Temperature = 1.0

    def keep(self, shares: Tensor) -> Tensor:
        if self.p == 1:  # as in top_p
            return shares
        # The last of the running sums, since `sum` may add up a single row in another order.
        entropy = torch.special.entr(shares).cumsum(1)[:, -1:]
        deviation = shares.log().add_(entropy).abs_()
        order = deviation.sort(stable=True, dim=1).indices
        return keep_mass(shares.gather(1, order), order, self.p)


Similarity = Callable[[Sequence[int], Sequence[int]], float]
"""How alike two sequences of tokens are, from 0 to 1."""

NGRAM_SIZE = 4
"""The longest n-grams that `ngram_f` counts."""


def edit(one: Sequence[int], other: Sequence[int]) -> float:
    """`1 - distance / length of the longer`, by the number of tokens to insert, delete or replace
    (Levenshtein 1966); two empty sequences are alike."""
    return float(Levenshtein.normalized_similarity(one, other))


def ngram_f(one: Sequence[int], other: Sequence[int]) -> float:
    """The harmonic mean of n-gram precision and recall, each the mean over n = 1, ..., 4.

    chrF (Popovic 2015) on tokens, with precision and recall of equal weight, so it is the same
    both ways. An n that neither sequence is long enough for is left out; two empty sequences are
    alike.
    """
    precisions, recalls = [], []
    for size in range(1, NGRAM_SIZE + 1):
        mine, theirs = (
            Counter(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))
            for tokens in (one, other)
        )
        if mine or theirs:
            shared = (mine & theirs).total()
            precisions.append(shared / max(mine.total(), 1))
            recalls.append(shared / max(theirs.total(), 1))
    if not precisions:
        return 1.0
    precision, recall = (sum(each) / len(each) for each in (precisions, recalls))
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


SIMILARITIES: dict[str, Similarity] = {"edit": edit, "ngram_f": ngram_f}


@base.decoders.register("minimum_bayes_risk")
@dataclass
class MinimumBayesRisk(Decoder):
    """Of `samples` sequences, the `n_best` with the highest mean utility against all of them.

    `rank(c) = 1 / samples * sum_s utility(c, s)`, by sampling (Eikema and Aziz 2020): candidates
    and the sequences that they are compared with are the same samples, drawn by `sampler`. The
    utility is a similarity of the tokens without the end token, `edit` or `ngram_f`. Equal
    candidates are one, which counts as often as it was drawn. Sample i of a sequence draws from a
    stream of its own, so more samples change none of those before.
    """

    vocab_size: int
    seed: int = 0
    samples: Size = 32
    n_best: Size = 1
    utility: Literal["edit", "ngram_f"] = "edit"
    sampler: base.DecoderFactory = Multinomial

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_best > self.samples:
            raise ValueError(
                f"`n_best` must be from 1 to `samples`, which is {self.samples}, "
                f"but is {self.n_best}"
            )
        sampler = base.decoders.build(self.sampler, seed=self.seed, vocab_size=self.vocab_size)
        if sampler.constraints:
            raise ValueError("`sampler` must have no `constraints`; give them to the decoder")
        self._sampler = checked(sampler, self.vocab_size)
        self.draws = sampler.draws

    def decode(self, stepper: Stepper, start: Start, limits: Limits) -> list[list[Hypothesis]]:
        """At most `n_best` different hypotheses for each source, ranked by their mean utility."""
        copies, which = start.copies(self.samples)
        copies = copies._replace(sequence_ids=child_keys(copies.ids, which))
        sources = torch.arange(len(start.tokens), device=which.device)
        # An error names the source, not the copy.
        copied = check_steps(stepper, copies, repeat(sources, self.samples))
        drawn = self._sampler.decode(*copied, limits.copies(self.samples))
        firsts = [each[0] for each in drawn]
        return [
            self._ranked(firsts[i : i + self.samples]) for i in range(0, len(firsts), self.samples)
        ]

    def _ranked(self, drawn: Sequence[Hypothesis]) -> list[Hypothesis]:
        """The best of what was `drawn` for a source; what is not `satisfied` only where all is."""
        drawn = [each for each in drawn if each.satisfied] or drawn
        contents = [each.tokens[: len(each.tokens) - each.finished] for each in drawn]
        weights, similarity = Counter(contents), SIMILARITIES[self.utility]
        utilities = {
            content: sum(weight * similarity(content, each) for each, weight in weights.items())
            for content in weights
        }
        distinct = {
            each.tokens: each._replace(rank=utilities[content] / len(drawn))
            for each, content in zip(drawn, contents, strict=True)
        }
        ranked = sorted(distinct.values(), key=lambda each: (each.rank, each.score), reverse=True)
        return ranked[: self.n_best]
