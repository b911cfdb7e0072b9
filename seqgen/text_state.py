"""`TextState`: what a model remembers of a text that it has read, as a value.

It is kept in a file, blended with another, gone on from.

A text is read in parts, and the parts of a text are those of every longer text that begins so. What
goes on from a state therefore computes what reading the whole would compute, to the last bit.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from seqgen.data import Data, Prompts, padded
from seqgen.errors import CheckpointError
from seqgen.files import RECORD_LIMIT, display_path, read_bytes, write_file
from seqgen.models import READ_AT_ONCE, Generative
from seqgen.options import shown
from seqgen.state import State, concatenate, leaves, map_state, outline, rebuild
from seqgen.tokenizers import UNK, LongText, Tokenizers

FORMAT = "1"

CONTEXT = 16
"""How many characters at the end of a text are read again at least where more text comes."""


@dataclass(frozen=True)
class TextState:
    """What a model remembers of a text.

    The first step after the text reads its token `last: [1]` in the state `end`. More text may
    change the last tokens of what is before it. So the `tail` of the text is encoded together with
    it, and read after the tokens `pending: [time]` in the state `part`. `begun` says whether there
    is any token before the tail; `context` is the end of the text, which outputs go on from. `run`
    identifies the weights and tokenizers.
    """

    run: str = field(repr=False)
    last: Tensor = field(repr=False)
    end: State = field(repr=False)
    part: State = field(repr=False)
    pending: Tensor = field(repr=False)
    tail: str = field(repr=False)
    context: str
    begun: bool

    def prompts(self, texts: Sequence[str], data: Data[Any], tokenizers: Tokenizers) -> Prompts:
        """The batch of a model's start for prompts that go on from this text."""
        rows, states = [], []
        for text in texts:
            tokens = _tokens(self.tail + text, data, tokenizers, self.begun) if text else self.last
            rows.append(torch.cat([self.pending, tokens]) if text else tokens)
            states.append(self.part if text else self.end)
        return Prompts(*padded(rows), concatenate(*states))

    def blend(self, other: TextState, weight: float) -> TextState:
        """`(1 - weight) * self + weight * other`, number by number.

        What is no float must be the same in both: the last token, which is yet to be read, and
        counts in the state. Raises ValueError where it differs, where the states are of two runs,
        or if `weight` is not from 0 to 1.
        """
        if not 0 <= weight <= 1:
            raise ValueError(f"`weight` must be from 0 to 1, but is {shown(weight)}")
        if self.run != other.run or outline(self.end) != outline(other.end):
            raise ValueError("`other` must be a state of the same run, but is of another")
        if not torch.equal(self.last, other.last):
            tokens = f"{int(self.last)} and {int(other.last)}"
            raise ValueError(f"`other` must end in the same token, but the two end in {tokens}")

        def mixed(one: Tensor, two: Tensor) -> Tensor:
            if one.is_floating_point():
                return (1 - weight) * one + weight * two
            if not torch.equal(one, two):
                raise ValueError("`other` must agree in what is no float, but differs")
            return one

        end = map_state(mixed, self.end, other.end)
        return replace(self, end=end, part=end, pending=self.last, tail="", begun=True)

    def save(self, path: str | Path) -> None:
        """Write it to a file of safetensors. Raises SetupError if that fails."""
        tensors = {"last": self.last, "pending": self.pending}
        for name, state in (("end", self.end), ("part", self.part)):
            tensors |= {f"{name}.{index}": each for index, each in enumerate(leaves(state))}
        tensors = {name: each.clone().contiguous() for name, each in tensors.items()}
        record = {"format": FORMAT, "run": self.run, "tail": self.tail, "context": self.context}
        record["begun"] = str(int(self.begun))
        record["sha256"] = _digest(record, tensors)
        # As one entry: the order of several varies.
        write_file(Path(path), save(tensors, {"state": json.dumps(record)}))

    @classmethod
    def load(cls, path: str | Path, run: str, like: State) -> TextState:
        """Read what `save` wrote; `like` is a state of the same structure.

        Raises CheckpointError, in one line, if the file is damaged, of another version, or of
        another run than `run`.
        """
        name = display_path(Path(path))
        content = read_bytes(Path(path), CheckpointError, limit=RECORD_LIMIT, wanted="a state")
        try:
            size = int.from_bytes(content[:8], "little")
            header = json.loads(content[8 : 8 + size])["__metadata__"]
            record = dict(json.loads(header["state"]))
            version = record["format"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise CheckpointError(f"{name}: damaged, or no state of a text") from None
        if version != FORMAT:
            raise CheckpointError(f"{name}: the format is {shown(version)}, not '{FORMAT}'")
        try:
            # Copies, since what lies in a file may be out of line for the kernels.
            tensors = {key: each.clone() for key, each in load(content).items()}
            intact = record.pop("sha256", "") == _digest(record, tensors)
        except (ValueError, TypeError, KeyError, RuntimeError, SafetensorError):
            intact = False
        if not intact:
            what = "damaged, its checksum is not the one it was written with"
            raise CheckpointError(f"{name}: {what}")
        if record["run"] != run:
            raise CheckpointError(
                f"{name}: a state of another run: its weights or tokenizers are not those of this "
                "one (seqgen state RUN makes one)"
            )
        end, part = (rebuild(like, _numbered(key, tensors)) for key in ("end", "part"))
        texts = {key: record[key] for key in ("run", "tail", "context")}
        begun = record["begun"] == "1"
        last, pending = tensors["last"], tensors["pending"]
        return cls(**texts, last=last, end=end, part=part, pending=pending, begun=begun)


def _digest(record: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of all that a file has."""
    found = hashlib.sha256(json.dumps(record, sort_keys=True).encode())
    for name, each in sorted(tensors.items()):
        found.update(f"{name} {outline(each)}".encode())
        found.update(each.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _numbered(prefix: str, tensors: Mapping[str, Tensor]) -> list[Tensor]:
    count = sum(key.startswith(f"{prefix}.") for key in tensors)
    return [tensors[f"{prefix}.{index}"] for index in range(count)]


def _tokens(text: str, data: Data[Any], tokenizers: Tokenizers, begun: bool) -> Tensor:
    """The tokens of a prompt, `[time]`, or of its rest where it has `begun` before."""
    found: Tensor = data.prompts([text], tokenizers).tokens[0]
    if not begun:
        return found
    return found[len(found) - len(tokenizers[data.output_field].encode(text)) :]


def read_text(
    text: LongText, model: Generative, data: Data[Any], *, tokenizers: Tokenizers, run: str
) -> tuple[TextState, Counter[str]]:
    """The state after a text, and its pieces that are unknown. It is read in parts of bounded size
    as far as the tokenizer says where a text may be cut (`last_cut`); else it is encoded whole.

    To be called as the model's other steps: without gradients and with its number of threads.
    Raises ValueError if the tokenizer, the data or the model cannot read it.
    """
    device = next(model.parameters()).device
    tokenizer, unknown = tokenizers[data.output_field], Counter[str]()
    part = model.read_on(torch.zeros(1, 0, dtype=torch.long, device=device))
    pending, begun, rest = torch.zeros(0, dtype=torch.long), False, ""

    def note(tokens: Tensor, piece: str) -> Tensor:
        if bool((tokens == UNK).any()):
            unknown.update(data.unknown(piece, tokenizers))
        return tokens

    for chunk in text.read(0):
        rest += chunk
        cut = tokenizer.last_cut(rest[:-CONTEXT])
        if not cut or not len(tokenizer.encode(rest[:cut])):
            continue
        tokens = note(_tokens(rest[:cut], data, tokenizers, begun), rest[:cut])
        pending, rest, begun = torch.cat([pending, tokens]), rest[cut:], True
        # A part is read once there is a token after it: it may be the last one, which is not.
        whole = (len(pending) - 1) // READ_AT_ONCE * READ_AT_ONCE
        part = model.read_on(pending[:whole].unsqueeze(0).to(device), part)
        pending = pending[whole:]
    tokens = torch.cat([pending, note(_tokens(rest, data, tokenizers, begun), rest)])
    end = model.read_on(tokens[:-1].unsqueeze(0).to(device), part)
    end, part = (map_state(Tensor.cpu, each) for each in (end, part))
    return TextState(run, tokens[-1:], end, part, pending, rest, rest, begun), unknown
