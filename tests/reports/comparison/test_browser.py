"""The page of a comparison in a real Chromium: sorting, filtering, columns, narrow and dark."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqgen.reports.comparison import write_comparison

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

NAMES = ("chromium", "chromium-browser", "google-chrome")
GREEDY = "greedy"
UNKNOWN = "minimum_bayes_risk samples=16"
"""The strategy whose phoneme error rate is not known."""


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine; make browser installs it where it may")
    # Chromium refuses to run as root inside its own sandbox.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
        except sync_api.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def open_page(browser, write_document):
    """A function that opens the page of a document; at the end, nothing was amiss and nothing was
    fetched but the file itself."""
    said, requests, contexts = [], [], []

    def open_it(document, width=1280, scheme="light"):
        folder = write_document(document)
        write_comparison(folder)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / "compare.html").as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []
    assert {Path(url).name for url in requests} == {"compare.html"}
    assert all(url.startswith("file:") for url in requests)


@pytest.fixture
def lacking(pronounced):
    """The comparison, in which a strategy has no phoneme error rate."""
    for system in pronounced["systems"]:
        if system["label"] == UNKNOWN:
            del system["values"]["phoneme_error_rate"]
    return pronounced


def labels(page):
    """The labels of the rows that are shown, from top to bottom."""
    script = "rows => rows.filter(r => !r.hidden).map(r => r.cells[0].dataset.label)"
    found = page.eval_on_selector_all("#systems tbody tr", script)
    return [label.removesuffix(" g2p") for label in found]


def columns(page):
    """The measures whose columns are shown."""
    script = "heads => heads.filter(h => h.offsetWidth && h.dataset.name).map(h => h.dataset.name)"
    return page.eval_on_selector_all("#systems thead th", script)


def values(page, measure):
    """The values of a column, from top to bottom."""
    script = """(rows, name) => {
        const heads = Array.from(document.querySelectorAll("#systems thead th"));
        const column = heads.findIndex((head) => head.dataset.name === name);
        return rows.map((row) => Number(row.cells[column].dataset.value));
    }"""
    return page.eval_on_selector_all("#systems tbody tr", script, measure)


def by_value(document, measure, reverse=False):
    """The labels as a person would sort them: by value, what has none last."""
    known = {each["label"]: each["values"].get(measure) for each in document["systems"]}
    places = list(known)
    found = [label for label in places if known[label]]
    found.sort(key=lambda label: known[label]["value"], reverse=reverse)
    return found + [label for label in places if not known[label]]


def test_a_click_sorts_by_value_and_what_has_none_stays_last(open_page, lacking):
    page = open_page(lacking)
    head = page.locator("th[data-name=phoneme_error_rate]")
    assert head.get_attribute("aria-sort") == "ascending"
    assert labels(page) == by_value(lacking, "phoneme_error_rate")
    assert labels(page)[-1] == UNKNOWN
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert labels(page) == by_value(lacking, "phoneme_error_rate", reverse=True)
    assert labels(page)[-1] == UNKNOWN
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "none"
    assert labels(page) == [each["label"] for each in lacking["systems"]]


def test_the_keyboard_sorts_too_and_the_better_end_comes_first(open_page, pronounced):
    page = open_page(pronounced)
    head = page.locator("th[data-name=sequences_per_second]")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("th[aria-sort=descending]").count() == 1
    assert labels(page)[0] == GREEDY
    speeds = values(page, "sequences_per_second")
    assert speeds == sorted(speeds, reverse=True)
    page.locator("th.label button").click()
    sizes = [label for label in labels(page) if label.startswith("beam beam_size=")]
    assert sizes[0] == "beam beam_size=2"
    assert sizes[-1] == "beam beam_size=50"  # as numbers: not between 5 and 6


def test_the_filter_takes_words(open_page, pronounced):
    page = open_page(pronounced)
    page.locator("#filter").fill("size=5 BEAM")
    assert set(labels(page)) == {
        "beam beam_size=5",
        "beam beam_size=50",
        "beam beam_size=5 length_normalisation=average",
        "beam beam_size=5 length_normalisation=power",
        "stochastic_beam beam_size=5",
    }
    assert page.locator("#count").inner_text() == "5 of 14 strategies"
    assert page.locator("#systems tfoot").is_visible()
    page.locator("#filter").fill("no such")
    assert labels(page) == []
    assert page.locator("#no-match").is_visible()
    page.locator("#filter").fill("")
    assert len(labels(page)) == 14
    assert page.locator("#count").inner_text() == "14 strategies"


def test_groups_and_single_columns_come_and_go(open_page, pronounced):
    page = open_page(pronounced)
    first = columns(page)
    assert "distinct_2" in first
    assert "self_bleu" not in first
    assert page.evaluate("document.querySelector('.compared').scrollWidth") <= 1280
    group = page.locator("#groups input[data-group=diversity]")
    assert group.evaluate("box => box.indeterminate")
    group.check()
    assert {"distinct_1", "distinct_2", "self_bleu", "looping"} <= set(columns(page))
    group.uncheck()
    assert not {"distinct_1", "distinct_2", "self_bleu", "looping"} & set(columns(page))
    page.locator("#columns summary").click()
    page.locator("#columns input[data-name=looping]").check()
    assert "looping" in columns(page)
    assert group.evaluate("box => box.indeterminate")
    page.locator("#main-columns").click()
    assert columns(page) == first


def test_a_narrow_page_scrolls_in_the_table_alone(open_page, pronounced):
    page = open_page(pronounced, width=400)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator("#groups input[data-group=diversity]").check()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    box = page.locator(".compared")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    label = page.locator("#systems tbody th").first
    before = label.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = 300 }")
    assert label.bounding_box()["x"] == before  # the labels stay in sight
    assert page.locator(".plots .slim svg").first.is_visible()
    assert not page.locator(".plots .broad svg").first.is_visible()


def test_outputs_are_filtered_by_strategy(open_page, pronounced):
    page = open_page(pronounced)
    cards = page.locator("details.input")
    assert cards.count() == 12
    assert page.locator("details.input[open]").count() == 5
    page.locator("#outputs-filter").fill("multinomial temperature=1.0")
    shown = page.eval_on_selector_all(
        ".by > li:not(.reference):not([hidden])", "rows => rows.map(r => r.innerText)"
    )
    assert len(shown) == 12
    assert not any(GREEDY in text for text in shown[:5])
    assert page.locator(".by > .reference").first.is_visible()
    page.locator("#open-all").click()
    assert page.locator("details.input[open]").count() == 12


def test_a_dark_screen_gets_a_dark_page(open_page, told):
    shades = {}
    for scheme in ("light", "dark"):
        page = open_page(told, scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades[scheme] = [int(part) for part in colour.strip("rgb()").split(",")]
    assert min(shades["light"]) > 200
    assert max(shades["dark"]) < 60
