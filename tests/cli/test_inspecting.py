"""The verbs inspect, page and export: what they print and write, and what they refuse."""

import json
import re
import sys

import pytest

TEXT = "the cat sat\non a (mat) and\nsaw dogs run far\n" * 5


def test_it_prints_a_table_and_writes_a_page(command, finished_run, place):
    place.write("some.txt", TEXT)
    ended = command("inspect", finished_run, "--text", "some.txt")
    assert ended.code == 0
    said = "25 tokens of the text are unknown to the model (3 different: '\\n', '(', ')')"
    assert ended.err == f"warning: {said}\n"
    lines = ended.out.splitlines()
    assert lines[0].split()[:4] == ["property", "unit", "r", "p"]
    assert lines[-2].startswith("32 units, 220 tokens, ")
    assert lines[-1] == "page: run-units.html"
    assert "inside round brackets" in ended.out
    page = (place.folder / "run-units.html").read_text(encoding="utf-8")
    assert re.sub("<[^>]*>", "", page[page.index('id="text"') :]).count("saw dogs") == 5


def test_as_json_from_standard_input(output, place, type_in):
    type_in("the cat\nsat on a mat\n".replace("\n", " \n"))
    said = "warning: 2 tokens of the text are unknown to the model (1 different: '\\n')\n"
    found = json.loads(
        output("inspect", "@lm", "--text", "-", "--out", "a.html", "--json", err=said)
    )
    assert found["tokens"] == found["characters"] == 23
    assert found["followers"][0].keys() >= {"unit", "name", "property", "r", "p", "bits_per_char"}
    assert [*place.files()].count("a.html") == 1


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (4, "@lm --text empty.txt", "empty.txt: must be a text of two lines at least, but has…"),
        (4, "@lm --text blank.txt", "blank.txt: must be a text of two lines at least, but has…"),
        (4, "@lm --text short.txt", "short.txt: must be a text of two lines…has only one line"),
        (4, "@lm --text none.txt", "none.txt: …"),
        (4, "@lm --text bytes.txt", "bytes.txt:1: invalid UTF-8…"),
        (5, "nowhere --text some.txt", "nowhere: …"),
        (2, "@lm", "…Missing option '--text'…"),
        (2, "@lm --text some.txt --out -", "--out must be a file: …"),
        (2, "@lm --text some.txt --out some.txt", "--text and --out must be two files"),
        (7, "@lm --text some.txt --out no/a.html", "no/a.html: cannot be written: …"),
        (
            *(2, "@pairs --text some.txt"),
            "inspect: needs a language model, but the model of this run is a 'seq2seq'",
        ),
    ],
)
def test_it_refuses(code, words, said, refused, place):
    place.write("some.txt", "the cat\nsat\n")
    place.write("empty.txt", "")
    place.write("blank.txt", "\n \n\n")
    place.write("short.txt", "the cat\n")
    place.write("bytes.txt", b"the\xff cat\nsat")
    refused(code, f"inspect {words}", said)
    assert not [*place.folder.glob("*.html*")]


@pytest.mark.parametrize("words", ["page @lm", "page @lm --out run-page.html", "page @pairs"])
def test_a_page_is_written_where_it_should_be(words, output, place):
    place.write("run-page.html", "an older page")
    assert output(*words.split()) == "page: run-page.html\n"
    assert set(place.files()) == {"run-page.html", "text.txt", "tiny.yaml"}
    page = (place.folder / "run-page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert output("page", words.split()[1], "--out", "-").startswith("<!DOCTYPE html>")


def test_a_run_that_is_not_finished_has_a_page(output, copied_run):
    (copied_run / "result.json").unlink()
    assert output("page", "@copy") == "page: copied-page.html\n"


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (5, "nowhere", "nowhere: …"),
        (5, "text.txt", "text.txt…"),
        (7, "@lm --out no/a.html", "no/a.html: cannot be written: …"),
        (7, "@lm --out .", ".: …"),
        (2, "@lm --device cpu", "…No such option: --device…"),
        (2, "@other", "page: the cell 'sru' does not work in a browser; these do: gru, …"),
    ],
)
def test_a_page_is_refused(code, words, said, refused, place, request):
    if words == "@other":
        cell = "model.cell={name: sru, hidden_size: 8}"
        words = str(request.getfixturevalue("train")(cell, "train.max_steps=1"))
    refused(code, f"page {words}", said)
    assert not [*place.folder.glob("*.html*")]


def test_an_export_is_a_folder(output, place):
    (place.folder / "run-torch").mkdir()  # an empty one may be there
    assert output("export", "@lm", "--to", "torch") == "torch: run-torch\n"
    folder = place.folder / "run-torch"
    assert {each.name for each in folder.iterdir()} == {"meta.json", "step.pt2"}
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    assert (meta["target"], meta["seed"], meta["first_token"]) == ("torch", 1, 1)
    assert meta["recipe"]["model"]["cell"]["hidden_size"] == 16
    assert not [*place.folder.glob(".*tmp")]


@pytest.mark.parametrize(
    ("code", "words", "said"),
    [
        (5, "nowhere --to torch", "nowhere: …"),
        (2, "@lm", "…Missing option '--to'…"),
        (2, "@lm --to tf", "…Invalid value for '--to': 'tf' is not one of 'onnx', 'torch'…"),
        (7, "@lm --to torch --out full", "full: not an empty folder; choose another with --out"),
        (7, "@lm --to torch --out text.txt", "text.txt: not an empty folder; choose another…"),
        (7, "@lm --to torch --out text.txt/a", "text.txt/a: cannot be written: Not a directory"),
        (
            *(7, "@lm --to onnx"),
            "--to onnx needs onnxscript: pip install 'seqgen-toolkit[export]'",
        ),
    ],
)
def test_no_export(code, words, said, refused, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    place.write("full/a.txt", "a")
    refused(code, f"export {words}", said)
