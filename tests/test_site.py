"""The site: it builds without a warning, fetches nothing, and is searched where it lies."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.plugins import ROOMS

ROOT = Path(__file__).parent.parent
NEEDED = ("mkdocs", "material", "mkdocstrings", "mkdocs_jupyter")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    missing = [each for each in NEEDED if importlib.util.find_spec(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed (seqgen-toolkit[docs])")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_the_site_is_whole_and_asks_for_nothing_from_outside(site):
    fetched = r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(?:https?:)?//"
    fetched += r"|<link(?![^>]*rel=[\"']?canonical)[^>]*\shref=[\"']?(?:https?:)?//"
    pages = list(site.rglob("*.html"))
    for page in pages:
        assert not re.search(fetched, page.read_text(encoding="utf-8")), page
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    places = {each["location"] for each in index["docs"]}
    for room, registry in ROOMS.items():
        for name in registry.names():
            assert f"reference/parts/{room}.html#{name}" in places
    assert "reference/python/cells.html#seqgen.cells.base.Cell.step" in places


def test_the_built_folder_can_be_searched_and_read_on_a_phone(site, browser):
    said = []
    context = browser.new_context(viewport={"width": 400, "height": 800}, offline=True)
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    for each in ("index", "alternatives", "reference/parts/decoders", "lessons/attention"):
        page.goto((site / f"{each}.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.click("label[for=__search]")
    page.locator("input[name=query]").press_sequentially("stochastic beam")
    found = page.locator(".md-search-result__link", has_text="Stochastic beams").first
    found.wait_for(state="attached")
    context.close()
    assert said == []
