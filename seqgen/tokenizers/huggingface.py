"""The tokenizer `huggingface`: a ready `tokenizer.json`, or pieces learned by the same library."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from seqgen.tokenizers import base, pieces
from seqgen.tokenizers.base import SPECIALS, UNK, Contents, Counts, Spans, Tokenizer, Tokens
from seqgen.tokenizers.long_text import LongText

FILE = "tokenizer.json"
VERSION = "1.0"
LEAST = len(SPECIALS) + 256
"""Every byte is a piece of a vocabulary that is trained here."""

_AT_ONCE, _TEXTS = 1 << 16, 16
"""About so many characters, and so many texts, are read at once, since the library takes much
memory for each token."""

_DECIMALS, _APART = 9, 1e-4
"""Of the scores of a trained `unigram`, which the library adds up in an order that varies; and how
far apart it puts those of bytes that are no good pieces, in an order that varies, too."""


def library() -> Any:
    """The module `tokenizers`, to work in one thread. Raises ValueError if it is not installed."""
    if find_spec("tokenizers") is None:
        needed = "the package tokenizers; pip install 'seqgen-toolkit[hf]'"
        raise ValueError(f"the tokenizer `huggingface` needs {needed}")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked processes warn otherwise
    import tokenizers

    return tokenizers


@base.tokenizers.register("huggingface")
@dataclass(eq=False)
class HuggingFaceTokenizer(Tokenizer):
    """The tokenizer in a `tokenizer.json`, or one that learns by `bpe` or `unigram` on bytes.

    A ready `file` is used as it is, but that ids 0 to 3 are ours, what it has as special tokens is
    plain text, and no token is added to a text. It gives each text back if it is of bytes (GPT-2,
    Llama 3) and changes no letters; others may lose spaces, accents or unknown characters. What is
    trained has `vocab_size` ids: the four special ones, all bytes and what is learned; no text is
    unknown to it. The same texts give the same file: the scores of `unigram` are rounded to nine
    decimals, since the library adds them up in any order. Needs the extra `hf`.
    """

    model: Literal["bpe", "unigram"] = "bpe"
    vocab_size: Annotated[int, Field(ge=LEAST)] = 2000
    file: Path | None = None

    def __post_init__(self) -> None:
        self.lossless = self.file is None
        self._ready: Ready | None = None

    @property
    def ready(self) -> Ready:
        """What was read or trained; before that a vocabulary of nothing but bytes."""
        if self._ready is None:
            self._set(json.dumps(_trained(library(), (), "bpe", LEAST)).encode())
        assert self._ready is not None
        return self._ready

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the pieces from `texts`, or read the file."""
        if self.file is not None:
            for text in texts:
                base.check_text(text)
            content = pieces.read_ready(self.file, "file", f"a {FILE}")
            return self._set(content, f"`file` {self.file}")
        parts = (part for text in texts for part in self._parts(text))
        record = _trained(library(), parts, self.model, self.vocab_size)
        return self._set(json.dumps(record, ensure_ascii=False).encode())

    def last_cut(self, text: str) -> int:
        # The words that the pieces are in begin at each space or line end after something else.
        if not (self.file is None if self._ready is None else self._ready.cuts):
            return 0
        place = max(text.rfind(" "), text.rfind("\n"))
        while place > 0 and text[place - 1].isspace():
            place = max(text.rfind(" ", 0, place), text.rfind("\n", 0, place))
        return max(0, place)

    def encode(self, text: str) -> Tokens:
        return self.encode_all([text])[0]

    def encode_all(self, texts: Sequence[str]) -> tuple[Tokens, Counts]:
        parts = [self._parts(text) for text in texts]
        every = [part for own in parts for part in own]
        found = [np.zeros(0, dtype=np.int64)]
        for begin in range(0, len(every), _TEXTS):
            some = self.ready.model.encode_batch_fast(every[begin : begin + _TEXTS], **_PLAIN)
            found += [np.array(each.ids, dtype=np.int64) for each in some]
        sizes = iter(map(len, found[1:]))
        counts = [sum(next(sizes) for _ in own) for own in parts]
        return self.ready.from_theirs[np.concatenate(found)], np.array(counts, dtype=np.int64)

    def spans(self, text: str) -> Spans:
        """The places of the pieces as the library has them."""
        base.check_text(text)
        return [*self.ready.model.encode(text, **_PLAIN).offsets]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the pieces; a character that lacks bytes at the end is left out."""
        own = [token for token in tokens if token >= UNK]
        contents = self.ready.contents
        if contents is not None:
            rest = b"".join([contents.later[token] for token in own[1:]])
            return base.text_so_far(contents.first[own[0]] + rest) if own else ""
        theirs = [self.ready.theirs[token] for token in own]
        known = [token for token in theirs if token >= 0]
        return str(self.ready.model.decode(known, skip_special_tokens=False))

    def contents(self) -> Contents | None:
        """None for a ready file whose decoder does more than to put bytes together."""
        return self.ready.contents

    def __len__(self) -> int:
        return len(self.ready.shown)

    def shown(self, token: int) -> str:
        """The piece with its spaces; bytes that are no characters as `<0xE2>`."""
        return self.ready.shown[token]

    def files(self) -> dict[str, bytes]:
        return {FILE: self.ready.content}

    def restore(self, files: dict[str, bytes]) -> None:
        self._set(files.get(FILE, b""))

    def _set(self, content: bytes, name: str = f"`{FILE}`") -> None:
        self._ready = Ready.of(content, name)
        self.lossless = self._ready.lossless

    def _parts(self, text: str) -> list[str]:
        """Parts of a text that have its ids. Raises ValueError if it has a lone surrogate."""
        base.check_text(text)
        if len(text) <= _AT_ONCE:
            return [text]

        def read(place: int) -> Iterator[str]:
            yield from (text[i : i + _AT_ONCE] for i in range(place, len(text), _AT_ONCE))

        return [*LongText(read, len(text)).pieces(self)]


_PLAIN = {"add_special_tokens": False}


@dataclass(frozen=True)
class Ready:
    """A `tokenizer.json` as we read it, its pieces by our ids, and the ids both ways.

    `theirs` is -1 for a special token that it lacks. `lossless` says that every text comes back,
    `cuts` that a word of it begins at each space or line end.
    """

    content: bytes
    model: Any
    shown: tuple[str, ...]
    contents: Contents | None
    theirs: tuple[int, ...]
    from_theirs: Tokens
    lossless: bool
    cuts: bool

    @classmethod
    def of(cls, content: bytes, name: str) -> Ready:
        """Raises ValueError, which calls the file `name`, if it is none or cannot be loaded."""
        try:
            record = json.loads(content)
            version = record["version"]
            kind, added = record["model"]["type"], record["added_tokens"]
            special = {each["content"] for each in added if each["special"]}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"{name} must be a tokenizer.json, but is none or damaged") from None
        if version != VERSION:
            found = f"{VERSION} of the format, but is of {version!r}"
            raise ValueError(f"{name} must be of version {found}")
        kept = [each for each in added if not each["special"]]
        # No text is a special token, and none is added to a text, cut off or drawn at random.
        record |= {"added_tokens": kept, "post_processor": None, "truncation": None}
        record |= {"padding": None, "model": {**record["model"], "dropout": None}}
        try:
            model = library().Tokenizer.from_str(json.dumps(record))
            unknown = _unknown(record["model"], kind)
        except ValueError:
            raise
        except Exception as error:  # the library has no kind of its own
            reason = " ".join(str(error).split())
            raise ValueError(f"{name} cannot be loaded: {reason}") from None
        vocabulary = sorted(model.get_vocab().items(), key=lambda each: each[1])
        plain = [each for each in vocabulary if each[0] not in special | {unknown}]
        from_theirs = np.full(1 + max((i for _, i in vocabulary), default=0), UNK, dtype=np.int64)
        ids = [token for _, token in plain]
        from_theirs[ids] = np.arange(len(SPECIALS), len(SPECIALS) + len(ids))
        own = -1 if unknown is None else model.token_to_id(unknown)
        texts = [text for text, _ in plain]
        contents, of_bytes = _contents(record["decoder"], texts), _of_bytes(record, texts)
        lossless = of_bytes and not kept and contents is not None
        return cls(
            content,
            model,
            (*SPECIALS, *_shown(texts, contents)),
            contents,
            (-1, -1, -1, -1 if own is None else own, *ids),
            from_theirs,
            lossless,
            lossless and _has_regex(record["pre_tokenizer"]),
        )


def _unknown(model: Mapping[str, Any], kind: str) -> str | None:
    """The piece that stands for what is unknown, if there is one."""
    if kind != "Unigram":
        return model.get("unk_token")
    place = model.get("unk_id")
    return None if place is None else str(model["vocab"][place][0])


def _byte_characters() -> dict[str, int]:
    """How GPT-2 writes each byte in a piece: itself where that can be seen, else from U+0100 on."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in seen]
    return {
        **{chr(byte): byte for byte in seen},
        **{chr(0x100 + place): byte for place, byte in enumerate(others)},
    }


BYTES = _byte_characters()


def _contents(decoder: Mapping[str, Any] | None, texts: Sequence[str]) -> Contents | None:
    """What pieces add to a text; None where the decoder does more than we know."""
    steps = [] if decoder is None else decoder.get("decoders", [decoder])
    kinds = [each["type"] for each in steps]
    special = [b"", b"", b"", base.REPLACEMENT.encode()]
    if kinds == ["ByteLevel"]:
        every = [*special, *map(_bytes_of, texts)]
        return Contents(every, every)
    space = steps[0].get("replacement") if kinds == ["Metaspace"] else None
    begins = bool(space) and steps[0].get("prepend_scheme", "always") != "never"
    if kinds in (["Replace", "ByteFallback", "Fuse"], ["Replace", "ByteFallback", "Fuse", "Strip"]):
        known = steps[0]["content"] == " " and steps[0]["pattern"] == {"String": pieces.SPACE}
        space = pieces.SPACE if known else None
        begins = len(kinds) == 4 and (steps[3]["start"], steps[3]["stop"]) == (1, 0)
        space = None if len(kinds) == 4 and not begins else space
    if space is None:
        return None
    fallback = "ByteFallback" in kinds
    later = [*special, *(pieces.written_bytes(each, space, bytes_too=fallback) for each in texts)]
    return Contents([each.removeprefix(b" ") for each in later] if begins else later, later)


def _bytes_of(text: str) -> bytes:
    """The bytes of a piece as GPT-2 writes it, or the text itself where it is not written so."""
    found = [BYTES.get(char, -1) for char in text]
    return text.encode() if -1 in found else bytes(found)


def _shown(texts: Sequence[str], contents: Contents | None) -> Iterator[str]:
    for place, text in enumerate(texts, len(SPECIALS)):
        content = text.encode() if contents is None else contents.later[place]
        try:
            yield base.shown_plainly(content.decode())
        except UnicodeDecodeError:
            yield "".join(map(base.shown_byte, content))


def _steps(part: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    return [] if part is None else [*part.get("pretokenizers", [part])]


def _of_bytes(record: Mapping[str, Any], texts: Sequence[str]) -> bool:
    """Whether every text is cut into pieces of its own bytes, and nothing is lost or put in."""
    steps = _steps(record["pre_tokenizer"])
    keeps = all(
        (each["type"] == "ByteLevel" and not each["add_prefix_space"])
        or (each["type"] == "Split" and each["behavior"] != "Removed")
        for each in steps
    )
    last = bool(steps) and steps[-1]["type"] == "ByteLevel"
    model = record["model"]
    marked = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    whole = {*BYTES} <= {*texts} and record["decoder"] is not None and not marked
    return whole and keeps and last and record["normalizer"] is None


def _has_regex(pre_tokenizer: Mapping[str, Any]) -> bool:
    """Whether the words are those of GPT-2."""
    return pre_tokenizer["type"] == "ByteLevel" and bool(pre_tokenizer.get("use_regex", True))


def _trained(tokenizers: Any, texts: Iterable[str], model: str, vocab_size: int) -> dict[str, Any]:
    """The content of a `tokenizer.json` that was trained. Raises ValueError if `vocab_size` cannot
    be had from the texts."""
    models, trainers = tokenizers.models, tokenizers.trainers
    alphabet = sorted(BYTES)
    how = {"vocab_size": vocab_size, "show_progress": False, "initial_alphabet": alphabet}
    how["special_tokens"] = [*SPECIALS]
    if model == "bpe":
        made, trainer = tokenizers.Tokenizer(models.BPE()), trainers.BpeTrainer(**how)
    else:
        made = tokenizers.Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(unk_token=SPECIALS[UNK], **how)
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    try:
        made.train_from_iterator(texts, trainer)
    except ValueError:  # of ours
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"`tokenizers` cannot learn from this text: {reason}") from None
    found = made.get_vocab_size()
    if found != vocab_size:
        bound = f"at most {found}" if found < vocab_size else f"above {vocab_size}"
        raise ValueError(f"`vocab_size` must be {bound} for this text, but is {vocab_size}")
    record: dict[str, Any] = json.loads(made.to_str())
    if model == "unigram":
        record["model"]["vocab"] = _in_order(record["model"]["vocab"])
    return record


def _in_order(vocabulary: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The same whatever order the library had: bytes that it put in afterwards all have the least
    score, from which it counts upwards."""
    least = min(score for _, score in vocabulary)
    found = []
    for text, score in vocabulary[len(SPECIALS) :]:
        steps = (score - least) / _APART
        added = len(text) == 1 and steps < 256 and abs(steps - round(steps)) < 1e-5
        found.append((text, round(least if added else score, _DECIMALS)))
    return [*vocabulary[: len(SPECIALS)], *sorted(found, key=lambda each: (-each[1], each[0]))]
