"""What a person wants checked: the parts of a file, one of them, or any registered part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqgen import plugins
from seqgen.errors import PluginError, UsageError
from seqgen.options import did_you_mean
from seqgen.rooms import ROOMS
from seqgen.testing.apart import split_file
from seqgen.testing.cell import CELL_LAWS, check_cell
from seqgen.testing.decoder import DECODER_LAWS, check_decoder
from seqgen.testing.head import HEAD_LAWS, check_head
from seqgen.testing.laws import Law, Report
from seqgen.testing.tokenizer import TOKENIZER_LAWS, check_tokenizer


class Check(NamedTuple):
    """How the parts of a room are checked."""

    check: Callable[..., Report]
    laws: Sequence[Law[Any]]


CHECKS = {
    "cells": Check(check_cell, CELL_LAWS),
    "heads": Check(check_head, HEAD_LAWS),
    "tokenizers": Check(check_tokenizer, TOKENIZER_LAWS),
    "decoders": Check(check_decoder, DECODER_LAWS),
}


class Target(NamedTuple):
    """A part: its room and its name."""

    room: str
    name: str

    def __str__(self) -> str:
        return f"{self.room}.{self.name}"


def find_targets(wanted: str) -> list[Target]:
    """The parts that `wanted` means: `FILE.py`, `FILE.py:name`, `name` or `room.name`.

    A file is imported, which runs it. Errors: PluginError, UsageError.
    """
    plugins.load_installed()
    path, name = split_file(wanted)
    return [_registered(wanted)] if path is None else _of_file(path, name)


def _of_file(path: Path, name: str) -> list[Target]:
    before = set(_all())
    plugins.load_files([str(path.resolve())])
    new = [each for each in _all() if each not in before]
    if not new:
        raise PluginError(
            f'{path}: registers no part; put `@cells.register("my_name")` (or heads, tokenizers, '
            "decoders) before the class"
        )
    chosen = [each for each in new if not name or each.name == name]
    if not chosen:
        near = did_you_mean(name, [each.name for each in new])
        there = ", ".join(str(each) for each in new)
        raise UsageError(f"{path}: registers nothing called '{name}'{near} ({there})")
    return chosen


def _registered(wanted: str) -> Target:
    room, dot, name = wanted.rpartition(".")
    found = [each for each in _all() if wanted == each.name or (room, name) == (*each,)]
    if dot and room in ROOMS and not found:
        raise UsageError(f"no {ROOMS[room].kind} named '{name}'{did_you_mean(name, _names(room))}")
    if not found:
        near = did_you_mean(wanted, [each.name for each in _all()])
        raise UsageError(f"no part named '{wanted}'{near} (a file, or a name from seqgen list)")
    if len(found) > 1:
        choices = ", ".join(str(each) for each in found)
        raise UsageError(f"'{wanted}' is the name of several parts; say which: {choices}")
    [target] = found
    if target.room not in CHECKS:
        raise UsageError(f"{target}: there are checks for {', '.join(CHECKS)}, not for this kind")
    return target


def _names(room: str) -> tuple[str, ...]:
    return ROOMS[room].names()


def _all() -> list[Target]:
    return [Target(room, name) for room in ROOMS for name in _names(room)]
