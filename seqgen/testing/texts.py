"""Texts on which tokenizers are tried: strange ones, random ones, and enough to learn from."""

from __future__ import annotations

import random
from functools import cache

from seqgen.tokenizers import SPECIALS

TEXT = "In the beginning was the wörd, 日本語, and 😀.\r\n\t<pad> <bos></s> <eos> <unk> \x00\ufffd"
LIKE_SPECIALS = (*SPECIALS, "</s>", "<s>", "[PAD]", "<|endoftext|>")
FAR_OFF = "\u0001 ﷽ \U0010fffd 漢字"

BLOCKS = (
    *((32, 126), (0, 31), (0xA0, 0x24F), (0x300, 0x36F), (0x600, 0x6FF), (0x4E00, 0x4FFF)),
    *((0x1F300, 0x1F6FF), (0x2000, 0x206F), (0xFF00, 0xFFEF), (0xE000, 0xE0FF)),
)
"""Where random characters are from: code points, ASCII first."""

STARTS = ("", *"bcdfghjklmnprstvwz", "br", "ch", "pl", "sh", "st", "tr")
ENDS = ("", "", *"klmnrst", "ng")


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
    """Sentences in a language that `seed` makes up: 4,000 words, some of them often.

    That is enough for a vocabulary of 2,000 pieces, by `unigram` too, which needs the most text.
    """
    draw = random.Random(seed)
    words = [_word(draw) for _ in range(20_000)]
    weights = [1 / (rank + 1000) for rank in range(len(words))]
    chosen = draw.choices(words, weights, k=4000)
    sentences = [" ".join(chosen[start : start + 10]) for start in range(0, len(chosen), 10)]
    return "".join(f"{each}.\n" for each in sentences)


def _word(draw: random.Random) -> str:
    """One to three syllables."""
    count = draw.randint(1, 3)
    return "".join(
        draw.choice(STARTS) + draw.choice("aeiou") + draw.choice(ENDS) for _ in range(count)
    )
