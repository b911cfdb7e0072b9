"""Metrics of texts: edits to the nearest reference, n-grams by sacrebleu, and equality."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from seqgen.metrics.base import Answer, MetricOfSums, Numbers, Proportion, metrics, share


def nearest(output: Sequence[str], references: Iterable[Sequence[str]]) -> tuple[int, int]:
    """The distance to the nearest reference, and its length; of several such, the longest."""
    found = ((Levenshtein.distance(output, each), len(each)) for each in references)
    return min(found, key=lambda each: (each[0], -each[1]))


class ErrorRate(Proportion, ABC):
    """`sum of distance(output, nearest) / sum of length(nearest)` of what `split` makes of texts.

    The distance is the least number of items to insert, delete or replace (Levenshtein 1966). The
    nearest reference is the one at the smallest distance, of several the longest. The rate is at
    least 0; it exceeds 1 where outputs are much longer than references. Where all references are
    empty, it is the number of edits. Details: `edits` and `reference_length`.
    """

    better = "lower"
    names = ("edits", "reference_length")

    @abstractmethod
    def split(self, text: str) -> Sequence[str]:
        """The items of a text, which can be inserted, deleted or replaced."""

    def count(self, answer: Answer) -> tuple[int, int]:
        return nearest(self.split(answer.output), map(self.split, answer.references))

    def value(self, totals: Numbers) -> Numbers:
        return totals[..., 0] / np.maximum(totals[..., 1], 1)


@metrics.register("character_error_rate")
class CharacterErrorRate(ErrorRate):
    """Edits to the nearest reference, divided by its length, in characters.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `ErrorRate`; a share, which
    exceeds 1 where outputs are much too long. Characters are Unicode code points, spaces among
    them, so a letter with a combining accent is two.
    """

    def split(self, text: str) -> Sequence[str]:
        return text


@metrics.register("phoneme_error_rate")
class PhonemeErrorRate(ErrorRate):
    """Edits to the nearest reference, divided by its length, in phonemes (or words) between spaces.

    `sum of distance(output, nearest) / sum of length(nearest)`, see `ErrorRate`; a share, which
    exceeds 1 where outputs are much too long. As in grapheme-to-phoneme conversion (Bisani and Ney
    2008); of sentences this is what speech recognition calls the word error rate.
    """

    def split(self, text: str) -> Sequence[str]:
        return text.split()


@metrics.register("word_error_rate")
class WordErrorRate(Proportion):
    """The share of words whose output equals no reference; each answer is one word.

    `wrong / words`, from 0 to 1, as in grapheme-to-phoneme conversion (Bisani and Ney 2008), where
    an answer is the pronunciation of a word; details: both. In sentences this is the sentence error
    rate; what speech recognition calls the word error rate is `phoneme_error_rate`.
    """

    better = "lower"
    names = ("wrong", "words")

    def count(self, answer: Answer) -> tuple[int, int]:
        return int(answer.output not in answer.references), 1


@metrics.register("exact_match")
class ExactMatch(Proportion):
    """The share of outputs that equal one of their references, character by character.

    `correct / answers`, from 0 to 1; details: both. Where outputs are classes, `accuracy` has the
    same value, and says more.
    """

    names = ("correct", "answers")

    def count(self, answer: Answer) -> tuple[int, int]:
        return int(answer.output in answer.references), 1


AT_ONCE = 4096
"""How many answers sacrebleu gets at a time: it keeps all n-grams of all their references."""


def streams(answers: Sequence[Answer]) -> tuple[list[str], list[Sequence[str]]]:
    """The outputs, and the first references of all, the second ones, and so on.

    sacrebleu wants streams of equal length. It leaves out a None, and says `nrefs:var` then; an
    empty text would be taken for a reference.
    """
    references = zip_longest(*(answer.references for answer in answers))
    return [answer.output for answer in answers], list(references)


class SacrebleuMetric(MetricOfSums, ABC):
    """A metric of shared n-grams, in points from 0 to 100, by the statistics of sacrebleu."""

    better = "higher"
    unit = "points"

    @abstractmethod
    def scorer(self) -> Any:
        """Its metric of sacrebleu, imported when it is needed."""

    def statistics(self, answers: Sequence[Answer]) -> Numbers:
        """As the scorer orders them. sacrebleu has no public name for them; by this one its own
        significance tests ask its metrics."""
        scorer, found = self.scorer(), []
        for begin in range(0, len(answers), AT_ONCE):
            some = streams(answers[begin : begin + AT_ONCE])
            found.extend(scorer._extract_corpus_statistics(*some))
        return np.array(found, dtype=float)

    def signature(self, answers: Sequence[Answer]) -> str:
        """How these answers are measured: the options, and how many references there are.

        One answer for each number of references is enough for that.
        """
        scorer = self.scorer()
        few = {len(answer.references): answer for answer in answers}
        scorer.corpus_score(*streams(list(few.values())))
        return str(scorer.get_signature())


@metrics.register("bleu")
@dataclass(eq=False)
class Bleu(SacrebleuMetric):
    """BLEU of all answers together, from 0 to 100, by sacrebleu: shared n-grams of 1 to 4 words.

    `100 * brevity_penalty * (p1 * p2 * p3 * p4) ** (1/4)`, where p_n is the share of n-grams of the
    outputs that their references have too, and the penalty is `exp(1 - reference_length /
    output_length)` where the outputs are shorter (Papineni et al. 2002). An n without any match
    counts as half a match, the next one as a quarter, and so on. It is 0 where nothing matches, and
    where no output has four words. Details: the parts of the formula (precisions in percent), and
    sacrebleu's signature, which belongs next to any BLEU that is published (Post 2018).

    `tokenize` is sacrebleu's: `13a` splits punctuation as WMT does, `none` splits at spaces only.
    Those of its tokenizers that download a model or need another package are left out.
    """

    tokenize: Literal["13a", "intl", "zh", "char", "none"] = "13a"
    lowercase: bool = False

    def value(self, totals: Numbers) -> Numbers:
        """`totals: [..., 10]` are the lengths of output and nearest reference, shared n-grams for n
        from 1 to 4, and n-grams of the output likewise; 0 where there is no n-gram of some n."""
        output_length, reference_length = totals[..., 0], totals[..., 1]
        shared, ngrams = totals[..., 2:6], totals[..., 6:10]
        halved = np.cumsum((shared == 0) & (ngrams > 0), axis=-1)
        precisions = share(np.where(shared > 0, shared, 0.5**halved), ngrams)
        mean = np.log(np.where(ngrams > 0, precisions, 1.0)).mean(axis=-1)
        penalty = np.minimum(1 - share(reference_length, output_length), 0.0)
        defined = (shared > 0).any(axis=-1) & (ngrams > 0).all(axis=-1)
        return np.where(defined, 100 * np.exp(penalty) * np.exp(mean), 0.0)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        scorer = self.scorer()
        output_length, reference_length, *ngrams = map(int, totals)
        found = scorer.compute_bleu(
            ngrams[:4], ngrams[4:], output_length, reference_length, scorer.smooth_method
        )
        return {
            "signature": self.signature(answers),
            "precisions": list(found.precisions),
            "brevity_penalty": found.bp,
            "output_length": output_length,
            "reference_length": reference_length,
        }

    def scorer(self) -> Any:
        from sacrebleu.metrics.bleu import BLEU

        # `force` changes no score: without it a remark on texts that end in " ." is printed.
        return BLEU(tokenize=self.tokenize, lowercase=self.lowercase, force=True)


@metrics.register("chrf")
@dataclass(eq=False)
class Chrf(SacrebleuMetric):
    """chrF of all answers together, from 0 to 100, by sacrebleu: shared n-grams of characters.

    `100 * 5 * precision * recall / (4 * precision + recall)`, of n-grams of 1 to 6 characters
    without spaces, precision and recall each the mean over n; of several references the one with
    the highest score counts (Popovic 2015, with beta = 2). With `word_order` 2 the n-grams of one
    and two words count, too, which is chrF++ (Popovic 2017). It is 0 where all outputs are empty.
    Details: the variant's `name` and sacrebleu's signature, for publishing.
    """

    word_order: Literal[0, 1, 2] = 0
    lowercase: bool = False

    def value(self, totals: Numbers) -> Numbers:
        """`totals: [..., 3 * orders]` are n-grams of the output, of its best reference, and of
        both, for each n of characters, then of words. An n of which one side has no n-grams is left
        out of the means."""
        output, reference, both = (totals[..., place::3] for place in range(3))
        defined = (output > 0) & (reference > 0)
        orders = np.asarray(np.sum(defined, axis=-1), dtype=np.float64)
        precision, recall = (
            # One after the other, as sacrebleu adds them: the same number to the last bit.
            share(np.cumsum(share(both, side), axis=-1)[..., -1], orders)
            for side in (output, reference)
        )
        return 100 * share(5 * precision * recall, 4 * precision + recall)

    def details(self, answers: Sequence[Answer], totals: Numbers) -> dict[str, Any]:
        name = "chrF2" + "+" * self.word_order
        return {"name": name, "signature": self.signature(answers)}

    def scorer(self) -> Any:
        from sacrebleu.metrics.chrf import CHRF

        return CHRF(word_order=self.word_order, lowercase=self.lowercase)
