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
            help="How long the laws of one part may take together.",
        ),
    ] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Try the laws of its kind on a cell, head, tokenizer or decoder; exit code 8 if one breaks.

    It runs in a process of its own, so a crash or a hang is a finding, too.
    """
    from seqgen.config import read_override
    from seqgen.testing.check import check_apart, split_file

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
    """First what is broken and what to do, then what is kept: a table, or lines on a pipe."""
    from rich.table import Table
    from rich.text import Text

    from seqgen.cli.terminal import Terminal
    from seqgen.reports import visible

    styles = {"broken": "bold red", "kept": "green", "not tried": "dim"}
    rows = [
        (outcome, each.law, each.says)
        for outcome in ("broken", "kept")
        for each in report.findings
        if each.outcome == outcome
    ]
    reasons = Counter(each.says for each in report.findings if each.outcome == "not tried")
    for says, count in reasons.items():
        laws = [each.law for each in report.findings if each.says == says]
        rows.append(("not tried", f"{count} laws" if count > 1 else laws[0], says))
    console = Terminal(highlight=False)
    console.print(Text(visible(report.part), "bold"), soft_wrap=True)
    if console.is_terminal:
        table = Table(box=None, pad_edge=False, show_header=False)
        for no_wrap in (True, True, False):
            table.add_column(no_wrap=no_wrap, overflow="fold")
        for outcome, law, says in rows:
            table.add_row(Text(outcome, styles[outcome]), Text(law), Text(visible(says)))
        console.print(table)
    else:
        width = max(len(law) for _, law, _ in rows)
        for outcome, law, says in rows:
            console.print(
                Text(f"{outcome:9}  {law:{width}}  {visible(says)}".rstrip()), soft_wrap=True
            )
    counts = Counter(each.outcome for each in report.findings)
    told = ", ".join(f"{counts[each]} {each}" for each in styles if counts[each])
    console.print(Text(f"{told}\n"))
