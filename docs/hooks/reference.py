"""The reference of the site, made when it is built: every part from its signature, Python from
docstrings.

For each registry there is a page `reference/parts/ROOM.md`, for the format of recipes
`reference/recipe.md`, and for each of MODULES a page `reference/python/MODULE.md`, whose names
mkdocstrings looks up. None of them is a file in the repository.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from seqgen import options
from seqgen.options import RANGES, REQUIRED, Option, options_of, schema_of
from seqgen.plugins import ROOMS
from seqgen.recipe import Recipe
from seqgen.registry import Entry, Registry, place_of, plain

MODULES = (
    *("seqgen.library", "seqgen.trained", "seqgen.state", "seqgen.cells", "seqgen.heads"),
    *("seqgen.embeddings", "seqgen.encoders", "seqgen.attentions", "seqgen.models"),
    *("seqgen.tokenizers", "seqgen.data", "seqgen.decoders", "seqgen.metrics", "seqgen.training"),
    "seqgen.trackers",
    *("seqgen.comparison", "seqgen.units", "seqgen.registry", "seqgen.testing", "seqgen.errors"),
)
"""Those whose public names are described, and that have a page of their own."""

SECTIONS = ("train", "evaluation", "generation", "samples")
"""Of a recipe: what is no part, but a mapping of options."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    pages = {f"reference/parts/{room}.md": parts_page(each) for room, each in ROOMS.items()}
    pages["reference/recipe.md"] = recipe_page()
    for name in MODULES:
        pages[f"reference/python/{name.rpartition('.')[2]}.md"] = python_page(name)
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


# Parts


def parts_page(registry: Registry[Any]) -> str:
    """All parts of a kind: a table, and a section for each with its docstring and options."""
    title = registry.room.replace("_", " ").capitalize()
    blocks = [f"# {title}"]
    if uses := [*places_of(registry)]:
        blocks.append(f"Named by {'; '.join(uses)}.")
    table = ["| name | |", "|---|---|"]
    for name in registry.names():
        summary = cell(prose(first_sentence(registry.entry(name).factory)))
        table.append(f"| [`{name}`](#{name}) | {summary} |")
    blocks.append("\n".join(table))
    for name in registry.names():
        blocks += [f"## {name} {{ #{name} }}", *part(registry.entry(name))]
    if registry.common:
        names = ", ".join(f"`{each}`" for each in registry.common)
        blocks.append(f"Every {registry.kind} has the option {names}.")
    return "\n\n".join(blocks)


def part(entry: Entry) -> Iterator[str]:
    """What a page has on a part. One that is another library's has its own documentation there."""
    factory, ours = entry.factory, entry.where.startswith("seqgen/")
    yield prose(inspect.getdoc(factory) or "" if ours else first_sentence(factory))
    if entry.options:
        yield options_table(entry.options, entry.factory, "../../")
    else:
        yield "It has no options."
    place = entry.where if ours else f"{factory.__module__}.{factory.__qualname__}"
    yield f"<small>`{place}`</small>"


def places_of(registry: Registry[Any]) -> Iterator[str]:
    """The keys of recipes and of other parts that name a part of this kind."""
    keys = [f"`{key}`" for key, each in recipe_options() if refers(each, registry)]
    if keys:
        yield f"{', '.join(keys)} of a [recipe](../recipe.md)"
    for room, other in ROOMS.items():
        owners: dict[str, list[str]] = {}
        for name in other.names():
            for key, option in other.entry(name).options.items():
                if refers(option, registry) and key not in other.common:
                    owners.setdefault(key, []).append(f"[`{name}`]({room}.md#{name})")
        for key, links in owners.items():
            kind = other.kind if len(links) == 1 else f"{other.kind}s"
            yield f"`{key}` of the {kind} {', '.join(links)}"
        if any(refers(option, registry) for option in other.common.values()):
            yield f"an option of every [{other.kind}]({room}.md)"


def refers(option: Option, registry: Registry[Any]) -> bool:
    return f'"#/$defs/{registry.room}"' in json.dumps(schema_of(option.annotation))


def recipe_options() -> Iterator[tuple[str, Option]]:
    """Each key of a recipe with its option, `train.optimizer` and the like among them."""
    for name, option in options_of(Recipe).items():
        if name in SECTIONS:
            inner = options_of(options.without_none(option.annotation))
            yield from ((f"{name}.{key}", each) for key, each in inner.items())
        else:
            yield name, option


# Recipes


def recipe_page() -> str:
    """The keys of a recipe and of its sections."""
    every = options_of(Recipe)
    top = {name: each for name, each in every.items() if name not in SECTIONS}
    blocks = [
        "# The recipe format",
        "Every key of a recipe, from the signatures that check it; `extends` besides, the recipe "
        "that this one builds on. [Recipes](../recipes.md) says how to use them, and `seqgen "
        "schema` prints the same as a JSON Schema, for editors.",
        options_table(top, Recipe, "../"),
    ]
    for name in SECTIONS:
        factory = options.without_none(every[name].annotation)
        blocks += [f"## {name}", prose(inspect.getdoc(factory) or "")]
        blocks.append(options_table(options_of(factory), factory, "../"))
    return "\n\n".join(blocks)


def options_table(given: Mapping[str, Option], factory: Callable[..., Any], up: str) -> str:
    """The table of options; `up` leads from the page to the root of the site."""
    remarks = docstrings_of_fields(factory)
    rows = ["| option | value | default |", "|---|---|---|"]
    for name, option in given.items():
        value = in_words(schema_of(option.annotation), up)
        rows.append(f"| `{name}` | {cell(value)} | {cell(default(option))} |")
    if remarks:
        said = [prose(remarks.get(name, "")).replace("\n", " ") for name in given]
        rows = [f"{row} {cell(more)} |" for row, more in zip(rows, ["", "---", *said], strict=True)]
    return "\n".join(rows)


def default(option: Option) -> str:
    if option.default is REQUIRED:
        return "**required**"
    value = plain(options.default_of(option))
    if isinstance(value, dict) and "name" in value:
        value = value["name"]
    written = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return f"`{written}`"


def in_words(schema: dict[str, Any], up: str) -> str:
    """What a JSON Schema allows, as a phrase: `integer from 1 to 1000`, `list of numbers`."""
    kind = schema.get("type")
    words = {"boolean": "`true`, `false`", "null": "`null`", "string": "text"}.get(
        kind or "", "any"
    )
    if "$ref" in schema:
        room = schema["$ref"].rpartition("/")[2]
        words = f"[{ROOMS[room].kind}]({up}reference/parts/{room}.md)"
    elif "anyOf" in schema:
        words = " or ".join(dict.fromkeys(in_words(each, up) for each in schema["anyOf"]))
    elif "enum" in schema or "const" in schema:
        words = ", ".join(f"`{each}`" for each in schema.get("enum", [schema.get("const")]))
    elif kind in ("integer", "number"):
        words = f"{kind}{bounds(schema)}"
    elif kind == "array":
        words = array(schema, up)
    elif kind == "object" and "properties" in schema:
        words = f"mapping of {', '.join(f'`{each}`' for each in schema['properties'])}"
    elif kind == "object":
        words = f"mapping to {in_words(schema.get('additionalProperties', {}), up)}"
    elif schema.get("format") == "path":
        words = "path"
    return words


def array(schema: dict[str, Any], up: str) -> str:
    places = schema.get("prefixItems", [])
    if places:
        each = ", ".join(dict.fromkeys(in_words(place, up) for place in places))
        return f"list of {len(places)}: {each}"
    inner = in_words(schema["items"], up) if schema.get("items") else "any values"
    least, most = schema.get("minItems"), schema.get("maxItems")
    inner = f"({inner})" if " or " in inner else inner
    count = f", {least or 0} to {most} of them" if most else f", at least {least}" if least else ""
    return f"list of {inner}{count}"


def bounds(schema: dict[str, Any]) -> str:
    """The range of a number; what bounds every number is left out."""
    least, most = RANGES[int if schema["type"] == "integer" else float]
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    low, high = (None if low == least else low), (None if high == most else high)
    high = None if high in (1e30, 10**6, 10**9) else high
    if low is not None and high is not None:
        return f" from {low:,} to {high:,}"
    words = {"above": above, "from": low, "up to": high, "below": below}
    if below == 2**63:
        del words["below"]
    return "".join(f" {word} {each:,}" for word, each in words.items() if each is not None)


# Python


def python_page(module_name: str) -> str:
    """The public names of a module: its contracts, functions and types, but no registered part."""
    module = import_module(module_name)
    blocks = [f"# {module_name}", prose(inspect.getdoc(module) or "")]
    blocks += [f"::: {name}" for name in public(module_name, module)]
    return "\n\n".join(blocks)


def public(module_name: str, module: Any) -> list[str]:
    """The full names of what a module offers, those of its contract first, as they stand in files.

    A name of an earlier release is left out, and so are parts, which have pages of their own.
    """
    places = {}
    parts = {entry.factory for each in ROOMS.values() for entry in each._entries.values()}
    for name in getattr(module, "__all__", sorted(vars(module))):
        found = getattr(module, name)
        home = getattr(found, "__module__", "")
        same_name = getattr(found, "__name__", "") == name
        if name.startswith("_") or not home.startswith(module_name) or not same_name:
            continue
        if not (inspect.isclass(found) or inspect.isfunction(found)) or found in parts:
            continue
        if inspect.getdoc(found):
            places[f"{home}.{name}"] = (home != f"{module_name}.base", home, line_of(found))
    return sorted(places, key=lambda name: places[name])


def line_of(found: Callable[..., Any]) -> int:
    return int(place_of(found).rpartition(":")[2])


# Texts


def first_sentence(factory: Callable[..., Any]) -> str:
    """The first lines of a docstring, up to one that ends a sentence."""
    found = []
    for line in (inspect.getdoc(factory) or "").splitlines():
        found.append(line)
        if line.endswith((".", ":")) or not line:
            break
    return re.sub(r":+$", ".", " ".join(found))


def docstrings_of_fields(factory: Callable[..., Any]) -> dict[str, str]:
    """The texts after the fields of a dataclass, which Python itself forgets."""
    if not hasattr(factory, "__dataclass_fields__"):
        return {}
    [body] = ast.parse(textwrap.dedent(inspect.getsource(factory))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for line, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr):
            name, text = ast.unparse(line.target), ast.literal_eval(after.value)
            found[name] = " ".join(str(text).split())
    return found


def prose(text: str) -> str:
    """A docstring as Markdown: `::` announces a block, and brackets outside of code are texts."""
    parts = re.split(r"(`[^`]*`)", re.sub(r"::$", ":", text, flags=re.MULTILINE))
    lines = [each if each.startswith("`") else escaped(each) for each in parts]
    return "".join(lines)


def escaped(text: str) -> str:
    """Text with what Markdown or HTML would take for something else; indented lines are code."""

    def line(each: str) -> str:
        return each if each.startswith("    ") else re.sub(r"([\[\]<>*_])", r"\\\1", each)

    return "\n".join(map(line, text.split("\n")))


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")
