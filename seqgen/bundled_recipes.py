"""The recipes that come with seqgen, by bare name; light enough for a shell's completion."""

from __future__ import annotations

from pathlib import Path


def known_recipes() -> dict[str, Path]:
    """The recipes that come with seqgen, by bare name such as `lectures/char_lstm_cell`."""
    package = Path(__file__).parent
    # An installed package holds them inside; in a clone they stand beside the package.
    folder = next(
        (each for each in (package / "recipes", package.parent / "recipes") if each.is_dir()), None
    )
    if folder is None:
        return {}
    paths = sorted(folder.rglob("*.yaml"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in paths}
