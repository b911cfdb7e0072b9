import re

import pytest

from seqgen.reports.classes import confusion
from seqgen.reports.run_files import RunFiles


def run_of(details: object) -> RunFiles:
    return RunFiles("run", "", {}, (), (), {"test": {"details": details}}, (), ())


def cells(page: str) -> list[tuple[str, str, str]]:
    return re.findall(r'<td class="(hit|miss)" style="--share: ([\d.]+)"[^>]*>([\d,]+)</td>', page)


def test_the_matrix_and_the_scores() -> None:
    scores = {"precision": 1.0, "recall": 0.6, "f1": 0.75, "count": 5}
    counts = {"cat": {"cat": 1200, "dog": 800}, "dog": {"dog": 1}, "": {"dog": 1}}
    page = confusion(run_of({"accuracy": {"confusion": counts, "classes": {"cat": scores}}}))
    assert cells(page) == [
        ("miss", "1.000", "1"),
        ("hit", "0.600", "1,200"),
        ("miss", "0.400", "800"),
        ("hit", "1.000", "1"),
    ]
    assert 'title="cat \u2192 dog: 800 of 2,000, 40.0 %"' in page
    assert 'title="(none) \u2192 dog: 1 of 1, 100.0 %"' in page
    assert "<td>100.0 %</td><td>60.0 %</td><td>75.0 %</td><td>5</td>" in page


def test_a_huge_matrix_is_cut_with_a_word() -> None:
    counts = {f"c{n}": {f"c{n}": n + 1, f"c{(n + 1) % 400}": 1} for n in range(400)}
    scores = {f"c{n}": {"precision": 0.5, "recall": 0.5, "f1": 0.5, "count": n} for n in range(400)}
    page = confusion(run_of({"tag_scores": {"confusion": counts, "classes": scores}}))
    assert "Of 400 the 30 most frequent are here." in page
    assert page.count('scope="row" title=') == 30
    assert "<summary>370 more</summary>" in page
    first = re.search(r'<tbody><tr><th scope="row">(c\d+)</th>', page)
    assert first is not None
    assert first[1] == "c399"


def test_labels_do_not_act() -> None:
    label = "<script>\u202e\"'"
    page = confusion(
        run_of({"a": {"confusion": {label: {label: 2}}, "classes": {label: {"f1": 1}}}})
    )
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    "details",
    [
        None,
        [],
        {"a": 3},
        {"a": {"confusion": []}},
        {"a": {"confusion": {"x": 3}, "classes": {"x": 3}}},
        {"a": {"confusion": {"x": {"y": "z", "w": -1, "v": float("inf")}}, "classes": None}},
    ],
)
def test_nothing_of_what_is_damaged(details: object) -> None:
    assert confusion(run_of(details)) == ""
