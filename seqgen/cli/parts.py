"""The verbs about parts: list, check, new."""

from __future__ import annotations

import importlib.util
import json
import keyword
import re
from collections import Counter
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli import arguments
from seqgen.cli.arguments import AsJson, PluginFiles
from seqgen.cli.output import echo
from seqgen.cli.recipes import list_files
from seqgen.errors import PluginError, SetupError, UsageError, visible

FILES = ("recipes", "plans")
"""What can be listed in addition to parts."""

TEMPLATES = Path(__file__).parent.parent / "templates"


def list_parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="A kind such as cells, or recipes or plans; by default all kinds.",
            autocompletion=arguments.rooms,
        ),
    ] = None,
    plugin_files: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """List the parts that a recipe may name: summary, options with defaults, file:line.

    `seqgen list recipes` and `seqgen list plans` list the bundled ones.
    """
    if kind is not None and kind in FILES:
        list_files(kind, as_json)
        return
    arguments.load_plugins(plugin_files)
    from seqgen.options import did_you_mean
    from seqgen.plugins import ROOMS

    if kind is not None and kind not in ROOMS:
        every = [*ROOMS, *FILES]
        near = did_you_mean(kind, every)
        raise UsageError(f"no kind of part named '{kind}'{near} ({', '.join(every)})")
    found: dict[str, list[dict[str, Any]]] = {}
    for room in [kind] if kind else ROOMS:
        found[room] = []
        for name in ROOMS[room].names():
            entry = ROOMS[room].entry(name)
            options = {each.name: _default(each) for each in entry.options.values()}
            about = {"summary": entry.summary, "where": entry.where}
            found[room].append({"name": name, "options": options, **about})
    if as_json:
        echo(json.dumps(found, indent=2, default=str))
        return
    from seqgen.cli.displays import Terminal, Text

    console = Terminal(highlight=False, soft_wrap=True)
    for room, parts in found.items():
        console.print(Text(room, style="bold underline"))
        for part in parts:
            console.print(Text("  ").append(part["name"], "bold").append(f"  {part['summary']}"))
            shown = [
                f"{key}={each if isinstance(each, str) else json.dumps(each, default=str)}"
                for key, each in part["options"].items()
            ]
            if shown:
                console.print(Text(f"      {'  '.join(shown)}"))
            console.print(Text(f"      {part['where']}", style="dim"))


def _default(option: Any) -> Any:
    """The default as a recipe would write it; a part's by its name."""
    from seqgen.options import REQUIRED, default_of
    from seqgen.registry import Part, plain

    if option.default is REQUIRED:
        return "(required)"
    value = default_of(option)
    return value.name if isinstance(value, Part) else plain(value)


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
        arguments.number("Seconds", "How long the laws of one part may take together."),
    ] = 5,
    show_fast: Annotated[
        bool,
        typer.Option("--show-fast", help="Print the loops that a cell's fast route compiles."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check parts of a file, or a registered one, by the laws of their kind; code 8 if one breaks.

    It runs in a process of its own, so a crash or a hang is a finding, too.
    """
    from seqgen.config import read_override
    from seqgen.testing.laws import OPTIONS, check_apart, split_file

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
            _show_report(report)
    if show_fast:
        from seqgen.config import lay_over
        from seqgen.testing.cell import fast_source
        from seqgen.testing.child import find_targets

        options = lay_over({}, [read_override(each, "--set") for each in settings or []])
        for part in find_targets(target):
            if part.room == "cells":
                echo(fast_source(part.name, **options))
    breaches = sum(len(each.broken) for each in reports)
    if breaches:
        parts = ", ".join(each.part for each in reports if each.broken)
        raise PluginError(f"{parts}: {breaches} law{'s' if breaches > 1 else ''} broken")
    for report in reports:
        for finding in report.findings:
            if finding.law == OPTIONS:
                raise UsageError(f"{report.part}: {finding.says}")


def _show_report(report: Any) -> None:
    """Broken laws with advice first, then the kept ones: a table on a terminal, lines on a pipe."""
    from seqgen.cli.displays import Terminal, Text, plain_table

    styles = {"broken": "bold red", "kept": "green", "not tried": "dim"}
    rows = [
        (outcome, each.law, each.says)
        for outcome in ("broken", "kept")
        for each in report.findings
        if each.outcome == outcome
    ]
    not_tried = [each for each in report.findings if each.outcome == "not tried"]
    for says, count in Counter(each.says for each in not_tried).items():
        first = next(each.law for each in not_tried if each.says == says)
        rows.append(("not tried", f"{count} laws" if count > 1 else first, says))
    console = Terminal(highlight=False)
    console.print(Text(visible(report.part), "bold"), soft_wrap=True)
    if console.is_terminal:
        table = plain_table()
        for outcome, law, says in rows:
            table.add_row(Text(outcome, styles[outcome]), Text(law), Text(visible(says)))
        console.print(table)
    else:
        width = max(len(law) for _, law, _ in rows)
        for outcome, law, says in rows:
            line = f"{outcome:9}  {law:{width}}  {visible(says)}".rstrip()
            console.print(Text(line), soft_wrap=True)
    counts = Counter(each.outcome for each in report.findings)
    summary = ", ".join(f"{counts[each]} {each}" for each in styles if counts[each])
    console.print(Text(f"{summary}\n"))


class Kind(StrEnum):
    """The kinds of parts that there are templates for."""

    cell = "cell"
    head = "head"
    embedding = "embedding"
    encoder = "encoder"
    attention = "attention"
    model = "model"
    tokenizer = "tokenizer"
    decoder = "decoder"
    constraint = "constraint"
    truncation = "truncation"
    draft = "draft"
    metric = "metric"
    tracker = "tracker"
    data = "data"


OF_SOURCES = {Kind.encoder, Kind.attention, Kind.metric}
"""The kinds whose recipe is that of a model of sources."""

RECIPE_LINES = {
    Kind.cell: ("cell: {name: lstm, hidden_size: 128}", "cell: {name: my_part, hidden_size: 128}"),
    Kind.head: ("head: linear", "head: {name: my_part, cap: 15}"),
    Kind.embedding: (
        "embedding: {name: learned, size: 32}",
        "embedding: {name: my_part, size: 32, rank: 8}",
    ),
    Kind.encoder: (
        "encoder: {name: recurrent, cell: {name: gru, hidden_size: 64}}",
        "encoder: {name: my_part, size: 64}",
    ),
    Kind.attention: ("attention: general", "attention: my_part"),
    Kind.model: (
        "  name: language_model\n  embedding: {name: learned, size: 32}\n"
        "  cell: {name: lstm, hidden_size: 128}\n  head: linear",
        "  name: my_part\n  size: 64",
    ),
    Kind.tokenizer: ("tokenizer: char", "tokenizer: {name: my_part, least: 2}"),
    Kind.decoder: (
        "decoder: {name: multinomial, temperature: 0.8}",
        "decoder: {name: my_part, sure: 0.5}",
    ),
    Kind.constraint: (
        "decoder: {name: multinomial, temperature: 0.8}",
        "decoder: {name: multinomial, constraints: [{name: my_part, times: 4}]}",
    ),
    Kind.metric: ("metrics: [exact_match]", "metrics: [exact_match, {name: my_part, length: 2}]"),
    Kind.tracker: ("train:", 'trackers: [{name: my_part, separator: ";"}]\n\ntrain:'),
    Kind.data: (
        "data: {name: text, corpus: python_docs, batch_size: 32, window: 32}",
        "data: {name: my_part, corpus: python_docs, batch_size: 32, least: 4}",
    ),
    Kind.truncation: (
        "decoder: {name: multinomial, temperature: 0.8}",
        "decoder: {name: multinomial, truncations: [{name: my_part, times: 1.5}]}",
    ),
    Kind.draft: (
        "decoder: {name: multinomial, temperature: 0.8}",
        "decoder: {name: speculative, draft: {name: my_part, window: 200}}",
    ),
}
"""What of the recipe a part of each kind replaces, and by what."""


def new(
    kind: Annotated[Kind, typer.Argument(help="The kind of part.")],
    name: Annotated[str, typer.Argument(help="The name for recipes, a Python identifier.")],
) -> None:
    """Write NAME.py, a small working part, with NAME.yaml to train it and test_NAME.py."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"NAME must be a Python identifier such as my_{kind}, but is {name!r}")
    from seqgen.plugins import ROOMS

    registry = ROOMS.get(kind) or ROOMS[f"{kind}s"]
    if name in registry.names():
        place = registry.where(name)
        raise UsageError(f"the {kind} name '{name}' is taken by {place}; choose another")
    module = importlib.util.find_spec(name)
    if module is not None and Path(module.origin or "").parent.resolve() != Path.cwd():
        raise UsageError(f"{name}.py would hide the Python module '{name}'; choose another name")
    files = new_files(kind, name)
    for path in files:
        if path.exists() or path.is_symlink():
            raise SetupError(f"{path}: already exists; choose another name, or move it away")
    for path, content in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
        except OSError as error:
            raise SetupError(f"{path}: cannot be written: {error.strerror}") from None
        echo(f"wrote {path}")
    echo(f"next: seqgen check {name}.py    seqgen run {name}.yaml    pytest test_{name}.py")


def new_files(kind: Kind, name: str) -> dict[Path, str]:
    """The files of a new part, from the templates; `my_cell` is the class `MyCell`."""
    part, recipe, test = (
        (TEMPLATES / f"{each}.txt").read_text(encoding="utf-8")
        for each in (
            f"{kind}.py",
            "sources.yaml" if kind in OF_SOURCES else "recipe.yaml",
            "test.py",
        )
    )
    class_name = "".join(word[:1].upper() + word[1:] for word in name.split("_"))
    placeholder = f"My{kind.title()}"
    if re.search(rf"\b{class_name}\b", part.replace(placeholder, "")):  # such as Cell, its base
        class_name = f"My{class_name}"
    part = part.replace(f"my_{kind}", name).replace(placeholder, class_name)
    recipe = recipe.replace(*RECIPE_LINES[kind])
    test = test.replace("MyPart", class_name)
    return {
        Path(f"{name}.py"): part,
        Path(f"{name}.yaml"): recipe.replace("KIND", kind).replace("my_part", name),
        Path(f"test_{name}.py"): test.replace("KIND", kind).replace("my_part", name),
    }
