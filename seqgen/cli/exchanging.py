"""Verbs that give tokenizers to other programs and take them from there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli import arguments
from seqgen.cli.arguments import PluginFiles, RunFolder
from seqgen.cli.output import echo, line_file
from seqgen.errors import UsageError


def tokenizer(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path(
        "tokenizer.json"
    ),
    field: Annotated[
        str | None, typer.Option(metavar="NAME", help="source, target, ...; by default the output.")
    ] = None,
    plugins: PluginFiles = None,
) -> None:
    """Write the tokenizer of a run as a tokenizer.json for other programs.

    Before it is written it reads the training text of the run, which must have the same ids.
    """
    with arguments.importing():
        from seqgen.tokenizers.exchange import tokenizer_json
        from seqgen.trained import TrainedRun

    built = TrainedRun.load(run, "cpu", plugins=plugins or []).built
    name = built.data.output_field if field is None else field
    if name not in built.tokenizers:
        there = ", ".join(built.tokenizers)
        raise UsageError(f"--field must be one of the run's texts ({there}), but is '{name}'")
    texts = built.data.training_texts()[name]
    with line_file(out) as write:
        try:
            write(tokenizer_json(built.tokenizers[name], texts).decode())
        except ValueError as error:
            raise UsageError(f"tokenizer: {error}") from None
    if str(out) != "-":
        echo(f"tokenizer: {out}")


def import_vocabulary(
    vocabulary: Annotated[Path, typer.Argument(metavar="FILE", help="A pickled vocabulary.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path(
        "words.json"
    ),
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which one, where a file has several.")
    ] = None,
) -> None:
    """Bring over a vocabulary of torchtext, for the tokenizer word.

    The file may be one of pickle or torch.save with a Vocab or fields of torchtext up to 0.8 or of
    torchtext.legacy. Nothing of it is run: it is read as data, and refused if it names anything
    else.
    """
    with arguments.importing():
        from seqgen.tokenizers.pickled import read_vocabulary

    found = read_vocabulary(vocabulary, name)
    with line_file(out) as write:
        write(json.dumps(found.words, ensure_ascii=True, indent=0))
    if str(out) == "-":
        return
    left_out = f" without {', '.join(found.left_out)}" if found.left_out else ""
    lower = ", lower: true" if found.lower else ""
    echo(f"vocabulary: {out}: {len(found.words):,} words{left_out}")
    echo(f"tokenizer: {{name: word, vocabulary_file: {out}{lower}}}")
