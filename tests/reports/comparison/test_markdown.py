import re

from seqgen.reports.comparison.document import comparison_of
from seqgen.reports.comparison.markdown import escaped, markdown


def test_the_parts_of_the_file(pronounced):
    text = markdown(comparison_of(pronounced))
    assert re.findall("^#+ .*", text, re.MULTILINE) == [
        "# Which search for pronunciations?",
        "## Search errors and model errors",
        "## beam_size of beam",
        "## temperature of multinomial",
        "## Best of n by multinomial temperature=1.0",
        "## Method",
    ]
    assert "**Take beam beam_size=5.**" in text
    assert "\n| references | \u2013 |" in text
    tables = [
        [line.count("|") for line in part.splitlines()]
        for part in text.split("\n\n")
        if part.startswith("|")
    ]
    assert len(tables) == 5
    assert all(len(set(widths)) == 1 for widths in tables)
    # What a README has room for: 14 strategies, a head and the references.
    assert len(tables[0]) == 17
    assert tables[0][0] <= 12


def test_columns_in_which_all_are_alike_are_left_out(pronounced):
    text = markdown(comparison_of(pronounced))
    assert "finished" not in text.split("## ")[0]


def test_nothing_in_a_text_acts():
    assert escaped("a|b\n*c* <i> [d](e) `f` \\g") == (
        "a\\|b \\*c\\* \\<i\\> \\[d\\](e) \\`f\\` \\\\g"
    )
    assert escaped("beam_size _x_ a_") == "beam_size \\_x\\_ a\\_"
    assert escaped("\x1b[0m\u202e") == "\\\\x1b\\[0m\\\\u202e"


def test_a_bare_document_has_a_heading_and_the_method():
    text = markdown(comparison_of({}))
    assert text.startswith("# Decoding strategies\n\n0 strategies on the same inputs.\n")
    assert "|" not in text


def test_several_runs_are_named(pronounced):
    pronounced["runs"].append({"name": "other"})
    pronounced["search"]["by_run"].append({"run": "other", "certain": 3})
    pronounced["best_of"]["by_run"] *= 2
    text = markdown(comparison_of(pronounced))
    assert "## beam_size of beam, g2p" in text
    assert "### other" in text
    assert text.count("### g2p") == 3
