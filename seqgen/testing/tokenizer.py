"""The laws of tokenizers, and `check_tokenizer`, which tries them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqgen.testing.laws import BreachError, Law, NotTriedError, Report, Watch, try_laws, unwatched
from seqgen.testing.same import named
from seqgen.testing.small_parts import require_contract, small_part
from seqgen.tokenizers import BOS, EOS, PAD, SPECIALS, UNK, Tokenizer, tokenizers

TEXT = "In the beginning was the wörd, 日本語, and 😀.\r\n\t<pad> <bos></s> <eos> <unk> \x00\ufffd"
LIKE_SPECIALS = (*SPECIALS, "</s>", "<s>", "[PAD]", "<|endoftext|>")
BLOCKS = (
    *((32, 126), (0, 31), (0xA0, 0x24F), (0x300, 0x36F), (0x600, 0x6FF), (0x4E00, 0x4FFF)),
    *((0x1F300, 0x1F6FF), (0x2000, 0x206F), (0xFF00, 0xFFEF), (0xE000, 0xE0FF)),
)
"""Where random characters are from: code points, ASCII first."""
FAR_OFF = "\u0001 ﷽ \U0010fffd 漢字"


@dataclass(frozen=True)
class TokenizerCase:
    """How to build the tokenizer."""

    factory: Callable[..., Any]

    def make(self, *texts: str) -> Tokenizer:
        """The tokenizer, fitted on `texts` where there are any."""
        tokenizer: Tokenizer = self.factory()
        if texts:
            tokenizer.fit(texts)
        return tokenizer


def check_tokenizer(tokenizer: object, *, watch: Watch = unwatched, **options: Any) -> Report:
    """Try the laws on a tokenizer: a registered name, a mapping, a class or another callable."""
    name, factory = small_part(tokenizers, tokenizer, options)
    return try_laws(name, TOKENIZER_LAWS, TokenizerCase(factory), watch)


def random_texts(count: int) -> list[str]:
    """`count` short texts of characters from all over Unicode, always the same ones."""
    draw = random.Random(1)
    texts = []
    for _ in range(count):
        choices = (draw.choice(BLOCKS), BLOCKS[0])
        codes = [draw.randint(*draw.choice(choices)) for _ in range(draw.randint(1, 30))]
        texts.append("".join(map(chr, codes)))
    return texts


def _is_a_tokenizer(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    require_contract(made, Tokenizer)
    lossless = getattr(made, "lossless", None)
    if not isinstance(lossless, bool):
        raise BreachError(f"`lossless` must be True or False, but is {named(lossless)}")
    if len(made) <= len(SPECIALS):
        raise BreachError(f"{len(made)} ids are too few: PAD, BOS, EOS and UNK are 0 to 3 in each")


def _specials(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    shown = tuple(made.shown(token) for token in (PAD, BOS, EOS, UNK))
    if shown != SPECIALS:
        raise BreachError(f"ids 0 to 3 are shown as {shown}, but must be {SPECIALS}")
    tokens = made.encode("the word").tolist()
    if made.decode([BOS, *tokens, EOS, PAD, PAD]) != made.decode(tokens):
        raise BreachError("`decode` must leave out PAD, BOS and EOS (ids 0, 1 and 2)")


def _ids(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    for text in ("", "t", TEXT, TEXT * 20, FAR_OFF):
        tokens: Any = made.encode(text)
        if not isinstance(tokens, np.ndarray) or tokens.ndim != 1 or tokens.dtype != np.int64:
            raise BreachError(
                f"`encode` must return a numpy array of int64 in one dimension, but returned "
                f"{named(tokens)}; end with `np.array(ids, dtype=np.int64)`"
            )
        if len(tokens) and not (tokens.min() >= UNK and tokens.max() < len(made)):
            raise BreachError(
                f"`encode` returned ids from {tokens.min()} to {tokens.max()}, but they must be "
                f"between UNK (3) and {len(made) - 1}"
            )


def _plain_text(case: TokenizerCase) -> None:
    made = case.make(TEXT, *LIKE_SPECIALS)
    for text in LIKE_SPECIALS:
        tokens = made.encode(text).tolist()
        if {PAD, BOS, EOS} & set(tokens):
            raise BreachError(f"the text {text!r} became a special id; it must stay plain text")
        if made.lossless and made.decode(tokens) != text:
            raise BreachError(f"the text {text!r} came back as {made.decode(tokens)!r}")


def _lossless(case: TokenizerCase) -> None:
    texts = [TEXT, *random_texts(150)]
    if not case.make(TEXT).lossless:
        raise NotTriedError("it says that it is not lossless")
    try:
        made = case.make(*texts)
    except ValueError:  # its vocabulary is too small for so many characters
        made, texts = case.make(TEXT), [TEXT]
    for text in texts:
        back = made.decode(made.encode(text))
        if back != text:
            raise BreachError(
                f"{text!r} came back as {back!r}, though it was learned from; keep every "
                "character, or say `lossless = False`"
            )


def _shown(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    shown = [made.shown(token) for token in range(len(made))]
    if not all(isinstance(piece, str) and piece for piece in shown):
        raise BreachError("`shown` must give a text, and not an empty one, for every id")
    if not isinstance(made.decode(range(len(made))), str):
        raise BreachError("`decode` must take every id and return a text")


def _surrogates(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    try:
        made.encode("ab\ud800")
    except ValueError as error:
        if "surrogate" in str(error):
            return
    raise BreachError(
        "a lone surrogate is no character: call `tokenizers.base.check_text(text)` in `encode`, "
        "which raises the ValueError that names the place"
    )


def _saved(case: TokenizerCase) -> None:
    made, other = case.make(TEXT), case.make()
    files: Any = made.files()
    if not isinstance(files, dict) or not all(isinstance(each, bytes) for each in files.values()):
        raise BreachError("`files` must return a dict of file names and bytes")
    other.restore(dict(files))
    text = TEXT + FAR_OFF
    if len(other) != len(made) or other.files() != files:
        raise BreachError("`restore` of what `files` returned gave another vocabulary")
    if not np.array_equal(other.encode(text), made.encode(text)):
        raise BreachError("a restored tokenizer encodes otherwise; write all that it needs")


def _same_bytes(case: TokenizerCase) -> None:
    if case.make(TEXT, "a", "b c").files() != case.make(TEXT, "a", "b c").files():
        raise BreachError("fitting twice on the same texts gave other files; sort the vocabulary")
    if case.make(TEXT).fingerprint() == case.make(TEXT, "ß and another text").fingerprint():
        if len(case.make(TEXT)) == len(case.make(TEXT, "ß and another text")):
            raise NotTriedError("its vocabulary does not depend on the text")
        raise BreachError("two vocabularies have the same `files`; write all of the vocabulary")


def _continuation(case: TokenizerCase) -> None:
    made = case.make(TEXT)
    tokens = made.encode(TEXT).tolist()
    whole = made.decode(tokens)
    for cut in (0, 1, len(tokens) // 2, len(tokens)):
        first = made.decode(tokens[:cut])
        if first + made.continuation(iter(tokens[:cut]), iter(tokens[cut:])) != whole:
            raise BreachError("`continuation` must be what tokens add to the text before them")


_BUILT = ("is a tokenizer",)
_BUILDING = "it must be built from options that have defaults, and learn from `fit(texts)`"
_CALLING = "`encode` must take every text, and `decode` every id"

TOKENIZER_LAWS: tuple[Law[TokenizerCase], ...] = (
    Law(_BUILT[0], _is_a_tokenizer, _BUILDING),
    Law("special tokens are 0 to 3", _specials, _CALLING, _BUILT),
    Law("encode gives ids", _ids, _CALLING, _BUILT),
    Law("text that looks special stays plain", _plain_text, _CALLING, _BUILT),
    Law("what was learned comes back", _lossless, _CALLING, _BUILT),
    Law("every id is shown and decoded", _shown, _CALLING, _BUILT),
    Law("lone surrogates are refused", _surrogates, _CALLING, _BUILT),
    Law("files and restore", _saved, "`restore` must take what `files` returned", _BUILT),
    Law("the same files twice", _same_bytes, "`files` must work after `fit`", _BUILT),
    Law("a continuation is what tokens add", _continuation, _CALLING, _BUILT),
)
