"""The recipes and plans that come along, by bare name; light enough for a shell's completion."""

from __future__ import annotations

from pathlib import Path

PLANS = "compare"
"""The folder among the recipes that has plans, of what to compare, and no recipes."""


def known_recipes() -> dict[str, Path]:
    """The recipes that come with seqgen, by bare name such as `lectures/char_lstm_cell`."""
    return {name: path for name, path in _files().items() if not name.startswith(f"{PLANS}/")}


def known_plans() -> dict[str, Path]:
    """The plans of comparisons that come with seqgen, by bare name such as `language_model`."""
    start = f"{PLANS}/"
    files = _files().items()
    return {name.removeprefix(start): path for name, path in files if name.startswith(start)}


def _files() -> dict[str, Path]:
    package = Path(__file__).parent
    # An installed package holds them inside; in a clone they stand beside the package.
    folder = next(
        (each for each in (package / "recipes", package.parent / "recipes") if each.is_dir()), None
    )
    if folder is None:
        return {}
    paths = sorted(folder.rglob("*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
