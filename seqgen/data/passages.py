"""A passage of text as an example: its first tokens are the prompt, the others the reference."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.data.base import Example
from seqgen.tokenizers.base import Tokenizer


def passage(tokens: Sequence[int], prompt_size: int, tokenizer: Tokenizer) -> Example:
    """The text of the first `prompt_size` tokens, and what the rest adds behind it."""
    prompt, rest = tokens[:prompt_size], tokens[prompt_size:]
    return Example(tokenizer.decode(prompt), (tokenizer.continuation(prompt, rest),))
