"""What runs in a process of its own: it finds the parts and checks them, law by law."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import torch

from seqgen import plugins
from seqgen.config import lay_over, read_override
from seqgen.errors import PluginError, UsageError
from seqgen.options import OptionError, did_you_mean
from seqgen.plugins import ROOMS
from seqgen.testing.attention import ATTENTION_LAWS, check_attention
from seqgen.testing.cell import CELL_LAWS, check_cell
from seqgen.testing.constraint import CONSTRAINT_LAWS, check_constraint
from seqgen.testing.dataset import DATASET_LAWS, check_data
from seqgen.testing.decoder import DECODER_LAWS, check_decoder
from seqgen.testing.draft import DRAFT_LAWS, check_draft
from seqgen.testing.embedding import EMBEDDING_LAWS, check_embedding
from seqgen.testing.encoder import ENCODER_LAWS, check_encoder
from seqgen.testing.head import HEAD_LAWS, check_head
from seqgen.testing.laws import ALONE, OPTIONS, Finding, Law, Report, split_file
from seqgen.testing.metric import METRIC_LAWS, check_metric
from seqgen.testing.model import MODEL_LAWS, check_model
from seqgen.testing.tokenizer import TOKENIZER_LAWS, check_tokenizer
from seqgen.testing.tracker import TRACKER_LAWS, check_tracker
from seqgen.testing.truncation import TRUNCATION_LAWS, check_truncation


class Check(NamedTuple):
    """How the parts of a room are checked."""

    check: Callable[..., Report]
    laws: Sequence[Law[Any]]


CHECKS = {
    "cells": Check(check_cell, CELL_LAWS),
    "heads": Check(check_head, HEAD_LAWS),
    "embeddings": Check(check_embedding, EMBEDDING_LAWS),
    "encoders": Check(check_encoder, ENCODER_LAWS),
    "attentions": Check(check_attention, ATTENTION_LAWS),
    "models": Check(check_model, MODEL_LAWS),
    "tokenizers": Check(check_tokenizer, TOKENIZER_LAWS),
    "decoders": Check(check_decoder, DECODER_LAWS),
    "constraints": Check(check_constraint, CONSTRAINT_LAWS),
    "truncations": Check(check_truncation, TRUNCATION_LAWS),
    "drafts": Check(check_draft, DRAFT_LAWS),
    "metrics": Check(check_metric, METRIC_LAWS),
    "trackers": Check(check_tracker, TRACKER_LAWS),
    "data": Check(check_data, DATASET_LAWS),
}

NO_CHECK = f"there are checks for {', '.join(CHECKS)}, not for this kind"

IMPORTED = "is imported"


class Target(NamedTuple):
    """A part: its room and its name."""

    room: str
    name: str

    def __str__(self) -> str:
        return f"{self.room}.{self.name}"


def find_targets(wanted: str) -> list[Target]:
    """The parts that `wanted` means: `FILE.py`, `FILE.py:name`, `name` or `room.name`.

    A file is imported, which runs it. Raises PluginError, UsageError.
    """
    plugins.load_installed()
    path, name = split_file(wanted)
    if path is None:
        return [_registered(wanted)]
    before = set(_all_parts())
    plugins.load_files([str(path.resolve())])
    new = [each for each in _all_parts() if each not in before]
    if not new:
        raise PluginError(
            f'{path}: registers no part; put `@cells.register("my_name")` before the class, or '
            f"that of another kind ({', '.join(CHECKS)})"
        )
    chosen = [each for each in new if not name or each.name == name]
    if not chosen:
        near = did_you_mean(name, [each.name for each in new])
        there = ", ".join(map(str, new))
        raise UsageError(f"{path}: registers nothing called '{name}'{near} ({there})")
    return chosen


def _registered(wanted: str) -> Target:
    room, dot, name = wanted.rpartition(".")
    found = [each for each in _all_parts() if wanted in (each.name, str(each))]
    if dot and room in ROOMS and not found:
        near = did_you_mean(name, ROOMS[room].names())
        raise UsageError(f"no {ROOMS[room].kind} named '{name}'{near}")
    if not found:
        near = did_you_mean(wanted, [x for each in _all_parts() for x in (each.name, str(each))])
        raise UsageError(f"no part named '{wanted}'{near} (a file, or a name from seqgen list)")
    if len(found) > 1:
        choices = ", ".join(map(str, found))
        raise UsageError(f"'{wanted}' is the name of several parts; say which: {choices}")
    [target] = found
    if target.room not in CHECKS:
        raise UsageError(f"{target}: {NO_CHECK}")
    return target


def _all_parts() -> list[Target]:
    return [Target(room, name) for room, registry in ROOMS.items() for name in registry.names()]


def main(wanted: str, report: Path, settings: list[str]) -> None:
    """Check what is `wanted`; `report` gets a line of JSON for each thing that happens."""
    torch.set_num_threads(1)
    torch.zeros(1, device="meta").tanh()  # loads what takes a second; no part should be blamed
    process = os.getpid()
    with report.open("a", encoding="utf-8") as file:
        try:
            _check_all(wanted, settings, file)
        except UsageError as error:
            _write(file, refused=str(error))
        if os.getpid() == process:
            _write(file, end=True)
    # Not by returning: threads that a part has left would keep the process from ending.
    os._exit(0)


def _check_all(wanted: str, settings: list[str], file: TextIO) -> None:
    path, _ = split_file(wanted)
    _write(file, at=[str(path or wanted), IMPORTED])
    try:
        targets = find_targets(wanted)
    except PluginError as error:
        _write(file, found=[str(path), IMPORTED, "broken", str(error)])
        return
    for target in targets:
        laws = CHECKS[target.room].laws if target.room in CHECKS else ()
        _write(file, plan=[str(target), [law.name for law in laws]])
    options = lay_over({}, [read_override(each, "--set") for each in settings])
    for target in targets:
        if target.room in CHECKS:
            _check(file, target, options)
        else:
            _write(file, found=[str(target), "a check", "not tried", NO_CHECK])


def _check(file: TextIO, target: Target, options: dict[str, Any]) -> None:
    part, process = str(target), os.getpid()

    def watch(law: str, finding: Finding | None) -> None:
        if os.getpid() != process:  # a copy, which must not check everything once more
            says = "it forks, and the copy returns into the program; end a copy by os._exit"
            _write(file, found=[part, ALONE, "broken", says])
            os.killpg(0, signal.SIGKILL)
        if finding is None:
            _write(file, at=[part, law])
        else:
            _write(file, found=[part, finding.law, finding.outcome, finding.says])

    try:
        CHECKS[target.room].check(target.name, watch=watch, **options)
    except ValueError as error:
        missing = isinstance(error, OptionError) and not error.path
        says = f"{error}; give it with --set NAME=VALUE" if missing else str(error)
        _write(file, found=[part, OPTIONS, "not tried", says])
    left = [each.name for each in threading.enumerate() if not each.daemon]
    if len(left) > 1:
        says = f"a thread that it started runs on ({left[1]}) and keeps the program from ending; "
        _write(file, found=[part, ALONE, "broken", f"{says}join it, or make it a daemon"])


def _write(file: TextIO, **event: Any) -> None:
    print(json.dumps(event), file=file, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
