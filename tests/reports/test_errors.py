import re
from collections.abc import Callable
from pathlib import Path

from seqgen.reports.errors import DRAWN, WORST, errors
from seqgen.reports.run_files import read_run

Writer = Callable[..., Path]


def wrong(source: str, output: str, right: str, score: float = -1.0) -> dict[str, object]:
    return {"source": source, "output": output, "references": [right], "score": score}


def plain(page: str) -> str:
    return re.sub(r"<[^>]*>", " ", page)


def test_wrong_answers_stand_beside_source_and_references(write_judged: Writer) -> None:
    page = errors(read_run(write_judged()))
    assert "Wrong answers of the test part: 2 of 3 (66.67 %)." in page
    assert re.findall(r'source" dir="auto">(\w+)<', page) == ["les", "tandis"]  # 1 of 2, 1 of 4
    assert '<dt>or</dt><dd class="generated" dir="auto">l e z</dd>' in page
    assert "1 edit in 2 phonemes, log-probability -0.2500, cut at the length limit" in page
    assert 't <mark class="wrong">a</mark> d i' in page
    assert "Drawn at random" not in page


def test_the_worst_have_the_most_edits_for_their_length(write_judged: Writer) -> None:
    rows = [
        wrong("third", "b b c d", "a b c d"),
        wrong("second", "b", "a", -1.0),
        wrong("first", "b", "a", -9.0),
        wrong("zeroth", "b b b", "a"),
    ]
    page = errors(read_run(write_judged(answers=rows)))
    assert re.findall(r'source" dir="auto">(\w+)<', page) == ["zeroth", "first", "second", "third"]


def test_a_sample_is_drawn_and_always_the_same(write_judged: Writer) -> None:
    rows = [wrong(f"s{n}", "x", "y") for n in range(200)]
    folder = write_judged(answers=rows)
    page = errors(read_run(folder))
    worst, drawn = page.split("Drawn at random")
    assert worst.count('class="generated source"') == WORST
    assert len(set(re.findall(r">(s\d+)<", drawn))) == DRAWN
    assert errors(read_run(folder)) == page


def test_of_classes_the_surest_mistakes_come_first(write_judged: Writer) -> None:
    result = {"test": {"metrics": {"accuracy": 0.5}}}
    rows = [wrong("Deakin", "Russian", "English", -1.0), wrong("Divoky", "Russian", "Czech", -0.1)]
    page = errors(read_run(write_judged(answers=rows, result=result)))
    body = plain(page.split("<tbody>")[1]).split()
    assert body[:5] == ["Divoky", "Russian", "Czech", "90.5", "%"]
    assert "<mark" not in page


def test_tags_stand_with_their_words(write_judged: Writer) -> None:
    result = {"test": {"metrics": {"tag_accuracy": 0.5}}}
    rows = [wrong("we saw it", "PRON NOUN PRON", "PRON VERB PRON"), wrong("a b", "X", "X Y")]
    page = errors(read_run(write_judged(answers=rows, result=result)))
    assert "<b>saw</b>" in page
    assert "1 of 3 tags, log-probability -1.000" in page
    assert "cut" not in page  # tags have no end, so none is finished
    assert '<mark class="missed">Y</mark>' in page


def test_nothing_wrong_and_nothing_there(write_judged: Writer) -> None:
    folder = write_judged(answers=[{"source": "a", "output": "b", "references": ["b"]}])
    assert errors(read_run(folder)) == "<p>Wrong answers of the test part: none of 1.</p>"
    (folder / "answers.json").unlink()
    assert errors(read_run(folder)) == ""
