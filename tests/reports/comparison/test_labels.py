import re

from seqgen.reports.comparison.axes import linear
from seqgen.reports.comparison.drawing import LETTER, Frame
from seqgen.reports.comparison.labels import Box, around, lines_of, placed


def frame():
    return Frame(400, 300, linear([0.0, 1.0], "x"), linear([0.0, 1.0], "y"))


def boxes(svg):
    """The boxes of all lines of labels."""
    found = re.findall(r'class="label" x="([\d.]+)" y="([\d.]+)" [^>]*>([^<]*)<', svg)
    return [
        Box(float(x), float(y) - 10, float(x) + LETTER * len(said), float(y) + 3)
        for x, y, said in found
    ]


def test_boxes_meet_where_they_have_a_part_in_common():
    box = Box(0, 0, 10, 10)
    assert box.meets(Box(9, 9, 20, 20))
    assert not box.meets(Box(10, 0, 20, 10))
    assert Box(1, 1, 9, 9).within(box)
    assert not Box(1, 1, 11, 9).within(box)


def test_long_labels_are_broken_between_words_and_cut():
    assert lines_of("beam beam_size=5 length_normalisation=power", 27) == [
        "beam beam_size=5",
        "length_normalisation=power",
    ]
    lines = lines_of("word " * 40, 10)
    assert len(lines) == 3
    assert lines[-1].endswith("\u2026")
    assert lines_of("", 10) == [""]


def test_labels_lie_on_no_point_and_on_no_other_label():
    points = [(200.0, 150.0), (206.0, 152.0), (214.0, 149.0), (200.0, 170.0)]
    wanted = [(f"label number {i}", at) for i, at in enumerate(points)]
    found = boxes(placed(frame(), wanted, [around(at) for at in points]))
    assert len(found) == 4
    for i, label in enumerate(found):
        assert not any(label.meets(other) for other in (*found[:i], *map(around, points)))


def test_a_label_without_room_is_left_out():
    crowd = [(float(x), float(y)) for x in range(50, 400, 12) for y in range(0, 260, 12)]
    assert placed(frame(), [("label", (200.0, 150.0))], [around(at) for at in crowd]) == ""


def test_a_label_that_is_far_from_its_point_has_a_line_to_it():
    at = (200.0, 150.0)
    ring = Box(180, 130, 230, 170)
    assert "leader" in placed(frame(), [("label", at)], [ring])
    assert "leader" not in placed(frame(), [("label", at)], [around(at)])
