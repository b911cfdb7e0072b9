"""The pages for people: what they name exists, and their pictures are in order."""

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer

from seqgen.cells import cells
from seqgen.cli.main import app
from seqgen.comparison import Plan, PlanSource
from seqgen.config import bundled_recipes
from seqgen.decoders import constraints, decoders, truncations
from seqgen.options import options_of
from seqgen.plugins import load_installed
from seqgen.recipe import read_recipe

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))
PAGE, DECODING, COMPARING, RELIABILITY = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8")
    for name in ("lectures", "decoding", "compare", "reliability")
)
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(page):
    """The words of each seqgen command that a page shows, what is before a pipe left out."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ ") and "seqgen " in line:
                found.append(shlex.split(line[line.index("seqgen ") :])[1:])
    return found


COMMANDS = [each for page in (PAGE, DECODING, COMPARING, RELIABILITY) for each in commands(page)]
RUNS = [each for each in commands(PAGE + DECODING) if each[0] == "run"]


def anchors_of(page):
    """What a link to each section of a page is."""
    titles = [each.lower() for each in re.findall(r"^## (.+)$", page, re.M)]
    return {re.sub(r"[^\w -]", "", each).replace(" ", "-") for each in titles}


@pytest.mark.parametrize(
    "registry", [cells, decoders, constraints, truncations], ids=lambda each: each.kind
)
def test_the_readme_counts_the_parts(registry):
    assert f"{len(registry.names())} {registry.kind}s" in README


def test_the_readme_is_short_and_counts_the_recipes():
    assert f"the {len(bundled_recipes())} recipes" in README
    assert len(README.splitlines()) <= 90


def out_of(words):
    """Where a run goes: as it says, or by the name of its recipe."""
    return words[words.index("--out") + 1] if "--out" in words else f"runs/{Path(words[1]).name}"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_one(words):
    verbs = typer.main.get_command(app).commands
    assert words[0] in verbs
    context = verbs[words[0]].make_context(words[0], words[1:])
    assert context.params


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_every_run_is_of_a_recipe_that_takes_its_overrides(words):
    load_installed()
    end = words.index("--out") if "--out" in words else len(words)
    read_recipe(bundled_recipes()[words[1]], words[2:end])


@pytest.mark.parametrize("page", [PAGE, DECODING], ids=["lectures", "decoding"])
def test_what_is_generated_comes_from_a_run_of_the_page(page):
    trained = {out_of(each) for each in commands(page) if each[0] == "run"}
    reading = {"generate", "evaluate", "compare"}
    read = {each[1] for each in commands(page) if each[0] in reading}
    assert len(read) > 1
    assert read <= trained


def test_the_page_on_decoding_has_every_part():
    named = set(re.findall(r"`(\w+)`", DECODING))
    assert {*decoders.names(), *constraints.names(), *truncations.names()} <= named


def test_what_to_choose_leads_to_a_section():
    anchors = re.findall(r"\]\(#([\w-]+)\)", DECODING)
    assert len(anchors) > 10
    assert set(anchors) <= anchors_of(DECODING)


def test_every_recipe_of_the_lectures_has_its_place_on_the_page():
    named = {
        each for each in re.findall(r"`(lectures/\w+|\w+)`", PAGE) if each in bundled_recipes()
    }
    assert {each for each in bundled_recipes() if each.startswith("lectures/")} <= named
    assert set(re.findall(r"`(lectures/\w+)`", PAGE)) <= bundled_recipes().keys()


def test_the_table_of_ideas_leads_to_sections_and_recipes():
    table = PAGE[PAGE.index("| idea |") : PAGE.index("[The last section]")]
    anchors = re.findall(r"\(#([\w-]+)\)", table)
    assert len(anchors) == 15
    assert set(anchors) <= anchors_of(PAGE)
    assert set(re.findall(r"`([\w/]+)`", table)) <= bundled_recipes().keys()


@pytest.mark.parametrize(
    "page", ["README.md", "docs/lectures.md", "docs/decoding.md", "docs/reliability.md"]
)
def test_links_lead_to_files(page):
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        assert link.startswith("https:") or (path.parent / link).exists(), link


def test_the_pages_show_every_picture_once():
    shown = re.findall(r"!\[[^\]]+\]\((pictures/[^)]+)\)", PAGE + DECODING)
    assert sorted(shown) == [each.relative_to(DOCS).as_posix() for each in PICTURES]


def test_pages_have_a_place_for_each_table_of_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import decoding_tables

    text = DECODING + (DOCS / "results.md").read_text(encoding="utf-8")
    places = re.findall(r"^<!-- figures: (\w+) -->\n\|", text, re.M)
    assert sorted(places) == sorted([*decoding_tables.OF_TEXT, *decoding_tables.OF_ANSWERS])


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_pictures_are_small_and_say_in_words_what_they_show(path):
    assert path.stat().st_size < 40_000
    text = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert len(root.get("aria-label")) > 40


def test_pictures_are_drawn_from_runs_of_the_page(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "pictures")
    import make
    import of_decoding

    drawn = {*make.PICTURES, *of_decoding.OF_TEXT, *of_decoding.OF_ANSWERS}
    assert {f"{each}.svg" for each in drawn} == {each.name for each in PICTURES}
    assert {run for _, needed in make.PICTURES.values() for run in needed} == make.RUNS.keys()
    for name, run in make.RUNS.items():
        assert [*shlex.split(run), "--out", f"runs/{name}"] in [each[1:] for each in RUNS]


def test_the_patterns_are_drawn_as_they_are_kept(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS / "pictures")
    import of_patterns

    of_patterns.patterns().save(tmp_path / "drawn.svg")
    kept = DOCS / "pictures" / "recurrence.svg"
    assert (tmp_path / "drawn.svg").read_bytes() == kept.read_bytes()


def test_the_parts_of_the_page_on_sources_run_from_its_recipe(place, command, own_registries):
    page = (DOCS / "plugins" / "sources.md").read_text(encoding="utf-8")
    [recipe] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    place.write("my_sources.py", (DOCS / "plugins" / "my_sources.py").read_bytes())
    place.write("mine.yaml", recipe)
    few = ("train.max_steps=3", "train.validations=1", "evaluation.validation_examples=20")
    ended = command("run", "mine.yaml", *few, "data.split=[0.02, 0.002, 0.002]", "--out", "run")
    assert ended.code == 0, ended.err
    result = json.loads((place.folder / "run" / "result.json").read_text())
    assert set(result["test"]["metrics"]) == {"exact_match", "my_metric"}
    assert result["better"]["my_metric"] == "higher"
    assert (place.folder / "run" / "attention.json").exists()
    answers = ("generate", "run", "--plugin", "my_sources.py", "--prompt", "\u1100\u1161")
    assert command(*answers).code == 0


def test_the_plan_of_the_page_is_one_and_every_key_is_explained(tmp_path):
    [plan] = re.findall(r"```yaml\n(strategies:.*?|.*?\nstrategies:.*?)```", COMPARING, re.DOTALL)
    (tmp_path / "plan.yaml").write_text(plan, encoding="utf-8")
    _, systems = PlanSource.find(str(tmp_path / "plan.yaml")).expand(["run"])
    assert [each.label for each in systems][-2:] == ["nucleus p=0.8", "nucleus p=0.95"]
    table = COMPARING[COMPARING.index("| key | | default |") : COMPARING.index("## What is meas")]
    explained = set(re.findall(r"`(\w+)`", table)) | {"description"}
    assert options_of(Plan).keys() <= explained


def test_the_page_on_reliability_names_tests_and_targets_that_are_there():
    for path in re.findall(r"`(tests/[\w/.]+)`", RELIABILITY):
        assert (ROOT / path).exists(), path
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make (\w+)`|^\$ make (\w+)", RELIABILITY, re.M):
        assert f"\n{''.join(target)}:" in makefile, target


@pytest.mark.parametrize(
    ("make", "values", "options", "ticks"),
    [
        ("linear", [20.0, 30.0], {"most": 4}, ("20", "25", "30")),
        # Shares are in percent, and there is no tick above all.
        ("linear", [0.5, 1.0], {"scale": 100.0}, ("50", "60", "70", "80", "90", "100")),
        ("linear", [0.98, 1.0], {"most": 3}, ("0.98", "0.99", "1.00")),
        ("logarithmic", [10.0, 1000.0], {}, ("10", "30", "100", "300", "1,000")),
        ("logarithmic", [7.0], {}, ("7",)),
    ],
)
@pytest.mark.parametrize("falling", [False, True])
def test_axes_of_pictures_hold_their_values(monkeypatch, make, values, options, ticks, falling):
    monkeypatch.syspath_prepend(DOCS / "pictures")
    import axes

    axis = getattr(axes, make)(values, "t", falling=falling, **options)
    assert axis.texts == ticks
    places = [axis.share(each) for each in (axis.low, *values, *axis.ticks, axis.high)]
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    assert (places[0] < places[-1]) != falling
    if make == "logarithmic":  # equal ratios are equal distances
        steps = [axis.share(each) for each in (axis.low, 2 * axis.low, 4 * axis.low)]
        assert steps[1] - steps[0] == pytest.approx(steps[2] - steps[1])
