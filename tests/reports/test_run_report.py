import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.errors import SetupError
from seqgen.reports import run_page, try_drawing, write_report
from seqgen.reports.run_files import Candidate, Figures, Result, RunFiles, Sample, read_run
from seqgen.reports.run_report import DRAWN, PARTS, WORST, align_tokens, first_candidates

ROOT = Path(__file__).parents[2]
NAME = "[/x]\x00\x1b[31m\u202e<script>alert(1)</script>\"'&\r\n\t" + "w" * 300
NASTY = f"{NAME}\ud800"
FILES = ("report.html", "loss.png", "loss.pdf")


@pytest.fixture
def read_page(well_made):
    """A function from a page to its text, its tags and its sections; it needs nothing else."""

    def read(html):
        page = well_made(html)
        tags = {tag for tag, _ in page.tags}
        assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
        assert not any("src" in attributes for _, attributes in page.tags)
        assert not tags & {"script", "link", "img", "iframe", "object"}
        assert not set(html) & set("\x00\x1b\r\u202e\ud800")
        sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
        return " ".join(page.text.split()), tags, sections

    return read


def part_of(name, folder):
    return PARTS[name](read_run(folder))


def wrong(source, output, right, score=-1.0):
    return {"source": source, "output": output, "references": [right], "score": score}


def judged(metric, *answers):
    """A run whose answers were judged by that metric."""
    result = {"test": {"metrics": {metric: 0.5}}}
    return {"result": result, "answers": answers, "metrics": "", "samples": [], "attention": None}


LABEL = {"prompt": "Dacey", "text": "Irish", "pieces": ["Irish"], "log_probs": [math.log(0.4)]}
LABEL |= {"continues": False, "temperature": 0, "finished": False}
EMPTY = {"prompt": "fer", "text": "", "continues": False}
TAGS = ["PRON NOUN PRON", "PRON VERB PRON"]
PAGES = {
    "whole": {},
    "unfinished": {"result": None, "samples": [EMPTY], "answers": None, "attention": None},
    # Labels have no end, so none is cut.
    "labels": {**judged("accuracy", wrong("a", "b", "b")), "samples": [LABEL]},
    # The worst of edits: the most for the length, then the least probable; of classes: the surest.
    "edits": judged(
        "phoneme_error_rate",
        *(wrong("third", "b b c d", "a b c d"), wrong("second", "b", "a")),
        *(wrong("first", "b", "a", -9.0), wrong("zeroth", "b b b", "a")),
    ),
    "classes": judged(
        "accuracy", wrong("2", "Russian", "English"), wrong("1", "Russian", "Czech", -0.1)
    ),
    "tags": judged("tag_accuracy", wrong("we saw it", *TAGS), wrong("a b", "X", "X Y")),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_it_was(write_run, name, golden, read_page):
    """Without the charts, which other releases of matplotlib draw in other words."""
    page = run_page(read_run(write_run(**PAGES[name])))
    assert name != "whole" or read_page(page)[2] == list(PARTS)
    before, *rest = page[page.index("<body>") :].split("<svg ")
    body = before + "".join(f"<svg></svg>{each.partition('</svg>')[2]}" for each in rest)
    golden(f"report/{name}.html", body)


@pytest.mark.parametrize(
    ("ending", "says"),
    [
        ({"finished": True}, "ended by the model"),
        ({"finished": False}, "cut at the length limit"),
        ({"finished": True, "finish_reason": "stop", "stop": "\n<b>"}, r"stopped at '\n<b>'"),
        ({"finished": False, "finish_reason": "time"}, "cut when the time was over"),
    ],
)
def test_a_sample_says_how_it_ended(write_run, read_page, ending, says):
    sample = {**LABEL, "continues": True, "log_probs": [-1.0, -2.0], **ending}
    text, _, _ = read_page(run_page(read_run(write_run(samples=[sample]))))
    assert f"2 tokens, 1.500 nats per token; {says}" in text


def brightness(colour):
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_page_in_a_browser(write_run, open_file, width, scheme):
    folder = write_run()
    write_report(folder)
    page = open_file(folder / "report.html", width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # The figure of a tile ("28 min 20 s") is one line and fits its tile.
    fits = "all => all.map(b => b.offsetHeight < 30 && b.scrollWidth <= b.offsetWidth)"
    assert page.eval_on_selector_all(".tiles b", fits) == [True] * 7
    # A long sample shows three lines until it is unfolded.
    folded = page.locator("#learning .folded").first
    height = folded.locator(".generated").bounding_box()["height"]
    assert 55 < height < 80
    folded.get_by_role("checkbox").check()
    assert folded.locator(".generated").bounding_box()["height"] > 2 * height
    # Of the two drawings of the curves, the one that fits is shown, in the colours of the scheme.
    shown = page.locator("#curves svg:visible")
    assert shown.count() == 1
    assert shown.bounding_box()["width"] <= width
    ink = shown.locator("text").first.evaluate("text => getComputedStyle(text).fill")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    contrast = brightness(paper) - brightness(ink)
    assert (contrast if scheme == "light" else -contrast) > 200
    heat = page.locator("#attention td.hit").first
    assert "rgba" in heat.evaluate("cell => getComputedStyle(cell).backgroundImage")


@pytest.mark.parametrize("kind", ["exact_match", "accuracy", "tag_accuracy"])
def test_nothing_in_a_run_can_act_on_its_page(write_run, kind, read_page):
    metrics = {NAME: 0.5, "a": math.nan, "b": None}
    scores = {NAME: {"precision": math.inf, "count": None}}
    details = {NAME: {"signature": NASTY, "confusion": {NAME: {NAME: 2, "": 1}}, "classes": scores}}
    sample = {"prompt": NASTY, "text": NASTY, "pieces": [NASTY, "x"], "log_probs": [-1, None]}
    odd = [{"token": NASTY, "probability": math.nan}, {}]
    samples = [sample, {**sample, "temperature": math.nan, "first": odd}]
    samples += [{**sample, "continues": False, "pieces": [NASTY]}]
    event = {"event": "valid", "step": 1, "nats_per_token": 2, "metrics": metrics, "criterion": 0.5}
    test = {"metrics": {kind: 0.5, **metrics}, "details": details, "examples": NASTY}
    answers = [{"source": NASTY, "output": NASTY, "references": ["x", f"{NASTY}y"]}]
    answers += [{"source": f"{NASTY} z", "output": "x", "references": [NASTY], "score": math.nan}]
    folder = write_run(
        recipe="# \x1b\u202e<script>",
        manifest={
            **{"recipe": NASTY, "device": NASTY, "command": [NASTY, 1], "remarks": [NASTY]},
            NAME: {NASTY: [NASTY]},
        },
        # Charts take a second, so that one of the pages has to do.
        metrics=[{**event, "samples": samples}] * (kind == "accuracy"),
        result={
            **{"stopped": NASTY, "better": {NAME: NASTY}},
            "test": {**test, NAME: 1, "x": 10**400, "perplexity": math.inf},
        },
        samples=samples,
        answers=answers,
        attention=[{"source": [NASTY, "\u202e"], "output": [NASTY], "weights": [[0.5, 0.5]]}],
    )
    text, _, sections = read_page(run_page(read_run(folder)))
    assert set(PARTS) - {"learning", "lengths"} <= set(sections)
    assert text.count("\\x1b[31m\\u202e<script>alert(1)</script>") > 20


def test_samples_stand_under_their_temperatures(write_run):
    own = [{"text": "a", "temperature": each} for each in (None, "inf", 0.5, math.nan, 0)]
    page = run_page(read_run(write_run(samples=own)))
    titles = re.findall(r"<h3>\s*(Greedy|Temperature [\w. ]+?)\s*<", page)
    assert titles == ["Greedy", "Temperature 0.5", "Temperature inf", "Temperature not recorded"]


def test_a_run_that_has_only_begun(tmp_path, read_page):
    write_report(tmp_path)
    text, tags, sections = read_page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Not finished." in text
    assert sections == ["curves"]
    assert "svg" not in tags
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "loss.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("details", [None, 7, [], {"accuracy": None}, {"accuracy": {"classes": 3}}])
def test_damaged_measurements_leave_a_page(write_run, details, read_page):
    part = {"metrics": details, "details": details, "nats_per_token": "x"}
    result = {"valid": part, "test": part, "better": details}
    events = [{"event": "valid", "step": 1, "metrics": details, "criterion": details}]
    folder = write_run(result=result, metrics=events, manifest={"remarks": details})
    assert "result.json is damaged" in read_page(run_page(read_run(folder)))[0]


def test_many_validations_are_folded():
    valid = [Figures(step=step, samples=[Sample(text=f"{step}")]) for step in range(100)]
    part = PARTS["learning"](RunFiles("run", valid=tuple(valid)))
    assert (len(part["shown"]), len(part["every"])) == (12, 100)
    assert [part["shown"][place].step for place in (0, -1)] == [0, 99]


@pytest.mark.parametrize(
    ("pieces", "log_probs", "tokens"),
    [
        (["a", "b"], [math.log(0.5), None], [("a", 0.5), ("b", None)]),
        (["a", "b", "</s>"], [math.nan, 3.0, -1.0], [("a", None), ("b", 1.0)]),
        (["a"], [], [("ab", None)]),
        (["x", "b"], [-1.0, -1.0], [("ab", None)]),
    ],
)
def test_tokens_have_their_probabilities(pieces, log_probs, tokens):
    found = align_tokens(Sample(text="ab", pieces=pieces, log_probs=log_probs))
    assert found == [(text, pytest.approx(probability)) for text, probability in tokens]


@pytest.mark.parametrize(
    ("continues", "temperature", "probabilities", "shown"),
    [
        (True, 0.0, (0.9, 0.05, 0.0001), 3),
        (True, 1.0, (0.5,), 1),
        (False, 0.0, (0.9, 0.05), 0),  # nothing else could be taken
        (False, None, (0.9, 0.05, 0.0001), 2),  # the faint ones are left out
        (False, 1.0, (0.9, 0.0001), 0),  # one alone is no choice
    ],
)
def test_candidates_for_the_first_token(continues, temperature, probabilities, shown):
    first = [Candidate("a", probability) for probability in probabilities]
    sample = Sample(continues=continues, temperature=temperature, first=first)
    assert len(first_candidates(sample)) == shown


def test_a_sample_of_wrong_answers_is_drawn_and_always_the_same(write_run):
    folder = write_run(answers=[wrong(f"s{n}", "x", "y") for n in range(200)])
    part = part_of("errors", folder)
    assert part == part_of("errors", folder)
    drawn = {each.answer.source for each in part["drawn"]}
    assert (len(part["worst"]), len(drawn)) == (WORST, DRAWN)


@pytest.mark.parametrize(
    ("answers", "scale"),
    [
        (None, None),
        ([wrong("a" * n, "b", "b") for n in range(1, 9)], None),  # all right
        ([wrong("a", "b", "c")] * 9, None),  # of one length
        ([wrong("a" * n, "b" if i == n else "c", "c") for n in (1, 2) for i in range(25)], 0.2),
    ],
)
def test_errors_by_length_are_shown_where_they_say_something(write_run, answers, scale):
    assert part_of("lengths", write_run(answers=answers)).get("scale") == scale


def confusion(details):
    test = Figures(details={"accuracy": details})
    return PARTS["confusion"](RunFiles("run", result=Result(test=test)))


def test_of_many_classes_the_most_frequent_are_shown():
    counts = {f"c{n}": {f"c{n}": n + 1, f"c{(n + 1) % 400}": 1} for n in range(400)}
    scores = {f"c{n}": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "count": n} for n in range(400)}
    part = confusion({"confusion": counts, "classes": scores})
    assert (part["labels"], part["classes"]) == ([f"c{n}" for n in range(370, 400)], 400)
    assert [name for name, _ in part["scores"][:2]] == ["c399", "c398"]


@pytest.mark.parametrize(
    "details",
    [
        *(None, [], 3, {"confusion": []}, {"confusion": {"x": {"y": 0}}}),
        {"confusion": {"x": 3}, "classes": {"x": 3}},
        {"confusion": {"x": {"y": "z", "w": -1, "v": math.inf}}, "classes": None},
        {"confusion": {"x": {"y": 10**400}}},
    ],
)
def test_no_confusion_of_what_is_damaged_or_empty(details):
    assert confusion(details) == {}


def test_a_huge_attention_map_is_cut_with_a_word(write_run, read_page):
    odd = [" ", "\n", "\u0303", "", "w" * 500, "\u6771\u4eac" * 9]
    shown = {"source": odd + ["a"] * 494, "output": ["b"] * 3, "weights": [[0.5] * 500] * 3}
    html = run_page(read_run(write_run(attention=[shown], metrics="")))
    assert html.count("--w: 0.50") == 3 * 60
    assert "w" * 201 not in html
    text, _, _ = read_page(html)
    assert "The first 60 of 500 tokens of the source." in text
    assert "\u2423\u21b5\u25cc\u0303(empty)" in text


def python(code, cwd=ROOT, **environment):
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, env=environment, cwd=cwd, stdout=subprocess.PIPE)
    return done.stdout.decode()


def test_the_same_run_gives_the_same_bytes_in_every_process(write_run):
    folder = write_run()
    write_report(folder)
    first = [(folder / name).read_bytes() for name in FILES]
    code = f"import pathlib, seqgen.reports as r; r.write_report(pathlib.Path({str(folder)!r}))"
    python(code, PYTHONHASHSEED="7", TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="1", PYTHONWARNINGS="error")
    assert [(folder / name).read_bytes() for name in FILES] == first
    assert not list(folder.glob("*.tmp")) + list(folder.glob(".*"))


@pytest.mark.parametrize(
    "backend", ["nonsense", "module://matplotlib_inline.backend_inline", "tkagg", ""]
)
def test_the_backend_of_a_notebook_is_none_of_ours(tmp_path, backend):
    """What else the process draws has it, if there is such a one."""
    (tmp_path / "matplotlibrc").write_text("backend: nonsense\nfont.size: x\n")
    code = (
        "import os\nfrom seqgen.reports import try_drawing\ntry_drawing()\nimport matplotlib\n"
        "print(os.environ['MPLBACKEND'], matplotlib.rcParams._get('backend'))\n"
    )
    printed = python(code, tmp_path, **{**os.environ, "MPLBACKEND": backend})
    assert printed.split()[0] == backend or not backend
    assert ("tkagg tkagg" in printed) is (backend == "tkagg")


def test_pictures_that_cannot_be_drawn_are_reported_at_the_start():
    code = (
        "import sys\nsys.modules['matplotlib.figure'] = None\n"
        "from seqgen.reports import try_drawing\nfrom seqgen.errors import SetupError\n"
        "try:\n    try_drawing()\nexcept SetupError as error:\n    print(error)\n"
    )
    message = "the pictures of the report cannot be drawn: ModuleNotFoundErr"
    assert python(code, **os.environ).startswith(message)
    try_drawing()


def test_a_report_that_cannot_be_written(write_run):
    folder = write_run()
    (folder / "loss.png").mkdir()
    with pytest.raises(SetupError, match=r"loss.png: cannot be written"):
        write_report(folder)
    assert not list(folder.glob(".*"))


def test_reports_load_no_matplotlib_until_they_draw():
    heavy = "{'matplotlib', 'torch', 'jinja2', 'numpy'}"
    code = f"import sys, seqgen.reports; print({heavy} & set(sys.modules))"
    assert python(code, **os.environ) == "set()\n"
