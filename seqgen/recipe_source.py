"""Recipe files: finding one by path or by name, and reading it as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from seqgen.errors import RecipeError
from seqgen.options import did_you_mean
from seqgen.yaml_loader import Document, load_document


@dataclass(frozen=True)
class RecipeSource:
    """A recipe as it is written: what errors call it, its folder and its data with places."""

    name: str
    folder: Path
    document: Document

    @classmethod
    def read(cls, path: Path) -> RecipeSource:
        """Read the file at `path`. Errors: RecipeError."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise RecipeError(f"{path}: cannot be read: {error.strerror}") from None
        return cls(str(path), path.parent, load_document(content, str(path)))

    @property
    def plugins(self) -> Sequence[str]:
        """The plugin files that it names, before anything else of it is checked."""
        data = self.document.data
        named = data.get("plugins") if isinstance(data, dict) else None
        return [each for each in named if isinstance(each, str)] if isinstance(named, list) else []


def find_recipe(wanted: str) -> Path:
    """The recipe file that `wanted` means: a path, or the bare name of a recipe that comes along.

    Errors: RecipeError with a suggestion.
    """
    path = Path(wanted)
    if path.exists() or path.is_symlink():
        return path
    known = known_recipes()
    if wanted in known:
        return known[wanted]
    near = did_you_mean(wanted.removesuffix(".yaml").split("recipes/")[-1], known)
    raise RecipeError(f"{wanted}: no such recipe{near} (a path, or one of {', '.join(known)})")


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
