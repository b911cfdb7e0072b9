import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqgen.errors import SetupError
from seqgen.reports import write_report
from seqgen.reports.page import page
from seqgen.reports.run_files import read_run

Writer = Callable[..., Path]
ReadHtml = Callable[[str], Any]
NASTY = "[/x]\x00\x1b[31m\u202e\ud800<script>alert(1)</script>\"'&\r\n\t" + "w" * 300


def html_of(folder: Path) -> str:
    return page(read_run(folder))


def test_the_page_of_a_finished_run(write_run: Writer, read_html: ReadHtml) -> None:
    text = read_html(html_of(write_run())).text
    for part in (
        "char_lstm",
        "923,713 parameters, trained for 4,000 steps, 5 min 13 s of training, best at step 200",
        "stopped: budget reached.",
        "2.100bits per charactertest",
        "best: 1.750 at step 200",
        "step 3001.875 nats30 s",
        "The text of 300",
        "Temperature 0.8",
        "Greedy",
        "repeats e␣counters␣to␣the␣first␣ every 24 characters from character 1 on",
        "perplexity per token ↓4.4004.400",
        "cell: {name: lstm}  # a < b",
        "seqgen run 'my recipe.yaml'",
        "SHA-256 of shakespeare.txt86c4e6aa",
        "seed1234",
    ):
        assert part in text
    assert "not complete" not in text


def test_the_tints_say_how_probable_each_token_was(write_run: Writer) -> None:
    text = html_of(write_run())
    tinted = re.findall(r'<span class="(t\d)" title="([^"]*)">(.)</span>', text)[:5]
    assert ("t0", "90.0 %", "a") in tinted or ("t0", "90.0 %", "e") in tinted
    assert [tint for tint, _, _ in tinted] == ["t0", "t1", "t2", "t3", "t4"]
    assert '<i style="width: 41.00%"></i>' in text


def test_the_page_needs_nothing_else(write_run: Writer, read_html: ReadHtml) -> None:
    text = html_of(write_run())
    found = read_html(text)
    assert found.links
    assert all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert "http:" not in text
    assert "https:" not in text
    assert "url(#" in text
    assert not re.search(r"url\((?!#)|@import", text)


def test_the_curves_take_the_page_s_colours(write_run: Writer) -> None:
    pictures = re.findall(r"<svg.*?</svg>", html_of(write_run()), flags=re.DOTALL)
    assert len(pictures) == 2
    for picture in pictures:
        assert "var(--train)" in picture
        assert not re.search(r"#[0-9a-f]{6}\b|font-family", picture)


def test_nothing_in_a_run_can_act_on_its_page(write_run: Writer, read_html: ReadHtml) -> None:
    odd = {"token": NASTY, "probability": math.nan}
    sample = {"prompt": NASTY, "text": NASTY, "pieces": [NASTY, 3], "log_probs": [-1, None]}
    folder = write_run(
        recipe="# \x1b\u202e<script>",
        manifest={"recipe": NASTY, "device": NASTY, "command": [NASTY, 1], NASTY: {NASTY: [NASTY]}},
        metrics=[{"event": "valid", "step": 1, "nats_per_token": 2, "samples": [sample, 7]}],
        result={
            "stopped": NASTY,
            "parameters": 10**400,
            "test": {NASTY: 1, "perplexity": math.inf},
        },
        samples=[sample, {**sample, "temperature": math.nan, "first": [odd, {}, 3]}],
    )
    write_report(folder)
    text = (folder / "report.html").read_text(encoding="utf-8")
    found = read_html(text)
    assert "script" not in found.tags
    assert "\\x1b[31m\\u202e\\ud800<script>alert(1)</script>" in found.text
    assert not set(text) & set("\x00\x1b\r\u202e")


def test_a_run_that_has_only_begun(tmp_path: Path, read_html: ReadHtml) -> None:
    write_report(tmp_path)
    found = read_html((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Not finished." in found.text
    assert "metrics.jsonl is missing" in found.text
    assert "No losses were recorded." in found.text
    assert "svg" not in found.tags
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "loss.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "losses",
    [[3.0], [3.0, 2.0], [math.nan] * 3, [2.0] * 50, [0.0] * 50, [-1.0] * 50, [1e11, 1e-11] * 20],
)
def test_curves_of_every_shape(write_run: Writer, losses: list[float], read_html: ReadHtml) -> None:
    events = [
        {"event": "train", "step": step, "loss": loss, "learning_rate": 0.0, "seconds": step}
        for step, loss in enumerate(losses)
    ]
    read_html(html_of(write_run(metrics=events, result=None)))


def test_an_unfinished_run_shows_what_it_has(write_run: Writer, read_html: ReadHtml) -> None:
    text = read_html(html_of(write_run(result=None, samples=None))).text
    assert "trained for 390 steps, 39 s of training, not finished." in text
    assert "validation, step 200" in text
    assert "Temperatures" not in text
    assert "result.json is missing" in text


def test_many_validations_are_folded_in(write_run: Writer) -> None:
    events = [
        {"event": "valid", "step": step, "nats_per_token": 2, "samples": [{"text": f"<{step}>"}]}
        for step in range(100)
    ]
    text = html_of(write_run(metrics=events))
    shown, folded = text.split("<details>")
    assert "All 100 validations" in folded
    assert "&lt;0&gt;" in shown
    assert "&lt;99&gt;" in shown
    assert shown.count('class="generated"') == 12


def test_the_same_run_gives_the_same_bytes_in_every_process(write_run: Writer) -> None:
    folder = write_run()
    names = ("report.html", "loss.png", "loss.pdf")
    write_report(folder)
    first = [(folder / name).read_bytes() for name in names]
    code = "import sys, pathlib, seqgen.reports as r; r.write_report(pathlib.Path(sys.argv[1]))"
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "1"}
    command = [sys.executable, "-W", "error", "-c", code, str(folder)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[2])
    assert [(folder / name).read_bytes() for name in names] == first
    assert not list(folder.glob("*.tmp")) + list(folder.glob(".*"))


def test_a_person_s_own_matplotlib_style_changes_nothing(write_run: Writer) -> None:
    import matplotlib

    folder = write_run()
    before = html_of(folder)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert html_of(folder) == before
        assert matplotlib.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    "backend", ["nonsense", "module://matplotlib_inline.backend_inline", "tkagg", ""]
)
def test_the_backend_of_a_notebook_is_none_of_ours(write_run: Writer, backend: str) -> None:
    """What else the process draws has it, if there is such a one."""
    folder = write_run()
    (folder / "matplotlibrc").write_text("backend: nonsense\nfont.size: x\n")
    code = (
        "import os, pathlib, sys\n"
        "from seqgen.reports import try_drawing, write_report\n"
        "try_drawing()\n"
        "write_report(pathlib.Path('.'))\n"
        "import matplotlib\n"
        "print(os.environ['MPLBACKEND'], matplotlib.rcParams._get('backend'))\n"
    )
    environment = {**os.environ, "MPLBACKEND": backend}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, cwd=folder, check=True, stdout=subprocess.PIPE)
    found, *_ = done.stdout.decode().split()
    assert found == backend or not backend
    assert (b"tkagg tkagg" in done.stdout) is (backend == "tkagg")
    assert (folder / "loss.pdf").read_bytes().startswith(b"%PDF")


def test_pictures_that_cannot_be_drawn_are_said_at_the_start(write_run: Writer) -> None:
    folder = write_run()
    code = (
        "import sys\nsys.modules['matplotlib.figure'] = None\n"
        "from seqgen.reports import try_drawing\n"
        "from seqgen.errors import SetupError\n"
        "try:\n    try_drawing()\nexcept SetupError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    assert done.stdout.startswith(b"the pictures of the report cannot be drawn: ModuleNotFoundErr")
    assert not list(folder.glob("*.png"))


def test_a_report_that_cannot_be_written(write_run: Writer) -> None:
    folder = write_run()
    (folder / "loss.png").mkdir()
    with pytest.raises(SetupError, match=r"loss.png: cannot be written"):
        write_report(folder)
    assert not list(folder.glob(".*"))


def test_reports_load_no_matplotlib_until_they_draw() -> None:
    code = "import sys, seqgen.reports; sys.exit(bool({'matplotlib', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_page_of_a_model_that_reads_sources(write_judged: Writer, read_html: ReadHtml) -> None:
    text = html_of(write_judged())
    found = read_html(text)
    for part in (
        "33.33 %exact matchtest",
        "25.00 %phoneme error ratetest",
        "About the data:train.tsv: 2 rows left out",
        "best: 50.00 % at step 20",
        "Validation phoneme error rate from 150.00 % to 75.00 %. Best 50.00 % at step 20.",
        "What the model made of the same sources at each validation.",
        "exact match 25.00 %, phoneme error rate 50.00 %",
        "tandis\u2192t 20",
        "tandis\u2192t a d i",
        "4 tokens, 2.075 nats per token; ended by the model",
        "cat \u2190 chat: 93.8 %",
        "Wrong answers of the test part: 2 of 3 (66.67 %).",
        "cat75.0 %60.0 %66.7 %5",
        "exact match \u219150.00 %33.33 %",
        "phoneme error rate \u219330.00 %25.00 %",
        "accuracy per token \u219150.0 %50.0 %",
        "answers33",
        "BLEU: nrefs:var|tok:13a",
    ):
        assert part in found.text
    for name in ("attention", "errors", "lengths", "confusion", "samples"):
        assert f'<section id="{name}">' in text
    assert 'id="temperatures"' not in text
    assert "bits per character</span>" not in text  # no card for what says little here
    assert "First token<" not in text  # the only other candidate is too faint
    assert all(link[1:] in found.ids for link in found.links)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)


def test_labels_are_not_called_cut_for_not_ending(
    write_judged: Writer, read_html: ReadHtml
) -> None:
    label = {"prompt": "Dacey", "text": "Irish", "pieces": ["Irish"], "log_probs": [math.log(0.4)]}
    label |= {"continues": False, "temperature": 0, "finished": False}
    text = read_html(html_of(write_judged(samples=[label], answers=None, metrics=""))).text
    assert "Dacey\u2192Irishprobability 40.0 %" in text
    assert "cut at the length limit" not in text


def test_an_empty_output_is_seen(write_judged: Writer, read_html: ReadHtml) -> None:
    sample = {"prompt": "fer", "text": "", "continues": False}
    text = read_html(html_of(write_judged(samples=[sample], answers=None, metrics=""))).text
    assert "fer\u2192(empty)" in text


def test_an_unfinished_run_with_sources(write_judged: Writer, read_html: ReadHtml) -> None:
    folder = write_judged(result=None, samples=None, answers=None, attention=None)
    text = read_html(html_of(folder)).text
    assert "50.00 %phoneme error ratevalidation, step 20" in text
    assert "answers.json" not in text
    assert "Confusion" not in text


def test_nothing_in_sources_and_classes_can_act(write_judged: Writer, read_html: ReadHtml) -> None:
    metrics = {NASTY: 0.5, "a": math.nan, "b": "c"}
    details = {
        NASTY: {
            "signature": NASTY,
            "confusion": {NASTY: {NASTY: 2, "": 10**400}},
            "classes": {NASTY: {"precision": math.inf, "count": NASTY}},
        }
    }
    sample = {"prompt": NASTY, "text": NASTY, "continues": False, "pieces": [NASTY]}
    answers = [
        {"source": NASTY, "output": NASTY, "references": ["x", NASTY + "y"], "score": math.nan},
        {"source": f"{NASTY} z", "output": "x", "references": [NASTY], "finished": NASTY},
    ]
    event = {"event": "valid", "step": 1, "nats_per_token": 2, "metrics": metrics}
    for kind in ("exact_match", "accuracy", "tag_accuracy"):
        folder = write_judged(
            manifest={"recipe": NASTY, "remarks": [NASTY, 7]},
            # Pictures take a second, so that one of the pages has to do.
            metrics=[{**event, "criterion": 0.5, "samples": [sample]}] * (kind == "accuracy"),
            result={
                "better": {NASTY: NASTY},
                "test": {"metrics": {kind: 0.5, **metrics}, "details": details, "examples": NASTY},
            },
            samples=[sample],
            answers=answers,
            attention=[{"source": [NASTY, "\u202e"], "output": [NASTY], "weights": [[0.5, 0.5]]}],
        )
        text = html_of(folder)
        assert "script" not in read_html(text).tags
        assert not set(text) & set("\x00\x1b\r\u202e")
        shutil.rmtree(folder)


@pytest.mark.parametrize("details", [None, 7, [], {"accuracy": None}, {"accuracy": {"classes": 3}}])
def test_damaged_measurements_leave_a_page(
    write_judged: Writer, details: object, read_html: ReadHtml
) -> None:
    part = {"metrics": details, "details": details, "nats_per_token": "x"}
    result = {"valid": part, "test": part, "better": details}
    events = [{"event": "valid", "step": 1, "metrics": details, "criterion": details}]
    manifest = {"remarks": details}
    read_html(html_of(write_judged(result=result, metrics=events, manifest=manifest)))
