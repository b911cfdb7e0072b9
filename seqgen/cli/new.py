"""The verb `new`: the files with which a part of one's own begins."""

from __future__ import annotations

import importlib.util
import keyword
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from seqgen.cli.output import echo
from seqgen.errors import SetupError, UsageError

TEMPLATES = Path(__file__).parent.parent / "templates"


class Kind(StrEnum):
    """The kinds of parts that there are templates for."""

    cell = "cell"
    head = "head"
    tokenizer = "tokenizer"
    decoder = "decoder"


USED = {
    Kind.cell: ("cell: {name: lstm, hidden_size: 128}", "cell: {name: my_part, hidden_size: 128}"),
    Kind.head: ("head: linear", "head: {name: my_part, cap: 15}"),
    Kind.tokenizer: ("tokenizer: char", "tokenizer: {name: my_part, least: 2}"),
    Kind.decoder: (
        "decoder: {name: multinomial, temperature: 0.8}",
        "decoder: {name: my_part, sure: 0.5}",
    ),
}
"""The line of the recipe in which a part of each kind takes the place of another."""


def new(
    kind: Annotated[Kind, typer.Argument(help="What to begin.")],
    name: Annotated[str, typer.Argument(help="What recipes call it; a Python identifier.")],
) -> None:
    """Write NAME.py, a small part that works, NAME.yaml that trains it, and test_NAME.py."""
    _check_name(kind, name)
    files = written(kind, name)
    for path in files:
        if path.exists() or path.is_symlink():
            raise SetupError(f"{path}: is there already; choose another name, or move it away")
    for path, content in files.items():
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(content)
        except OSError as error:
            raise SetupError(f"{path}: cannot be written: {error.strerror}") from None
        echo(f"wrote {path}")
    echo(f"next: seqgen check {name}.py    seqgen run {name}.yaml    pytest test_{name}.py")


def written(kind: Kind, name: str) -> dict[Path, str]:
    """The files of a new part, from the templates."""
    part = _template(f"{kind}.py")
    kind_class, stands_for_it = class_name(name), f"My{kind.title()}"
    if re.search(rf"\b{kind_class}\b", part.replace(stands_for_it, "")):  # such as Cell, its base
        kind_class = f"My{kind_class}"
    part = part.replace(f"my_{kind}", name).replace(stands_for_it, kind_class)
    recipe = _template("recipe.yaml").replace(*USED[kind])
    test = _template("test.py").replace("MyPart", kind_class)
    return {
        Path(f"{name}.py"): part,
        Path(f"{name}.yaml"): recipe.replace("KIND", kind).replace("my_part", name),
        Path(f"test_{name}.py"): test.replace("KIND", kind).replace("my_part", name),
    }


def class_name(name: str) -> str:
    """`my_cell` as `MyCell`."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _check_name(kind: Kind, name: str) -> None:
    """A UsageError for what cannot be the name of a module, or would hide another one."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or keyword.iskeyword(name):
        raise UsageError(f"NAME must be a Python identifier such as my_{kind}, but is {name!r}")
    from seqgen.plugins import ROOMS

    registry = ROOMS[f"{kind}s"]
    if name in registry.names():
        place = registry.where(name)
        raise UsageError(f"the {kind} name '{name}' is taken by {place}; choose another")
    found = importlib.util.find_spec(name)
    if found is not None and Path(found.origin or "").parent.resolve() != Path.cwd():
        raise UsageError(f"{name}.py would hide the Python module '{name}'; choose another name")


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
