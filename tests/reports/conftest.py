import json
import shutil
from collections.abc import Callable
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
