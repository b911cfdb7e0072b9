"""The verb inspect: what it prints and writes, and what it refuses."""

import json
import re

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
