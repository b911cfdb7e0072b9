"""Reading a run directory: what its files say, and remarks on those that are missing or damaged."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePath

from seqgen.errors import CheckpointError
from seqgen.files import RECORD_LIMIT, display_path, read_bytes
from seqgen.reports.answers import Answer, read_answers
from seqgen.reports.attention import Looked, read_attention
from seqgen.reports.fields import Record, finite, record, records, string


@dataclass(frozen=True)
class RunFiles:
    """What is known of a run; every part may be empty."""

    name: str
    recipe: str
    manifest: Record
    train: tuple[Record, ...]
    valid: tuple[Record, ...]
    result: Record
    samples: tuple[Record, ...]
    remarks: tuple[str, ...]
    answers: tuple[Answer, ...] = ()
    attention: tuple[Looked, ...] = ()


def read_run(folder: Path) -> RunFiles:
    """Read the run directory `folder`; a missing or damaged file becomes a remark, no error."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such run directory")
    remarks: list[str] = []
    recipe = _text(folder / "recipe.yaml", remarks)
    manifest = _json(folder / "manifest.json", remarks)
    train, valid = _metrics(_text(folder / "metrics.jsonl", remarks), remarks)
    result = _json(folder / "result.json", remarks)
    result = result if isinstance(result, dict) else {}
    # Not every run has these, so that one is absent is worth no remark unless there were metrics.
    samples, _ = _list(folder / "samples.json", remarks)
    found, there = _list(folder / "answers.json", remarks)
    answers, no_answers = read_answers(found)
    if not there and _has_metrics(result):
        remarks.append("answers.json is missing")
    looks, _ = _list(folder / "attention.json", remarks)
    attention, no_attention = read_attention(looks)
    for name, damaged in (("answers", no_answers), ("attention", no_attention)):
        if damaged:
            entries = "entry" if damaged == 1 else "entries"
            remarks.append(f"damaged {entries} of {name}.json left out: {damaged}")
    return RunFiles(
        name=_name(manifest if isinstance(manifest, dict) else {}, folder),
        recipe=recipe,
        manifest=manifest if isinstance(manifest, dict) else {},
        train=train,
        valid=valid,
        result=result,
        samples=tuple(records(samples)),
        remarks=tuple(remarks),
        answers=answers,
        attention=attention,
    )


def _name(manifest: Record, folder: Path) -> str:
    name = string(manifest, "recipe") or folder.resolve().name
    path = PurePath(name)
    return path.stem if path.suffix in {".yaml", ".yml"} else name


def _text(path: Path, remarks: list[str]) -> str:
    if not os.path.lexists(path):
        remarks.append(f"{path.name} is missing")
        return ""
    try:
        text = read_bytes(path, CheckpointError, limit=RECORD_LIMIT).decode(errors="replace")
    except CheckpointError as error:
        reason = str(error).removeprefix(f"{display_path(path)}: ").removeprefix("cannot be read: ")
        remarks.append(f"{path.name} cannot be read ({reason})")
        return ""
    if not text.strip():
        remarks.append(f"{path.name} is empty")
    return text


def _json(path: Path, remarks: list[str]) -> object:
    text = _text(path, remarks)
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        remarks.append(f"{path.name} is damaged")
        return None


def _list(path: Path, remarks: list[str]) -> tuple[list[object], bool]:
    """What a file lists that need not be there, and whether it is."""
    if not os.path.lexists(path):
        return [], False
    known = len(remarks)
    found = _json(path, remarks)
    if not isinstance(found, list) and len(remarks) == known:
        remarks.append(f"{path.name} is damaged")
    return found if isinstance(found, list) else [], True


def _has_metrics(result: Record) -> bool:
    return any(record(record(result, part), "metrics") for part in ("test", "valid"))


def _metrics(text: str, remarks: list[str]) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """The train and valid records by step, each step once."""
    found: dict[str, dict[float, Record]] = {"train": {}, "valid": {}}
    lines = [line for line in text.split("\n") if line.strip()]
    damaged = 0
    for position, line in enumerate(lines):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            if position == len(lines) - 1:
                remarks.append("the last line of metrics.jsonl is cut, and left out")
            else:
                damaged += 1
            continue
        if isinstance(event, dict):
            _take(event, found)
    if damaged:
        remarks.append(f"{damaged} lines of metrics.jsonl are damaged, and left out")
    train, valid = (tuple(by_step[step] for step in sorted(by_step)) for by_step in found.values())
    return train, valid


def _take(event: Record, found: dict[str, dict[float, Record]]) -> None:
    step, kind = finite(event, "step"), string(event, "event")
    if step is None:
        return
    if kind == "resume":
        # What an interrupted run wrote after its last checkpoint did not happen: it is done again.
        for by_step in found.values():
            for later in [known for known in by_step if known > step]:
                del by_step[later]
    elif kind in found:
        found[kind][step] = event
