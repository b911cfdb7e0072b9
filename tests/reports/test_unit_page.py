"""The page of an inspection: what it shows, what its script does, and that nothing else acts."""

import base64

import numpy as np
import pytest

from seqgen.reports import unit_page
from seqgen.units import Follower, Inspection, Passage

HOSTILE = "</div><script>alert(1)</script>\"' onmouseover=x \u202e\x1b[31m\x00&lt;"


def followers(count=3, name="memory 1"):
    kinds = ("inside double quotes", 0.75, 0.0002), ("digit", -0.5, 0.01), ("vowel", 0.01, 0.9)
    return tuple(
        Follower(unit, f"{name}{unit}", *kinds[unit % 3], 0.001 * unit, 0.0025 - 0.001 * unit)
        for unit in range(count)
    )


def inspection(text, found=None, ends=None, activations=None):
    ends = [*range(len(text))] if ends is None else ends
    found = followers() if found is None else found
    units = max((each.unit for each in found), default=0) + 1
    if activations is None:
        waves = np.arange(len(ends))[:, None] * (1 + np.arange(units))
        activations = np.sin(waves, dtype=np.float32)
    return Inspection(
        passage=Passage(text, [[5] * len(ends)], ends),
        names=tuple(f"memory {unit}" for unit in range(units)),
        properties=("inside double quotes", "digit", "vowel"),
        activations=activations,
        correlations=np.zeros((units, 3), np.float32),
        followers=found,
        nats_per_token=1.25,
        bits_per_char=1.8,
        ablated_tokens=len(ends),
        ablated_nats_per_token=1.25,
        ablated_bits_per_char=1.8,
    )


def classes(read):
    return [each.get("class", "") for tag, each in read.tags if tag == "i"]


def test_the_page(golden, well_made):
    page = unit_page("runs & more", inspection('Say "12 eggs",\nor <none>.\n'))
    golden("pages/units.html", page)
    assert "http" not in page
    read = well_made(page)
    assert len(classes(read)) == 26
    assert {"n4", "p4", ""} <= set(classes(read))
    assert 'class="doubtful"' in page


def test_tints_are_deviations_from_the_mean_of_the_whole_text(well_made):
    values = np.array([[0, 0, 0, 0, 0, 0, 0, 0, 3, -3]], np.float32).T
    page = unit_page("run", inspection("abcdefghij", followers(1), activations=values))
    read = well_made(page)
    assert classes(read) == [""] * 8 + ["p5", "n5"]  # more than 2 deviations
    [bytes_] = [each["data-tints"] for _, each in read.tags if "data-tints" in each]
    assert np.frombuffer(base64.b64decode(bytes_), np.int8).tolist() == [0] * 8 + [127, -127]


def test_a_token_of_several_characters_is_one_piece(well_made):
    page = unit_page("run", inspection("the cat", ends=[2, 6, 6]))
    assert len(classes(well_made(page))) == 2
    assert "> cat</i>" in page


def test_a_long_text_is_cut_and_said_so(well_made):
    page = unit_page("run", inspection("abcdefghi\n" * 10_000, followers(54)))
    assert len(page) < 1_000_000
    assert len(classes(well_made(page))) == 8000
    assert "92,000 more characters had no room" in page


@pytest.mark.parametrize("found", [(), None], ids=["none", "three"])
def test_what_does_not_vary_has_no_tint(found, well_made):
    flat = np.ones((4, 3), np.float32)
    page = unit_page("run", inspection("a\nb\n", found, activations=flat))
    assert classes(well_made(page)) == [""] * 4
    assert ("No property varies" in page) == (found == ())


def test_no_text_acts_on_the_page(well_made):
    page = unit_page(HOSTILE, inspection(HOSTILE, followers(name=HOSTILE)))
    read = well_made(page)
    assert [tag for tag, _ in read.tags].count("script") == 1
    assert not any("onmouseover" in each for _, each in read.tags)
    assert not {"\u202e", "\x1b", "\x00"} & set(page)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(width, scheme, open_file, tmp_path):
    path = tmp_path / "units.html"
    text = 'Say "12 eggs",\nor <none>. ' + "w" * 300 + "\n"
    path.write_text(unit_page("run", inspection(text)), encoding="utf-8")
    page = open_file(path, width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def tints():
        return page.locator("#text > i").evaluate_all("all => all.map((each) => each.className)")

    as_written = tints()
    page.locator("input").nth(1).check()
    assert tints() != as_written
    page.locator("input").nth(0).check()
    assert tints() == as_written
