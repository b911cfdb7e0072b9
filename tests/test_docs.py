"""The pages for people: what they name exists, commands can be typed, pictures are in order."""

import ast
import json
import re
import shlex
import shutil
import subprocess
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
from seqgen.yaml_io import load_document

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PICTURES = sorted((DOCS / "pictures").glob("*.svg"))
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
}
"""Every page, by its path."""

README, DECODING, COMPARING, RELIABILITY = (
    TEXTS[name]
    for name in (
        "README.md",
        *(f"docs/{name}.md" for name in ("decoding", "compare", "reliability")),
    )
)
LESSONS = "".join(text for path, text in TEXTS.items() if path.startswith("docs/lessons/"))
LECTURES = TEXTS["docs/lectures.md"] + LESSONS


def blocks(page, language):
    """The fenced blocks of a page that are in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def shell_lines(page):
    """The lines that a page gives to a shell, each in one piece and without its prompt."""
    joined = "".join(blocks(page, "console")).replace("\\\n", "")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


def commands(page):
    """The words of each seqgen command that a page shows, without what is before a pipe."""
    found = []
    for line in shell_lines(page):
        if "seqgen " in line and not line.startswith("pip "):
            words = shlex.split(line[line.index("seqgen ") :], comments=True)[1:]
            ends = [words.index(each) for each in ("|", ">", "<") if each in words]
            found.append(words[: min(ends, default=None)])
    return found


def each_once(found):
    """Lists of words, each once, in their order."""
    return [list(each) for each in dict.fromkeys(map(tuple, found))]


COMMANDS = each_once(each for page in TEXTS.values() for each in commands(page))
RUNS = each_once(each for each in commands(LECTURES + DECODING) if each[0] == "run")
OF_RECIPES = [
    each
    for each in COMMANDS
    if each[0] in {"run", "validate", "verify-resume"}
    and not re.match(r"(runs/|mine?[._]|my[._])", each[1])
    and "--plan" not in each
]
"""The commands that read a recipe which comes with seqgen."""


def anchors_of(page):
    """What a link to each section of a page is in a repository."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.M), re.M
    )
    found = []
    for title in titles:
        anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return set(found)


def links_of(page):
    """The targets of links and pictures, but for those in code."""
    bare = re.sub(r"^```.*?^```|`[^`\n]*`", "", page, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"\]\(([^)\s]+)\)", bare)


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


@pytest.mark.parametrize("path", TEXTS)
def test_commands_within_sentences_have_verbs_and_flags_that_there_are(path):
    verbs = typer.main.get_command(app).commands
    bare = re.sub(r"^```.*?^```", "", TEXTS[path], flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`seqgen\s+([a-z][^`]*)`", bare):
        verb, *words = code.split()
        assert verb in verbs, code
        known = {each for one in verbs[verb].params for each in one.opts} | {"--help"}
        assert {each for each in words if each.startswith("--")} <= known, code


@pytest.mark.parametrize("words", OF_RECIPES, ids=" ".join)
def test_every_recipe_takes_its_overrides(words):
    load_installed()
    name = words[1].removeprefix("recipes/").removesuffix(".yaml")
    options = [place for place, each in enumerate(words) if each.startswith("--")]
    changes = [each for each in words[2 : min(options, default=None)] if "=" in each]
    read_recipe(bundled_recipes()[name], changes)


@pytest.mark.parametrize("path", TEXTS)
def test_other_lines_for_a_shell_can_be_typed(path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    extras = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    usual = {"seqgen", "make", "python", "pip", "pytest", "torchrun", "printf", "echo", "cat", "."}
    usual |= {"curl"}
    for line in shell_lines(TEXTS[path]):
        words = shlex.split(line, comments=True)
        assert words[0] in usual, line
        if words[0] == "make":
            assert f"\n{words[1]}:" in makefile, line
        if words[0] == "python" and words[1] == "-m":
            assert (ROOT / words[2].replace(".", "/")).with_suffix(".py").exists(), line
        elif words[0] == "python" and words[1] != "-c":
            assert (ROOT / words[1]).exists(), line
        for extra in re.findall(r"seqgen-toolkit\[(\w+)\]", line):
            assert f"\n{extra} = [" in extras, line


@pytest.mark.parametrize("path", TEXTS)
def test_blocks_of_python_compile_and_those_of_yaml_are_read(path):
    for block in blocks(TEXTS[path], "python"):
        compile(block, path, "exec")
    for block in blocks(TEXTS[path], "yaml"):
        load_document(block.encode(), path)


@pytest.mark.parametrize("page", [LECTURES, DECODING], ids=["lectures", "decoding"])
def test_what_is_generated_comes_from_a_run_of_the_page(page):
    trained = {out_of(each) for each in commands(page) if each[0] == "run"}
    reading = {"generate", "evaluate", "compare"}
    read = {run for each in commands(page) if each[0] in reading for run in runs_in(each)}
    assert len(read) > 1
    assert read <= trained


def runs_in(words):
    """The run directories at the beginning of a command's arguments."""
    return [each for each in words[1:4] if each.startswith("runs/") and each.count("/") == 1]


@pytest.mark.parametrize("path", [each for each in TEXTS if each.startswith("docs/lessons/")])
def test_a_lesson_has_a_picture_a_command_what_to_see_and_an_exercise(path):
    assert "](../pictures/" in TEXTS[path]
    assert commands(TEXTS[path])
    assert TEXTS[path].index("**What to see.**") < TEXTS[path].index("**Exercise.**")
    assert commands(TEXTS[path].partition("**Exercise.**")[2])
    assert path.removeprefix("docs/") in TEXTS["docs/lectures.md"]


def test_the_page_on_decoding_has_every_part():
    named = set(re.findall(r"`(\w+)`", DECODING))
    assert {*decoders.names(), *constraints.names(), *truncations.names()} <= named


def test_every_recipe_of_the_lectures_has_its_place_on_the_page():
    named = {
        each for each in re.findall(r"`(lectures/\w+|\w+)`", LECTURES) if each in bundled_recipes()
    }
    assert {each for each in bundled_recipes() if each.startswith("lectures/")} <= named
    assert set(re.findall(r"`(lectures/\w+)`", LECTURES)) <= bundled_recipes().keys()


def test_the_table_of_ideas_leads_to_lessons_and_recipes():
    page = TEXTS["docs/lectures.md"]
    table = page[page.index("| idea |") : page.index("After the lessons")]
    assert len(re.findall(r"\(lessons/\w+\.md(?:#[\w-]+)?\)", table)) == 15
    assert set(re.findall(r"`([\w/]+)`", table)) <= bundled_recipes().keys()


@pytest.mark.parametrize("path", TEXTS)
def test_links_lead_to_files_and_their_sections(path):
    for link in links_of(TEXTS[path]):
        target, _, anchor = link.partition("#")
        if link.startswith("https:"):
            continue
        page = ((ROOT / path).parent / target).resolve() if target else ROOT / path
        assert page.exists(), link
        if anchor:
            assert anchor in anchors_of(page.read_text(encoding="utf-8")), link


def test_the_pages_show_every_picture_once():
    shown = re.findall(r"!\[[^\]]+\]\((?:\.\./)?(pictures/[^)]+)\)", LECTURES + DECODING)
    assert sorted(shown) == [each.relative_to(DOCS).as_posix() for each in PICTURES]


def test_the_pictures_of_pages_are_those_that_are_taken(monkeypatch):
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    monkeypatch.syspath_prepend(DOCS / "pictures")
    import pages

    shown = set(re.findall(r"/((?:gallery|generator)\w*)\.png\)", "".join(TEXTS.values())))
    assert shown == pages.SHOTS.keys()
    assert {shot.page for shot in pages.SHOTS.values()} == pages.MADE.keys()
    for each in shown:
        assert (DOCS / "pictures" / f"{each}.png").stat().st_size < 200_000


def defined_in(path):
    """The names that a module defines, methods as `Class.method`."""
    found = set()
    for each in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(each, ast.Assign | ast.AnnAssign):
            found |= {
                ast.unparse(each.target if isinstance(each, ast.AnnAssign) else each.targets[0])
            }
        elif isinstance(each, ast.ClassDef | ast.FunctionDef):
            found.add(each.name)
            found |= (
                {f"{each.name}.{one.name}" for one in each.body if isinstance(one, ast.FunctionDef)}
                if (isinstance(each, ast.ClassDef))
                else set()
            )
    return found


def test_the_ten_stops_name_what_is_there():
    page = TEXTS["docs/reading.md"]
    stops = re.findall(
        r"^## (\d+)\. .*?\*\*Read\*\*(.*?)\n\n(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE
    )
    assert [number for number, _, _ in stops] == [str(each) for each in range(1, 11)]
    for _, reading, rest in stops:
        assert "**Question.**" in rest
        assert "<summary>Answer</summary>" in rest
        files = re.split(r"`(seqgen/[\w/]+\.py)`:", reading)[1:]
        for file, names in zip(files[::2], files[1::2], strict=True):
            assert set(re.findall(r"`([\w.]+)`", names)) <= defined_in(ROOT / file), file


def test_the_start_can_be_done_as_it_is_written(place, command):
    """Each of its commands, in its order, with a smaller model and three steps for a budget."""
    small = ("train.max_seconds=null", "train.max_steps=3", "train.validations=1", "threads=1")
    small += ("model.cell.hidden_size=8", "data.split=[0.98, 0.01, 0.01]", "samples.length=20")
    few = ("plan.max_length=20", "plan.search.inputs=0", "plan.speed.repeats=0", "plan.seeds=1")
    shutil.copytree(DOCS, "docs", ignore=shutil.ignore_patterns("pictures"))
    shutil.copytree(ROOT / "recipes", "recipes")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    done = []
    [demo] = re.findall(r"^demo:.*\n\t\$\(BIN\)/(seqgen .*)$", makefile, re.MULTILINE)
    for line in shell_lines(TEXTS["docs/start.md"]):
        words = shlex.split(demo if line == "make demo" else line)
        if words[0] == "cat":
            subprocess.run(line, shell=True, check=True)
        if words[0] == "seqgen":
            more = {"run": small, "generate": ("--max-length", "20"), "compare": few, "page": ()}[
                words[1]
            ]
            words = [each for each in words[1:] if not each.startswith("train.max_seconds=")]
            ended = command(*words[:2], *more, *words[2:])
            assert ended.code == 0, ended.err
            done.append(words[0])
    assert done == ["run", "generate", "generate", "generate", "run", "generate", "page", "compare"]
    assert (place.folder / "runs/char_lstm/report.html").exists()
    assert (place.folder / "mine.html").exists()
    assert (place.folder / "runs/compare/mine/compare.html").exists()


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
    for target in re.findall(r"`make (\w+)`", RELIABILITY):
        assert f"\n{target}:" in makefile, target


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
