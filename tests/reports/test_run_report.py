import math
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from seqgen.errors import SetupError
from seqgen.reports import run_page, try_drawing, write_report
from seqgen.reports.run_files import Candidate, Figures, Result, RunFiles, Sample, read_run
from seqgen.reports.run_report import DRAWN, PARTS, WORST, align_tokens, first_candidates

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/run.html"
NASTY = "[/x]\x00\x1b[31m\u202e\ud800<script>alert(1)</script>\"'&\r\n\t" + "w" * 300
NAME = NASTY.replace("\ud800", "")
VOID = {"meta", "br", "img", "link", "hr", "input", "wbr"}


class Page(HTMLParser):
    """What a page says; its elements nest, its ids are unique, and it needs nothing else."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.sections = [], [], [], set(), []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))
        assert all(link.startswith("#") and link[1:] in self.ids for link in self.links)
        assert not self.tags & {"script", "link", "img", "iframe", "object"}
        assert not set(text) & set("\x00\x1b\r\u202e\ud800")

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        names = dict(attrs)
        self.tags.add(tag)
        self.ids += [names["id"]] if "id" in names else []
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        self.sections += [names["id"]] if tag == "section" else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page_of(folder):
    return Page(run_page(read_run(folder)))


@pytest.fixture
def whole(write_judged, write_run, metrics_with_a_prompt, samples_of_all_kinds):
    """A run that has something for each section of the page."""
    return write_judged(metrics=metrics_with_a_prompt, samples=samples_of_all_kinds)


def test_the_page_is_as_it_was(whole):
    """Without the charts, which other releases of matplotlib draw in other words. GOLDEN=write
    writes the page anew: read what has changed."""
    before, *rest = run_page(read_run(whole)).split("<svg ")
    page = before + "".join(f"<svg></svg>{each.partition('</svg>')[2]}" for each in rest)
    Page(page)
    if os.environ.get("GOLDEN") == "write":
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8")


def test_the_page_has_a_place_for_each_part(whole):
    assert page_of(whole).sections == list(PARTS)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_the_page_in_a_browser(whole, browser, width, scheme):
    write_report(whole)
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((whole / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # The figure of a tile ("28 min 20 s") does not wrap and does not leave its tile.
    lines = page.eval_on_selector_all(
        ".tiles b",
        "all => all.map(b => [b.getClientRects().length, b.scrollWidth <= b.offsetWidth])",
    )
    assert lines == [[1, True]] * 7
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
    assert _brightness(paper) - _brightness(ink) > 200 or scheme == "dark"
    assert _brightness(ink) - _brightness(paper) > 200 or scheme == "light"
    # A weight is seen: the strongest cell differs from its ground.
    heat = page.locator("#attention td.hit").first
    assert "rgba" in heat.evaluate("cell => getComputedStyle(cell).backgroundImage")
    assert said == []
    page.close()


def _brightness(colour):
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])


def test_nothing_in_a_run_can_act_on_its_page(write_run):
    odd = [{"token": NASTY, "probability": math.nan}, {}]
    sample = {"prompt": NASTY, "text": NASTY, "pieces": [NASTY, "x"], "log_probs": [-1, None]}
    folder = write_run(
        recipe="# \x1b\u202e<script>",
        manifest={"recipe": NASTY, "device": NASTY, "command": [NASTY, 1], NAME: {NASTY: [NASTY]}},
        metrics=[{"event": "valid", "step": 1, "nats_per_token": 2, "samples": [sample]}],
        result={"stopped": NASTY, "test": {NAME: 1, "x": 10**400, "perplexity": math.inf}},
        samples=[sample, {**sample, "temperature": math.nan, "first": odd}],
    )
    write_report(folder)
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.text.count("\\x1b[31m\\u202e\\ud800<script>alert(1)</script>") > 8


@pytest.mark.parametrize("kind", ["exact_match", "accuracy", "tag_accuracy"])
def test_nothing_in_sources_and_classes_can_act(write_judged, kind):
    metrics = {NAME: 0.5, "a": math.nan, "b": None}
    classes = {NAME: {"precision": math.inf, "count": None}}
    confusion = {NAME: {NAME: 2, "": 1}}
    details = {NAME: {"signature": NASTY, "confusion": confusion, "classes": classes}}
    sample = {"prompt": NASTY, "text": NASTY, "continues": False, "pieces": [NASTY]}
    event = {"event": "valid", "step": 1, "nats_per_token": 2, "metrics": metrics, "criterion": 0.5}
    folder = write_judged(
        manifest={"recipe": NASTY, "remarks": [NASTY]},
        # Charts take a second, so that one of the pages has to do.
        metrics=[{**event, "samples": [sample]}] * (kind == "accuracy"),
        result={
            "better": {NAME: NASTY},
            "test": {"metrics": {kind: 0.5, **metrics}, "details": details, "examples": NASTY},
        },
        samples=[sample],
        answers=[
            {"source": NASTY, "output": NASTY, "references": ["x", NASTY + "y"], "score": math.nan},
            {"source": f"{NASTY} z", "output": "x", "references": [NASTY]},
        ],
        attention=[{"source": [NASTY, "\u202e"], "output": [NASTY], "weights": [[0.5, 0.5]]}],
    )
    page = page_of(folder)
    assert {"results", "samples", "attention", "errors", "confusion"} <= set(page.sections)


ALWAYS = ["curves", "results", "recipe", "manifest"]


@pytest.mark.parametrize(
    ("changed", "said", "sections"),
    [
        (
            {"result": None, "samples": None, "answers": None, "attention": None},
            (
                "89,945 parameters, trained for 30 steps, 3 s of training, not finished.",
                "50.00 %phoneme error ratevalidation, step 20",
                "result.json is missing",
            ),
            ["curves", "learning", "recipe", "manifest"],
        ),
        (
            {
                "metrics": "",
                "result": None,
                "samples": [{"prompt": "fer", "text": "", "continues": False}],
                "answers": None,
                "attention": None,
            },
            ("fer\u2192(empty)", "No losses were recorded.", "metrics.jsonl is empty"),
            ["curves", "samples", "recipe", "manifest"],
        ),
        (
            {
                "metrics": "",
                "samples": [
                    {
                        "prompt": "Dacey",
                        "text": "Irish",
                        "pieces": ["Irish"],
                        "log_probs": [math.log(0.4)],
                        "continues": False,
                        "temperature": 0,
                        "finished": False,
                    }
                ],
                "answers": [{"source": "a", "output": "b", "references": ["b"]}],
                "attention": None,
            },
            # Labels have no end, so none is cut.
            ("Dacey\u2192Irish probability 40.0 %", "Wrong answers of the test part: none of 1."),
            ["curves", "samples", "errors", "confusion", "results", "recipe", "manifest"],
        ),
    ],
)
def test_a_run_shows_what_it_has(write_judged, changed, said, sections):
    manifest = {"recipe": "a.yaml", "parameters": 89945}
    page = page_of(write_judged(manifest=manifest, **changed))
    text = " ".join(page.text.replace("\n", " ").split())
    assert [part for part in said if part not in text] == []
    assert page.sections == sections
    assert "cut at the length limit" not in text


def test_a_run_that_has_only_begun(tmp_path):
    write_report(tmp_path)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Not finished." in page.text
    assert "metrics.jsonl is missing" in page.text
    assert page.sections == ["curves"]
    assert "svg" not in page.tags
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "loss.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("details", [None, 7, [], {"accuracy": None}, {"accuracy": {"classes": 3}}])
def test_damaged_measurements_leave_a_page(write_judged, details):
    part = {"metrics": details, "details": details, "nats_per_token": "x"}
    page = page_of(
        write_judged(
            result={"valid": part, "test": part, "better": details},
            metrics=[{"event": "valid", "step": 1, "metrics": details, "criterion": details}],
            manifest={"remarks": details},
        )
    )
    assert "result.json is damaged" in page.text


def test_many_validations_are_folded():
    valid = [Figures(step=step, samples=[Sample(text=f"{step}")]) for step in range(100)]
    part = PARTS["learning"](RunFiles("run", valid=tuple(valid)))
    assert [len(part[name]) for name in ("shown", "every")] == [12, 100]
    assert [part["shown"][place].step for place in (0, -1)] == [0, 99]


@pytest.mark.parametrize(
    ("pieces", "log_probs", "tokens"),
    [
        (["a", "b"], [math.log(0.5), None], [("a", 0.5), ("b", None)]),
        (["a", "b", "</s>"], [math.nan, 3.0, -1.0], [("a", None), ("b", 1.0)]),
        (["a"], [], [("ab", None)]),
        (["x", "b"], [-1.0, -1.0], [("", None), ("ab", None)][1:]),
    ],
)
def test_tokens_have_their_probabilities(pieces, log_probs, tokens):
    found = align_tokens(Sample(text="ab", pieces=pieces, log_probs=log_probs))
    assert found == [(text, pytest.approx(probability)) for text, probability in tokens]


@pytest.mark.parametrize(
    ("continues", "temperature", "shown"),
    [(True, 0.0, 3), (True, 1.0, 3), (False, 0.0, 0), (False, 1.0, 2), (False, None, 2)],
)
def test_candidates_for_the_first_token(continues, temperature, shown):
    first = [Candidate("a", 0.9), Candidate("b", 0.05), Candidate("c", 0.0001)]
    sample = Sample(continues=continues, temperature=temperature, first=first)
    assert len(first_candidates(sample)) == shown
    if not continues:  # one alone is no choice
        assert first_candidates(Sample(continues=False, first=first[::2])) == []


def wrong(source, output, right, score=-1.0):
    return {"source": source, "output": output, "references": [right], "score": score}


@pytest.mark.parametrize(
    ("metric", "rows", "sources"),
    [
        (
            "phoneme_error_rate",  # the most edits for the length, then the least probable
            [
                wrong("third", "b b c d", "a b c d"),
                wrong("second", "b", "a", -1.0),
                wrong("first", "b", "a", -9.0),
                wrong("zeroth", "b b b", "a"),
            ],
            ["zeroth", "first", "second", "third"],
        ),
        (
            "accuracy",  # the surest
            [wrong("Deakin", "Russian", "English"), wrong("Divoky", "Russian", "Czech", -0.1)],
            ["Divoky", "Deakin"],
        ),
        (
            "tag_accuracy",
            [wrong("we saw it", "PRON NOUN PRON", "PRON VERB PRON"), wrong("a b", "X", "X Y")],
            ["a b", "we saw it"],
        ),
    ],
)
def test_the_worst_answers_come_first(write_judged, metric, rows, sources):
    result = {"test": {"metrics": {metric: 0.5}}}
    folder = write_judged(answers=rows, result=result, metrics="")
    part = PARTS["errors"](read_run(folder))
    assert [each.answer.source for each in part["worst"]] == sources
    assert (part["drawn"], part["ends"], part["wrong"]) == ([], False, len(rows))
    text = page_of(folder).text
    assert "cut at the length limit" not in text
    assert {"tag_accuracy": "1 of 3 tags", "accuracy": "90.5 %"}.get(metric, "3 edits in 1") in text


def test_a_sample_of_wrong_answers_is_drawn_and_always_the_same(write_judged):
    folder = write_judged(answers=[wrong(f"s{n}", "x", "y") for n in range(200)])
    parts = [PARTS["errors"](read_run(folder)) for _ in range(2)]
    assert parts[0] == parts[1]
    assert len(parts[0]["worst"]) == WORST
    assert len({each.answer.source for each in parts[0]["drawn"]}) == DRAWN


@pytest.mark.parametrize(
    "answers",
    [
        None,
        [{"source": "a" * n, "output": "b", "references": ["b"]} for n in range(1, 9)],  # all right
        [{"source": "a", "output": "b", "references": ["c"]}] * 9,  # of one length
    ],
)
def test_no_errors_by_length_where_there_is_nothing_to_say(write_judged, answers):
    assert not PARTS["lengths"](read_run(write_judged(answers=answers)))


def test_the_scale_of_errors_by_length_is_round(write_judged):
    rows = [wrong("a" * n, "b" if n == place else "c", "c") for n in (1, 2) for place in range(25)]
    part = PARTS["lengths"](read_run(write_judged(answers=rows)))
    assert (part["scale"], [each.wrong for each in part["bins"]]) == (0.2, [1, 1])


def confusion(details):
    test = Figures(details={"accuracy": details})
    return PARTS["confusion"](RunFiles("run", result=Result(test=test)))


def test_of_many_classes_the_most_frequent_are_shown():
    counts = {f"c{n}": {f"c{n}": n + 1, f"c{(n + 1) % 400}": 1} for n in range(400)}
    scores = {f"c{n}": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "count": n} for n in range(400)}
    part = confusion({"confusion": counts, "classes": scores})
    assert (len(part["labels"]), part["classes"]) == (30, 400)
    assert part["labels"] == sorted(f"c{n}" for n in range(370, 400))
    assert [name for name, _ in part["scores"][:2]] == ["c399", "c398"]


@pytest.mark.parametrize(
    "details",
    [
        None,
        [],
        3,
        {"confusion": []},
        {"confusion": {"x": 3}, "classes": {"x": 3}},
        {"confusion": {"x": {"y": "z", "w": -1, "v": math.inf}}, "classes": None},
        {"confusion": {"x": {"y": 0}}},
        {"confusion": {"x": {"y": 10**400}}},
    ],
)
def test_no_confusion_of_what_is_damaged_or_empty(details):
    assert confusion(details) == {}


def test_a_huge_attention_map_is_cut_with_a_word(write_judged):
    odd = [" ", "\n", "\u0303", "", "w" * 500, "\u6771\u4eac" * 9]
    shown = {"source": odd + ["a"] * 494, "output": ["b"] * 3, "weights": [[0.5] * 500] * 3}
    html = run_page(read_run(write_judged(attention=[shown], metrics="")))
    assert html.count("--w: 0.50") == 3 * 60
    page = Page(html)
    assert "The first 60 of 500 tokens of the source." in page.text
    assert "\u2423\u21b5\u25cc\u0303(empty)" in page.text
    assert "w" * 201 not in html


def python(code, cwd=ROOT, **environment):
    """What a fresh Python prints."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, check=True, env=environment, cwd=cwd, stdout=subprocess.PIPE)
    return done.stdout.decode()


def test_the_same_run_gives_the_same_bytes_in_every_process(write_run):
    folder = write_run()
    names = ("report.html", "loss.png", "loss.pdf")
    write_report(folder)
    first = [(folder / name).read_bytes() for name in names]
    code = f"import pathlib, seqgen.reports as r; r.write_report(pathlib.Path({str(folder)!r}))"
    python(code, PYTHONHASHSEED="7", TZ="Asia/Tokyo", SOURCE_DATE_EPOCH="1")
    assert [(folder / name).read_bytes() for name in names] == first
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
    environment = {**os.environ, "MPLBACKEND": backend, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, check=True, capture_output=True
    )
    found, *_ = done.stdout.decode().split()
    assert found == backend or not backend
    assert (b"tkagg tkagg" in done.stdout) is (backend == "tkagg")


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
    heavy = "{'matplotlib', 'torch', 'jinja2'}"
    code = f"import sys, seqgen.reports; print({heavy} & set(sys.modules))"
    assert python(code, **os.environ) == "set()\n"
