import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RUN = Path(__file__).parents[1] / "golden/report"


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a small run that has something for each section of the page: of a model that reads
    sources, but two of its samples continue a prompt. A file that is given by its name is changed,
    and left out where it is None."""

    def write(**changed: object) -> Path:
        folder = tmp_path / "run"
        shutil.copytree(RUN, folder, ignore=shutil.ignore_patterns("*.html"))
        for path in folder.iterdir():
            part = changed.get(path.stem, path)
            if part is None:
                path.unlink()
            elif isinstance(part, list) and path.suffix == ".jsonl":
                path.write_text("".join(json.dumps(event) + "\n" for event in part))
            elif part is not path:
                text = part if isinstance(part, str) else json.dumps(part)
                path.write_text(text, encoding="utf-8")
        return folder

    return write


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A Chromium, where there is one."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; make browser installs it where it may")
    # Chromium refuses to run as root inside its own sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
        except sync_api.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield started
        started.close()
