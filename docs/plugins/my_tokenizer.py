"""The tokenizer `my_tokenizer`: characters, all in lower case."""

import json

import numpy as np

from seqgen.tokenizers import SPECIALS, UNK, Tokenizer, check_text, tokenizers


@tokenizers.register("my_tokenizer")
class MyTokenizer(Tokenizer):
    """One token for each lower-case character that stands `least` times in the training text."""

    lossless = False  # capitals do not come back

    def __init__(self, least: int = 1) -> None:
        self.least = least
        self._set([])

    def fit(self, texts):
        counts = {}
        for text in texts:
            check_text(text)
            for char in text.lower():
                counts[char] = counts.get(char, 0) + 1
        self._set(sorted(char for char, count in counts.items() if count >= self.least))

    def encode(self, text):
        check_text(text)
        return np.array([self._ids.get(char, UNK) for char in text.lower()], dtype=np.int64)

    def decode(self, tokens):
        return "".join(self._pieces[token] for token in tokens)

    def __len__(self):
        return len(self._pieces)

    def shown(self, token):
        return SPECIALS[token] if token < len(SPECIALS) else self._pieces[token]

    def files(self):
        return {"chars.json": json.dumps(self._pieces[len(SPECIALS) :]).encode()}

    def restore(self, files):
        try:
            self._set(json.loads(files["chars.json"]))
        except (KeyError, ValueError, TypeError) as error:
            raise ValueError(f"`chars.json` must be a list of characters: {error}") from None

    def _set(self, chars):
        # PAD, BOS and EOS are no text, and UNK is U+FFFD.
        self._pieces = ["", "", "", "\ufffd", *chars]
        self._ids = {char: number for number, char in enumerate(chars, len(SPECIALS))}
