"""The comparison as Markdown."""

import pytest

from seqgen.comparison.markdown import markdown, table_columns
from seqgen.reports.format import markdown as escaped


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_the_file(read, pronounced, golden):
    text = markdown(read(pronounced))
    golden("pages/compare.md", text)
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert all(len({line.count("|") for line in table}) == 1 for table in tables)
    # What a README has room for: 14 strategies, a head and the references.
    assert len(tables[0]) == 17
    assert tables[0][0].count("|") <= 12


def test_columns_in_which_all_are_alike_are_left_out(read, pronounced):
    names = [each.id for each in table_columns(read(pronounced))]
    assert names[0] == "phoneme_error_rate"
    assert "finished" not in names


def test_a_document_without_the_rest_has_the_table_and_the_method(read, prose):
    text = markdown(read(prose))
    assert headings(text) == ["# shakespeare", "## temperature of multinomial", "## Method"]
    assert "paired test" not in text
    prose["verdict"] = {"take": None, "why": []}
    assert "**No strategy stands out.**" in markdown(read(prose))


def test_several_runs_are_named(read, pronounced):
    pronounced["runs"].append({**pronounced["runs"][0], "name": "other"})
    pronounced["search"]["by_run"].append({**pronounced["search"]["by_run"][0], "run": "other"})
    pronounced["best_of"]["by_run"] *= 2
    assert headings(markdown(read(pronounced))) == [
        "# Which search for pronunciations?",
        "## Search errors and model errors",
        "### g2p",
        "### other",
        "## beam_size of beam, g2p",
        "## temperature of multinomial, g2p",
        "## Best of n by multinomial temperature=1.0",
        "### g2p",
        "### g2p",
        "## Method",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b\n*c* <i> [d](e) `f` \\g", "a\\|b \\*c\\* \\<i\\> \\[d\\](e) \\`f\\` \\\\g"),
        ("beam_size _x_ a_", "beam_size \\_x\\_ a\\_"),
        ("\x1b[0m\u202e", "\\\\x1b\\[0m\\\\u202e"),
    ],
)
def test_nothing_in_a_text_acts(text, shown):
    assert escaped(text) == shown
