"""The laws of tokenizers, and `check_tokenizer`, which tries them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from seqgen.testing import require
from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.require import named, small_part
from seqgen.tokenizers import BOS, EOS, PAD, SPECIALS, UNK, Tokenizer, text_so_far, tokenizers

TEXT = "In the beginning was the wörd, 日本語, and 😀.\r\n\t<pad> <bos></s> <eos> <unk> \x00\ufffd"
LIKE_SPECIALS = (*SPECIALS, "</s>", "<s>", "[PAD]", "<|endoftext|>")
FAR_OFF = "\u0001 ﷽ \U0010fffd 漢字"

BLOCKS = (
    *((32, 126), (0, 31), (0xA0, 0x24F), (0x300, 0x36F), (0x600, 0x6FF), (0x4E00, 0x4FFF)),
    *((0x1F300, 0x1F6FF), (0x2000, 0x206F), (0xFF00, 0xFFEF), (0xE000, 0xE0FF)),
)
"""Where random characters are from: code points, ASCII first."""

STARTS: tuple[str, ...] = ("", *"bcdfghjklmnprstvwz", "br", "ch", "pl", "sh", "st", "tr")
ENDS: tuple[str, ...] = ("", "", *"klmnrst", "ng")


def random_texts(count: int) -> list[str]:
    """`count` short texts of characters from all over Unicode, always the same ones."""
    draw = random.Random(1)
    texts = []
    for _ in range(count):
        choices = (draw.choice(BLOCKS), BLOCKS[0])
        codes = [draw.randint(*draw.choice(choices)) for _ in range(draw.randint(1, 30))]
        texts.append("".join(map(chr, codes)))
    return texts


@cache
def prose(seed: int) -> str:
    """Sentences in a language that `seed` makes up: 4,000 words of one to three syllables, some of
    them often. That is enough for a vocabulary of 2,000 pieces, by `unigram` too, which needs the
    most text.
    """
    draw = random.Random(seed)

    def syllable() -> str:
        return draw.choice(STARTS) + draw.choice("aeiou") + draw.choice(ENDS)

    words = ["".join(syllable() for _ in range(draw.randint(1, 3))) for _ in range(20_000)]
    weights = [1 / (rank + 1000) for rank in range(len(words))]
    chosen = draw.choices(words, weights, k=4000)
    sentences = [" ".join(chosen[start : start + 10]) for start in range(0, len(chosen), 10)]
    return "".join(f"{each}.\n" for each in sentences)


@dataclass(frozen=True)
class TokenizerCase:
    """How to build the tokenizer."""

    factory: Callable[..., Any]

    def make(self, *texts: str) -> Tokenizer:
        """The tokenizer, fitted on `texts` where there are any, as they are."""
        tokenizer: Tokenizer = self.factory()
        if texts:
            tokenizer.fit(texts)
        return tokenizer

    def fit(self, *more: str) -> Tokenizer:
        """The tokenizer, fitted on text enough for a usual vocabulary, and on `more`."""
        return self.make(TEXT, prose(1), *LIKE_SPECIALS, *more)

    @cached_property
    def fitted(self) -> Tokenizer:
        """What `fit` returns, once for all laws: fitting may take a while."""
        return self.fit()


def check_tokenizer(tokenizer: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a tokenizer: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(tokenizers, tokenizer, options)
    return try_laws(name, TOKENIZER_LAWS, TokenizerCase(factory), watch)


def _is_a_tokenizer(case: TokenizerCase) -> None:
    made = case.fitted
    require.contract(made, Tokenizer)
    lossless = getattr(made, "lossless", None)
    says = f"`lossless` must be True or False, but is {named(lossless)}"
    require.that(isinstance(lossless, bool), says)
    says = f"{len(made)} ids are too few: PAD, BOS, EOS and UNK are 0 to 3 in each"
    require.that(len(made) > len(SPECIALS), says)


def _specials(case: TokenizerCase) -> None:
    made = case.fitted
    shown = tuple(made.shown(token) for token in (PAD, BOS, EOS, UNK))
    require.that(shown == SPECIALS, f"ids 0 to 3 are shown as {shown}, but must be {SPECIALS}")
    tokens = made.encode("the word").tolist()
    same = made.decode([BOS, *tokens, EOS, PAD, PAD]) == made.decode(tokens)
    require.that(same, "`decode` must leave out PAD, BOS and EOS (ids 0, 1 and 2)")


def _ids(case: TokenizerCase) -> None:
    made = case.fitted
    for text in ("", "t", TEXT, TEXT * 20, FAR_OFF):
        tokens: Any = made.encode(text)
        is_array = isinstance(tokens, np.ndarray)
        kind = f"{tokens.dtype} {list(tokens.shape)}" if is_array else named(tokens)
        says = f"`encode` must return a numpy array of int64 in one dimension, but returned {kind}"
        is_right = is_array and tokens.ndim == 1 and tokens.dtype == np.int64
        require.that(is_right, f"{says}; end with `np.array(ids, dtype=np.int64)`")
        least, largest = tokens.min(initial=UNK), tokens.max(initial=UNK)
        says = f"`encode` returned ids from {least} to {largest}, but they must be between UNK (3)"
        require.that(least >= UNK and largest < len(made), f"{says} and {len(made) - 1}")


def _plain_text(case: TokenizerCase) -> None:
    made = case.fitted
    for text in LIKE_SPECIALS:
        tokens = made.encode(text).tolist()
        says = f"the text {text!r} became a special id; it must stay plain text"
        require.that(not {PAD, BOS, EOS} & set(tokens), says)
        # A small vocabulary may have no room for it: what is unknown has not become special.
        if made.lossless and UNK not in tokens:
            back = made.decode(tokens)
            require.that(back == text, f"the text {text!r} came back as {back!r}")


def _lossless(case: TokenizerCase) -> None:
    strange = random_texts(150)
    texts = [TEXT, *prose(1).splitlines(), *strange]
    if not case.fitted.lossless:
        raise NotTriedError("it says that it is not lossless")
    try:
        made = case.fit(*texts)
    except ValueError:  # its vocabulary is too small for so many characters
        made, texts = case.fitted, texts[: -len(strange)]
    encoded = [(text, made.encode(text)) for text in texts]
    known = [(text, tokens) for text, tokens in encoded if UNK not in tokens]
    if not known:
        raise NotTriedError("its vocabulary is so small that no text is known in full")
    for text, tokens in known:
        back = made.decode(tokens)
        says = f"{text!r} came back as {back!r}, though it was learned from; keep every character"
        require.that(back == text, f"{says}, or say `lossless = False`")


def _shown(case: TokenizerCase) -> None:
    made = case.fitted
    shown = [made.shown(token) for token in range(len(made))]
    texts = all(isinstance(piece, str) and piece for piece in shown)
    require.that(texts, "`shown` must give a text, and not an empty one, for every id")
    says = "`decode` must take every id and return a text"
    require.that(isinstance(made.decode(range(len(made))), str), says)


def _surrogates(case: TokenizerCase) -> None:
    try:
        case.fitted.encode("ab\ud800")
    except ValueError as error:
        if "surrogate" in str(error):
            return
    says = "a lone surrogate is no character: call `seqgen.tokenizers.check_text(text)` in `encode`"
    raise BreachError(f"{says}, which raises the ValueError that names the place")


def _saved(case: TokenizerCase) -> None:
    made, other = case.fitted, case.make()
    files: Any = made.files()
    is_bytes = isinstance(files, dict) and all(isinstance(each, bytes) for each in files.values())
    require.that(is_bytes, "`files` must return a dict of file names and bytes")
    other.restore(dict(files))
    same = len(other) == len(made) and other.files() == files
    require.that(same, "`restore` of what `files` returned gave another vocabulary")
    same = np.array_equal(other.encode(TEXT + FAR_OFF), made.encode(TEXT + FAR_OFF))
    require.that(same, "a restored tokenizer encodes otherwise; write all that it needs")


def _same_bytes(case: TokenizerCase) -> None:
    made = case.fitted
    says = "fitting twice on the same texts gave other files; sort the vocabulary"
    require.that(case.fit().files() == made.files(), says)
    other = case.fit("ß", prose(2))
    if other.fingerprint() == made.fingerprint():
        says = "two vocabularies have the same `files`; write all of the vocabulary"
        require.that(len(other) == len(made), says)
        raise NotTriedError("its vocabulary does not depend on the text")


def _continuation(case: TokenizerCase) -> None:
    made = case.fitted
    tokens = made.encode(TEXT).tolist()
    for cut in (0, 1, len(tokens) // 2, len(tokens)):
        first = made.decode(tokens[:cut])
        added = made.continuation(iter(tokens[:cut]), iter(tokens[cut:]))
        says = "`continuation` must be what tokens add to the text before them"
        require.that(first + added == made.decode(tokens), says)


def _contents(case: TokenizerCase) -> None:
    made = case.fitted
    contents = made.contents()
    if contents is None:
        raise NotTriedError("it does not say what its tokens add to a text")
    for each in contents[:2]:
        says = f"`contents` has {len(each)} entries for {len(made)} tokens"
        require.that(len(each) == len(made), says)
    for text in ("", TEXT, *prose(1).splitlines()[:20], *random_texts(40)):
        content, begins = b"", True
        tokens = made.encode(text).tolist()
        for token in tokens:
            content += (contents.first if begins else contents.later)[token]
            begins = token in contents.breaks
        says = f"`decode` does not say what `contents` does of the tokens of {text!r}"
        require.that(text_so_far(content) == made.decode(tokens), says)


def _spans(case: TokenizerCase) -> None:
    made, tried = case.fitted, False
    for text in ("", "a the\n  word", TEXT, *prose(1).splitlines()[:20], *random_texts(40)):
        tokens, spans = made.encode(text).tolist(), made.spans(text)
        if spans is None:
            continue
        tried = True
        says = f"`spans` returned {len(spans)} for the {len(tokens)} tokens of {text!r}; it must"
        require.that(len(spans) == len(tokens), f"{says} return one for each, or None")
        place = 0
        for token, (start, end) in zip(tokens, spans, strict=True):
            says = f"`spans` are not in order, or leave the text {text!r}"
            require.that(place <= start <= end <= len(text), says)
            place, own = start, text[start:end]
            if token == UNK:
                says = f"{own!r} in {text!r} is where UNK should stand, but it is known"
                require.that(UNK in made.encode(own), says)
                continue
            alone = made.decode([token])
            fits = not text.startswith(alone, start) or start + len(alone) <= end
            require.that(fits, f"a token of {text!r} has the span {own!r}, where {alone!r} stands")
    if not tried:
        raise NotTriedError("it does not say where its tokens stand")


def _cuts(case: TokenizerCase) -> None:
    made, tried = case.fitted, False
    for text in ("a the\n  word\n\n b\n", TEXT, *prose(1).splitlines()[:5], *random_texts(40)):
        tokens = made.encode(text)
        for end in range(1, len(text) + 1):
            cut = made.last_cut(text[:end])
            says = f"`last_cut` is no place in the text {text[:end]!r}"
            require.that(isinstance(cut, int) and 0 <= cut <= end, f"{says}, but {cut!r}")
            if not cut:
                continue
            tried = True
            parts = [made.encode(part) for part in (text[:cut], text[cut:])]
            says = (
                f"{text!r} has other ids than {text[:cut]!r} and {text[cut:]!r}, where `last_cut`"
            )
            require.that(np.array_equal(np.concatenate(parts), tokens), f"{says} lets it be cut")
    if not tried:
        raise NotTriedError("it does not say where a text may be cut")


_BUILT = ("is a tokenizer",)
_BUILDING = (
    "it must be built from options that have defaults, and learn from `fit(texts)`; this check has "
    "4,000 words for it"
)
_CALLING = "`encode` must take every text, and `decode` every id"

TOKENIZER_LAWS: tuple[Law[TokenizerCase], ...] = (
    Law(_BUILT[0], _is_a_tokenizer, _BUILDING),
    Law("special tokens are 0 to 3", _specials, _CALLING, _BUILT),
    Law("encode gives ids", _ids, _CALLING, _BUILT),
    Law("text that looks special stays plain", _plain_text, _CALLING, _BUILT),
    Law("what was learned comes back", _lossless, _CALLING, _BUILT),
    Law("every id is shown and decoded", _shown, _CALLING, _BUILT),
    Law("contents are what tokens add", _contents, _CALLING, _BUILT),
    Law("spans are where tokens stand", _spans, _CALLING, _BUILT),
    Law("text cut at last_cut has the ids of the whole", _cuts, _CALLING, _BUILT),
    Law("lone surrogates are refused", _surrogates, _CALLING, _BUILT),
    Law("files and restore", _saved, "`restore` must take what `files` returned", _BUILT),
    Law("the same files twice", _same_bytes, "`files` must work after `fit`", _BUILT),
    Law("a continuation is what tokens add", _continuation, _CALLING, _BUILT),
)
