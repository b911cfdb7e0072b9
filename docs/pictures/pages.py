"""The pictures of docs/gallery.md: makes the runs and pages that are missing, then takes pictures
of the pages in Chromium.

    python docs/pictures/pages.py [--runs runs] [--out docs/pictures]

Training takes about five minutes, the comparison two. It needs playwright and Chromium (`make
browser`).
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, sync_playwright

HELD_OUT = """\
from pydoc_data.topics import topics as t
text = "\\n\\n".join(t[key] for key in sorted(t))
open("held_out.txt", "w", encoding="utf-8").write(text[-46512:])"""
"""A program that writes the end of python_docs, which char_lstm is not trained on."""

MADE = {
    "char_lstm/report.html": "run char_lstm --out char_lstm",
    "dates/report.html": "run date_seq2seq train.max_seconds=null train.max_steps=800 --out dates",
    "compared/compare.html": "compare char_lstm --out compared",
    "trace.html": "generate dates --prompt 'the twenty-first of december, 2012' --decoder beam "
    "--set beam_size=4 --trace trace.html",
    "units.html": "inspect char_lstm --text held_out.txt --out units.html",
}
"""The arguments of seqgen that make each page, in the folder of the runs and in this order."""


class Shot(NamedTuple):
    """A picture of a page: which part of it, how wide the window is, and in which scheme."""

    page: str
    part: str = ""
    """A CSS selector; the top of the page where it is empty."""
    width: int = 1280
    height: int = 860
    scheme: str = "light"


SHOTS = {
    "gallery_run": Shot("char_lstm/report.html"),
    "gallery_phone": Shot("char_lstm/report.html", width=400, height=800, scheme="dark"),
    "gallery_comparison": Shot("compared/compare.html", "#trade-offs"),
    "gallery_trace": Shot("trace.html", scheme="dark", height=1040),
    "gallery_attention": Shot("dates/report.html", "#attention"),
    "gallery_units": Shot("units.html", height=760),
}


def make(page: str, folder: Path) -> None:
    """Run the command that makes the page, unless it is there."""
    if not (folder / page).exists():
        words = shlex.split(MADE[page])
        subprocess.run([sys.executable, "-m", "seqgen", *words], cwd=folder, check=True)


def take(browser: Browser, name: str, folder: Path, out: Path) -> None:
    shot = SHOTS[name]
    size = {"width": shot.width, "height": shot.height}
    page = browser.new_page(viewport=size, color_scheme=shot.scheme)  # type: ignore[arg-type]
    page.goto((folder / shot.page).resolve().as_uri())
    target = out / f"{name}.png"
    if shot.part:
        page.locator(shot.part).first.screenshot(path=target)
    else:
        page.screenshot(path=target)
    page.close()


def main() -> None:
    reader = argparse.ArgumentParser(description="Take the pictures of docs/gallery.md.")
    reader.add_argument("--runs", type=Path, default=Path("runs"))
    reader.add_argument("--out", type=Path, default=Path(__file__).parent)
    given = reader.parse_args()
    given.runs.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", HELD_OUT], cwd=given.runs, check=True)
    for page in MADE:
        make(page, given.runs)
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(found for name in names if (found := shutil.which(name)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name in SHOTS:
            take(browser, name, given.runs, given.out)
        browser.close()


if __name__ == "__main__":
    main()
