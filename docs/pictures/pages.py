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

from PIL import Image
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
    "generator.html": "page char_lstm --out generator.html",
    "answers.html": "page dates --out answers.html",
}
"""The arguments of seqgen that make each page, in the folder of the runs and in this order."""


QUOTES = """() => {
  Object.assign(hotField, { value: 0.6 });
  Object.assign(seedField, { value: 14 });
  Object.assign(lengthField, { value: 400 });
  showSettings();
  restart();
  for (let place = 0; place < 295; place++) step();
  let inside = false;
  const quoted = moments.map(({ text }) => {
    const is = inside;
    if (text === '"') inside = !inside;
    return is && text !== '"';
  });
  const mean = (unit, is) => {
    const own = moments.filter((each, place) => quoted[place] === is);
    const all = own.map(({ units }) => strength(units[unit], gridOf(unit)));
    return all.reduce((sum, each) => sum + each, 0) / all.length;
  };
  const contrast = (unit) => mean(unit, true) - Math.abs(mean(unit, false));
  const { first, units: count } = grids.at(-1);
  const units = Array.from({ length: count }, (_, unit) => first + unit);
  tintBy(units.reduce((best, unit) => (contrast(unit) > contrast(best) ? unit : best)));
  view = last();
  show();
}"""
"""Writes a text, and tints it by the unit of the memory that is high in quotes alone."""

ANSWER = """() => {
  while (step());
  view = 8;
  show();
}"""


class Shot(NamedTuple):
    """A picture of a page: which part of it, how wide the window is, and in which scheme."""

    page: str
    part: str = ""
    """A CSS selector; the top of the page where it is empty."""
    width: int = 1280
    height: int = 860
    scheme: str = "light"
    script: str = ""
    """What is done on the page before."""
    scale: float = 1


SHOTS = {
    "gallery_run": Shot("char_lstm/report.html"),
    "gallery_phone": Shot("char_lstm/report.html", width=400, height=800, scheme="dark"),
    "gallery_comparison": Shot("compared/compare.html", "#trade-offs"),
    "gallery_trace": Shot("trace.html", scheme="dark", height=1040),
    "gallery_attention": Shot("dates/report.html", "#attention"),
    "gallery_units": Shot("units.html", height=760),
    "generator": Shot("generator.html", width=1120, height=944, script=QUOTES, scale=1.5),
    "generator_attention": Shot("answers.html", ".text", width=1120, script=ANSWER, scale=1.5),
}


def make(page: str, folder: Path) -> None:
    """Run the command that makes the page, unless it is there."""
    if not (folder / page).exists():
        words = shlex.split(MADE[page])
        subprocess.run([sys.executable, "-m", "seqgen", *words], cwd=folder, check=True)


def take(browser: Browser, name: str, folder: Path, out: Path) -> None:
    shot = SHOTS[name]
    size = {"width": shot.width, "height": shot.height}
    page = browser.new_page(
        viewport=size,  # type: ignore[arg-type]
        color_scheme=shot.scheme,  # type: ignore[arg-type]
        device_scale_factor=shot.scale,
    )
    page.goto((folder / shot.page).resolve().as_uri())
    if shot.script:
        page.evaluate(shot.script)
    target = out / f"{name}.png"
    if shot.part:
        page.locator(shot.part).first.screenshot(path=target)
    else:
        page.screenshot(path=target)
    page.close()
    if shot.scale > 1:  # too large with all its shades
        with Image.open(target) as picture:
            few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(target, optimize=True)


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
