"""Arguments and options that several verbs share, what a shell completes, and what was meant.

All of it is read without torch.
"""

from __future__ import annotations

import gc
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.errors import SeqgenError

ROOM_NAMES = (
    *(
        "attentions",
        "averages",
        "bridges",
        "cells",
        "constraints",
        "corpora",
        "data",
        "decoders",
        "drafts",
    ),
    *("embeddings", "encoders", "heads", "metrics", "models", "optimizers", "schedules"),
    *("tokenizers", "trackers", "truncations"),
)


def recipes(incomplete: str) -> list[str]:
    """Bundled recipes, and YAML files below the current folder."""
    return _files_or(incomplete, "recipes")


def plans(incomplete: str) -> list[str]:
    """Bundled plans, and YAML files below the current folder."""
    return _files_or(incomplete, "plans")


def recipes_and_plans(incomplete: str) -> list[str]:
    """Both kinds of bundled files, and YAML files below the current folder."""
    return _files_or(incomplete, "recipes", "plans")


def _files_or(incomplete: str, *kinds: str) -> list[str]:
    from seqgen.config import bundled_plans, bundled_recipes

    prefix = incomplete[: incomplete.rfind("/") + 1]
    try:
        paths = sorted(Path(prefix).iterdir())
    except OSError:
        paths = []
    names = [prefix + path.name for path in paths if path.suffix in (".yaml", ".yml")]
    names += [f"{prefix}{path.name}/" for path in paths if path.is_dir()]
    for kind in kinds:
        names += bundled_recipes() if kind == "recipes" else bundled_plans()
    return [name for name in names if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Run directories below `runs`."""
    folders = [str(path.parent) for path in sorted(Path("runs").glob("*/recipe.yaml"))]
    return [folder for folder in folders if folder.startswith(incomplete)]


def rooms(incomplete: str) -> list[str]:
    """The kinds of parts, `plans` and `recipes`."""
    return [name for name in (*ROOM_NAMES, "plans", "recipes") if name.startswith(incomplete)]


def number(kind: str, help: str, *names: str, metavar: str = "N") -> Any:
    """An option that is a number of a `kind` of `seqgen.options`, such as `Seed`, so that the
    command line reads numbers and states their ranges as recipes do."""

    def parse(text: Any) -> Any:
        if not isinstance(text, str):  # the default
            return text
        from seqgen import options
        from seqgen.yaml_io import parse_value

        try:
            return options.check_plain(getattr(options, kind), parse_value(text))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return typer.Option(*names, parser=parse, metavar=metavar, help=help)


RunFolder = Annotated[Path, typer.Argument(help="A run directory.", autocompletion=runs)]
RecipeOverrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. train.lr=3e-3")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the decoder. Repeatable."),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
PluginFiles = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="A Python file to import first. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@contextmanager
def importing() -> Iterator[None]:
    """Within it a verb imports what it needs, and with that torch: without looking for garbage,
    of which there is none, and which would take a tenth of the time. What is there at the end is
    never looked at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_plugins(files: list[Path] | None, *, installed: bool = True) -> None:
    """Import the installed plugins (unless the verb does that itself) and the given files.

    Raises PluginError if one cannot be imported.
    """
    with importing():
        from seqgen import plugins

    if installed:
        plugins.load_installed()
    plugins.load_files([str(each.resolve()) for each in files or []])


OTHER_WORDS = {
    **dict.fromkeys(("train", "fit", "resume"), "run"),
    **dict.fromkeys(("sample", "predict", "translate", "decode"), "generate"),
    **dict.fromkeys(("eval", "test", "score"), "evaluate"),
    "help": "--help",
}
"""What other toolkits call the verbs."""

USUAL = ("multinomial", "beam")
"""The decoders that are named first where several have an option."""


def suggestion(error: Any, words: Sequence[str]) -> str:
    """`; did you mean ...?` for what Typer found wrong with `words`, where something is near."""
    context = getattr(error, "ctx", None)
    if context is None:
        return ""
    option = getattr(error, "option_name", None)
    if option and type(error).__name__ == "NoSuchOption":
        near = _option(option, context.command, words)
    elif verbs := getattr(context.command, "commands", None):
        near = _verb(verbs, words)
    else:
        near = _choice(getattr(error, "param", None), words)
    return f"; did you mean {near}?" if near else ""


def _verb(verbs: Iterable[str], words: Sequence[str]) -> str:
    from seqgen.config import bundled_recipes

    word = next((each for each in words if not each.startswith("-")), "")
    if word.endswith(".yaml") or word in bundled_recipes():
        return f"seqgen run {shlex.quote(word)}"
    near = _near(word, [*verbs, *OTHER_WORDS])
    return f"seqgen {OTHER_WORDS.get(near, near)}" if near else ""


def _choice(parameter: Any, words: Sequence[str]) -> str:
    """Of an argument or option that takes one of a few words."""
    choices = [str(each) for each in getattr(parameter, "choices", None) or ()]
    if not choices:
        descriptor = getattr(parameter, "type_descriptor", None) or getattr(parameter, "type", None)
        choices = [str(each) for each in getattr(descriptor, "choices", None) or ()]
    near = [found for word in words if (found := _near(word, choices)) and word not in choices]
    return f"'{near[0]}'" if near else ""


def _option(option: str, command: Any, words: Sequence[str]) -> str:
    """Another option of the verb, a setting of a decoder, or an override."""
    own = [each for parameter in command.params for each in parameter.opts if each[:2] == "--"]
    key, value = option.lstrip("-").replace("-", "_"), _value_of(option, words)
    settings = _settings(words) if "--set" in own and command.name != "check" else {}
    takes_overrides = any(each.name in ("overrides", "words") for each in command.params)
    overrides = _overrides(words, command.name == "compare") if takes_overrides else {}
    names = [each[2:].replace("-", "_") for each in own]
    longer = [each for each in names if each.endswith(f"_{key}")]
    for name in (*longer, key, _near(key, names), *_all_near(key, [*settings, *overrides])):
        if name in names:
            return f"--{name}".replace("_", "-")
        if name in settings:
            return f"{settings[name]}--set {name}={value}"
        if name in overrides:
            return f"{overrides[name]}={value}"
    return ""


def _value_of(option: str, words: Sequence[str]) -> str:
    """What was given to the option, quoted for a shell."""
    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return shlex.quote(word.partition("=")[2])
        if word == option and place + 1 < len(words) and not words[place + 1].startswith("--"):
            return shlex.quote(words[place + 1])
    return "VALUE"


def _settings(words: Sequence[str]) -> dict[str, str]:
    """The options of all decoders, each with the `--decoder NAME ` that it needs besides."""
    from seqgen.decoders import decoders

    recipe = _recipe_at_hand(words) if "compare" not in words else None
    own = set(recipe["decoder"]) if recipe else set[str]()
    if "--decoder" in words:
        named = [name for name in words if name in decoders.names()]
        own = {key for name in named for key in decoders.entry(name).options}
    found = dict.fromkeys(own, "")
    for name in (*USUAL, *decoders.names()):
        for key in decoders.entry(name).options:
            found.setdefault(key, f"--decoder {name} ")
    return found


def _overrides(words: Sequence[str], with_plan: bool) -> dict[str, str]:
    """By the last step of their path, the options of the recipe at hand and of plans."""
    from seqgen.config import leaves
    from seqgen.options import dotted

    found: dict[str, str] = {}
    if with_plan:
        from seqgen.comparison import Plan, Strategy
        from seqgen.decoders import Greedy
        from seqgen.registry import plain

        plan = plain(Plan((Strategy(Greedy),)))
        found = {str(path[-1]): f"plan.{dotted(path)}" for path in leaves(plan)}
    for path in leaves(_recipe_at_hand(words) or {}):
        found.setdefault(str(path[-1]), dotted(path))
    return found


def _recipe_at_hand(words: Sequence[str]) -> dict[str, Any] | None:
    """The recipe, or that of the run, which is named first; with all its defaults."""
    from seqgen.config import find_file
    from seqgen.recipe import read_recipe

    for word in (*words[1:], "char_lstm"):
        folder = Path(word)
        try:
            if word.startswith("-") or "=" in word:
                continue
            path = folder / "recipe.yaml" if os.path.isdir(word) else find_file(word)  # noqa: PTH112
            return read_recipe(path).plain()
        except SeqgenError:
            continue
    return None


def _near(word: str, choices: Sequence[str]) -> str:
    return next(_all_near(word, choices), "")


def _all_near(word: str, choices: Sequence[str]) -> Iterator[str]:
    """The nearest choices; first those that end in the word or begin with it: `epochs` means
    `max_epochs`, `gen` means `generate`."""
    import difflib

    if len(word) > 2:
        yield from (each for each in choices if each.endswith(f"_{word}"))
        yield from sorted((each for each in choices if each.startswith(word)), key=len)
    yield from difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
