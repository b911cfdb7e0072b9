"""The verb `check`: does a part keep the contract of its kind?"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import typer

from seqgen.cli.output import echo
from seqgen.cli.plugin_files import number
from seqgen.errors import PluginError, UsageError


def check(
    target: Annotated[
        str,
        typer.Argument(help="FILE.py, FILE.py:NAME, or a registered part such as lstm."),
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the part.")
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            parser=number("Seconds"),
            metavar="N",
            help="How long one law may take before it counts as broken.",
        ),
    ] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Try the laws of its kind on a cell, head, tokenizer or decoder; exit code 8 if one breaks.

    It runs in a process of its own, so a crash or a hang is a finding, too.
    """
    from seqgen.overrides import read_override
    from seqgen.testing.apart import check_apart
    from seqgen.testing.target import split_file

    path, _ = split_file(target)
    if path is not None and not path.is_file():
        raise UsageError(f"{path}: no such file")
    for each in settings or []:
        read_override(each, "--set")  # says what is wrong with it
    reports = check_apart(target, settings or [], seconds)
    if as_json:
        found = [
            {"part": each.part, "laws": [asdict(x) for x in each.findings]} for each in reports
        ]
        echo(json.dumps(found, indent=2))
    else:
        for report in reports:
            _show(report)
    breaches = sum(len(each.broken) for each in reports)
    if breaches:
        parts = ", ".join(each.part for each in reports if each.broken)
        raise PluginError(f"{parts}: {breaches} law{'s' if breaches > 1 else ''} broken")


def _show(report: Any) -> None:
    """The laws, and of each that is broken what to do: a table in a terminal, lines on a pipe."""
    from rich.table import Table
    from rich.text import Text

    from seqgen.cli.terminal import Terminal
    from seqgen.reports.text import visible

    styles = {"kept": "green", "broken": "bold red", "not tried": "dim"}
    console = Terminal(highlight=False)
    console.print(Text(visible(report.part), "bold"), soft_wrap=True)
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, show_header=False)
        for no_wrap in (True, True, False):
            table.add_column(no_wrap=no_wrap, overflow="fold")
        for each in report.findings:
            outcome = Text(each.outcome, styles[each.outcome])
            table.add_row(outcome, Text(each.law), Text(visible(each.says)))
        console.print(table)
    else:
        width = max(len(each.law) for each in report.findings)
        for each in report.findings:
            line = f"{each.outcome:9}  {each.law:{width}}  {visible(each.says)}".rstrip()
            console.print(Text(line), soft_wrap=True)
    counts = Counter(each.outcome for each in report.findings)
    told = ", ".join(f"{counts[each]} {each}" for each in styles if counts[each])
    console.print(Text(f"{told}\n"))
