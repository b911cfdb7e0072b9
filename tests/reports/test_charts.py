from xml.etree import ElementTree

import matplotlib
import pytest

from seqgen.reports import charts


def draw(layout, ink=charts.BLUE):
    figure = charts.blank(layout)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [3, 1, 2], color=ink, gid="line", label="a < b")
    axes.set_title("$x_1$")
    axes.grid()
    axes.legend()
    return figure


def test_a_chart_in_a_page_has_its_colours_and_fonts_and_says_what_it_shows():
    picture = charts.svg(draw, 'of "x" & y', titles={"line": "1 < 2"})
    root = ElementTree.fromstring(picture)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'of "x" & y')
    assert root.get("width") is None
    assert "var(--blue)" in picture
    assert "font-family" not in picture
    assert not any(colour in picture for colour in (charts.BLUE, charts.INK, charts.MUTED))
    texts = [element.text for element in root.iter("text")]
    assert {"a < b", "$x_1$"} <= set(texts)  # texts stay texts, and are not read as formulas
    assert [title.text for title in root.iter("title")] == ["1 < 2"]


def test_two_charts_in_a_page_share_no_ids():
    pictures = [charts.svg(draw, "x"), charts.svg(lambda layout: draw(layout, charts.GREEN), "x")]
    roots = [ElementTree.fromstring(picture) for picture in pictures]
    ids = [element.get("id") for root in roots for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 2
    used = {element.get("href", "#")[1:] for root in roots for element in root.iter()} - {""}
    assert used <= set(ids)


def test_a_chart_is_drawn_broad_and_slim():
    assert charts.responsive(draw, "x").count("<svg") == 2


@pytest.mark.parametrize(
    ("kind", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?x")]
)
def test_the_same_chart_has_the_same_bytes_as_a_file(kind, start):
    assert charts.picture(draw, kind).startswith(start)
    assert charts.picture(draw, kind) == charts.picture(draw, kind)


def test_a_person_s_own_style_changes_nothing():
    before = charts.svg(draw, "x")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        assert charts.svg(draw, "x") == before
        assert matplotlib.rcParams["font.size"] == 30


def test_labels_that_no_font_or_no_place_has():
    assert charts.drawable("phoneme error rate of \u4eac\x00") == "phoneme error\nrate of ??"
