import re
from xml.etree import ElementTree

from seqgen.reports.attention import Looked, read_attention
from seqgen.reports.heat_maps import MOST, heat_map, heat_maps
from seqgen.reports.run_files import RunFiles


def run_of(*shown: Looked) -> RunFiles:
    return RunFiles("run", "", {}, (), (), {}, (), (), (), shown)


def texts(svg: str) -> list[tuple[str, str]]:
    """The labels of the axes, each with its title."""
    return re.findall(r"<text [^>]*>([^<]*)<title>([^<]*)</title>", svg)


def test_a_small_heat_map() -> None:
    looked = Looked(["le", "chat"], ["the", "cat"], [[0.75, 0.25], [0.001, 0.999]])
    svg = heat_map(looked)
    ElementTree.fromstring(svg)
    assert [label for label, _ in texts(svg)] == ["le", "chat", "the", "cat"]
    cells = re.findall(r'fill-opacity="([\d.]+)"><title>([^<]*)</title>', svg)
    assert cells == [
        ("0.75", "the \u2190 le: 75.0 %"),
        ("0.25", "the \u2190 chat: 25.0 %"),
        ("1.00", "cat \u2190 chat: 99.9 %"),
    ]


def test_letters_stand_upright_and_words_lean() -> None:
    letters = heat_map(Looked([*"abc", "<eos>"], ["x"], [[0.25] * 4]))
    assert letters.count("rotate(-45)") == 1
    words = heat_map(Looked(["je", "suis", "malade", "."], ["x"], [[0.25] * 4]))
    assert words.count("rotate(-45)") == 4


def test_odd_pieces_can_be_read() -> None:
    odd = [" ", "\n", "\u0303", "", "w" * 500, "\u6771\u4eac" * 9, "<script>\u202e"]
    svg = heat_map(Looked(odd, ["x"], [[0.1] * len(odd)]))
    ElementTree.fromstring(svg)
    shown = [label for label, _ in texts(svg)][: len(odd)]
    assert shown[:4] == ["\u2423", "\u21b5", "\u25cc\u0303", "\u2205"]
    assert shown[4] == "w" * 13 + "\u2026"
    assert shown[5] == "\u6771\u4eac" * 3 + "\u2026"
    assert shown[6] == "&lt;script&gt;\\u202e"
    assert "\u202e" not in svg
    assert max(len(title) for _, title in texts(svg)) <= 200


def test_a_huge_one_is_cut_with_a_word() -> None:
    wide = Looked(["a"] * 500, ["b"] * 3, [[0.5] * 500] * 3)
    page = heat_maps(run_of(wide))
    assert page.count("fill-opacity") == 3 * MOST
    assert "The first 60 of 500 pieces of the source." in page
    assert heat_maps(run_of()) == ""


def test_what_does_not_fit_together_is_left_out() -> None:
    good = {"source": ["a", 3], "output": ["b"], "weights": [[0.5, 0.5]]}
    bad = [
        7,
        {**good, "weights": [[0.5]]},
        {**good, "weights": [[0.5, 0.5], [1, 0]]},
        {**good, "weights": [[0.5, float("nan")]]},
        {**good, "weights": [[0.5, "0.5"]]},
        {**good, "weights": [[-1, 2]]},
        {**good, "weights": "x"},
        {"source": [], "output": [], "weights": []},
    ]
    looked, left_out = read_attention([good, *bad])
    assert looked == (Looked(["a", "?"], ["b"], [[0.5, 0.5]]),)
    assert left_out == len(bad)
