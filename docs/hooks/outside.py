"""Files of the site that lie outside of docs/, the links that lead to them, and the notebooks.

In the repository a page links to `../CHANGELOG.md`, and CHANGELOG.md to `docs/recipes.md`. In the
site both are pages side by side.
"""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PLACES = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "CITATION.cff": "CITATION.cff",
    "LICENSE": "LICENSE",
    "README.md": "index.md",
}
"""Where in the site a file of the repository is. That of the README is another page."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the section of notebooks."""
    found = sorted(Path(config.docs_dir).glob("notebooks/*.ipynb"))
    for section in config.nav or []:
        for pages in section.values():
            for each in pages if isinstance(pages, list) else []:
                if isinstance(each, dict) and "Notebooks" in each:
                    each["Notebooks"] = [f"notebooks/{path.name}" for path in found]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files."""
    root = Path(config.docs_dir).parent
    for name, place in PLACES.items():
        if name == "README.md":
            continue
        if place.endswith(".md"):
            text = moved((root / name).read_text(encoding="utf-8"), name, place)
            files.append(File.generated(config, place, content=text))
        else:
            files.append(File.generated(config, place, abs_src_path=str(root / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that leave docs/ to where their files are in the site."""
    place = page.file.src_uri
    if place in PLACES.values() and place != "index.md":
        return markdown  # turned already
    return moved(markdown, f"docs/{place}", place)


def moved(text: str, source: str, place: str) -> str:
    """`text` of the file `source` of the repository, with its links as they are at `place`."""

    def link(found: re.Match[str]) -> str:
        target, anchor = found[1], found[2] or ""
        path = normpath(join(dirname(source), target))
        inside = path.removeprefix("docs/") if path.startswith("docs/") else PLACES.get(path)
        if inside is None or ":" in target:
            return found[0]
        return f"]({relpath(inside, dirname(place) or '.')}{anchor})"

    return re.sub(r"\]\(([^)#\s]+)(#[^)\s]*)?\)", link, text)
