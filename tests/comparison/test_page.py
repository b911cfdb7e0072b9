"""The page of a comparison: its parts, in a real Chromium, and as files."""

import copy
import json
import zlib
from base64 import b64decode

import pytest

from seqgen.comparison import check_free, read_document, write, write_charts, write_comparison
from seqgen.comparison import page as module
from seqgen.comparison.page import (
    best_values,
    labels_apart,
    main_columns,
    markdown,
    outputs,
    page,
    sentences,
    shown_traces,
    table_columns,
)
from seqgen.errors import CheckpointError, SetupError
from seqgen.reports import charts

NASTY = "[/x]\x00\x1b[31m\u202e\ud800<script>alert(1)</script>\"'&|\r\n\t" + "w" * 300
UNKNOWN = "minimum_bayes_risk samples=16"
"""The strategy whose phoneme error rate is unknown."""


@pytest.fixture
def checked(read, well_made):
    """A function that makes the page of a document and reads it."""

    def check(document):
        found = well_made(page(read(document)))
        assert [tag for tag, _ in found.tags].count("script") == 1
        assert all(link.removeprefix("#") in found.ids for link in found.links)
        return found

    return check


@pytest.fixture
def without_charts(monkeypatch):
    """Charts are as the installed matplotlib draws them, and take their time."""
    monkeypatch.setattr(charts, "svg", lambda draw, title, **rest: f"[{title}]")


@pytest.mark.usefixtures("without_charts")
class TestSections:
    def test_the_page(self, read, pronounced, golden):
        pronounced["traces"][0]["label"] = "beam beam_size=5"
        golden("pages/compare.html", page(read(pronounced)))

    def test_what_was_not_measured_has_none(self, checked, pronounced, prose):
        def sections(document):
            return [each["id"] for tag, each in checked(document).tags if tag == "section"]

        assert sections(prose) == ["strategies", "trade-offs", "curves", "outputs", "method"]
        one = {**pronounced, "systems": pronounced["systems"][:1], "curves": []}
        one["outputs"] = [{**each, "by": each["by"][:1]} for each in one["outputs"]]
        assert "trade-offs" not in sections(one)

    def test_sixty_strategies_of_two_runs(self, checked, pronounced):
        runs = [pronounced["runs"][0] | {"name": name} for name in ("g2p", "other")]
        systems = [
            copy.deepcopy(each)
            | {"label": f"{each['label']} {run['name']} {i}", "run": run["name"]}
            for run in runs
            for i, each in enumerate((pronounced["systems"] * 3)[:30])
        ]
        changed = {"systems": systems, "runs": runs, "outputs": [], "curves": []}
        found = checked(pronounced | changed)
        assert found.text.count("g2p 0") > 1
        assert "60 strategies" in found.text
        assert any("tall" in each.get("class", "") for _, each in found.tags)

    def test_values_that_are_unknown(self, checked, pronounced):
        for each in pronounced["systems"][:6]:
            each["values"] = {name: {"value": None} for name in each["values"]}
            each["against_baseline"] = {}
        pronounced["systems"][8]["values"]["distinct_2"] = {"value": 0.0, "by_seed": [None, 0.0]}
        pronounced["search"]["by_run"][0]["systems"][0] |= {"outputs": None, "wrong": None}
        assert "\u2013" in checked(pronounced).text
        del pronounced["systems"][9]["values"]["phoneme_error_rate"]
        checked({**pronounced, "quality": None, "diversity": None})

    def test_what_goes_on_with_a_prompt_is_compared_with_nothing(self, read, prose, well_made):
        assert not any(each.marked or each.right for _, own in outputs(read(prose)) for each in own)
        assert "mark" not in {tag for tag, _ in well_made(page(read(prose))).tags}

    def test_an_empty_output_and_one_without_references(self, checked, pronounced):
        shown = {"input": "", "references": [], "by": made(greedy="")}
        found = checked({**pronounced, "search": None, "outputs": [shown]})
        assert found.text.count("(empty)") == 2  # the input and its output
        assert "mark" not in {tag for tag, _ in found.tags}

    def test_more_traces_than_a_page_can_hold_are_counted(
        self, read, pronounced, monkeypatch, checked
    ):
        pronounced["traces"] *= 3
        assert "more trace" not in checked(pronounced).text
        [(_, [(_, _, packed)]), *_], _ = shown_traces(read(pronounced))
        monkeypatch.setattr(module, "TRACES_SIZE", len(packed))
        assert "2 more traces in compare.json." in checked(pronounced).text


def test_hostile_texts_do_nothing(checked, pronounced):
    text = json.dumps(pronounced).replace("beam beam_size=5", json.dumps(NASTY)[1:-1])
    document = json.loads(text)
    document |= {"description": NASTY, "curves": []}
    document["runs"][0] |= {"description": NASTY, "data": {NASTY: NASTY}}
    for each in document["outputs"]:
        each |= {"input": NASTY, "references": [NASTY]}
        each["by"][0]["text"] = NASTY + "x"
    document["measures"]["phoneme_error_rate"] |= {"title": NASTY, "about": NASTY, "unit": NASTY}
    found = checked(document)
    assert "alert(1)" in found.text
    assert not {"\x00", "\x1b", "\u202e", "\ud800"} & set(found.text)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"origin": "test", "count": 5, "of": 5}, "5 inputs of the test part"),
        ({"origin": "valid", "count": 1, "of": 9}, "1 of 9 inputs of the validation part"),
        ({"origin": "file", "count": 2, "of": 2}, "2 inputs of a file"),
        ({"origin": "prompts", "count": 2, "of": 2}, "2 prompts of the plan"),
        ({"origin": "test", "count": 1, "of": 1, "continues": True}, "1 prompt of the test part"),
    ],
)
def test_which_inputs_were_decoded(read, pronounced, inputs, said):
    pronounced["inputs"] |= inputs
    assert sentences(read(pronounced), "summary") == [f"14 strategies of g2p on {said}."]


def test_the_heading_is_the_description_or_the_runs(read, prose):
    prose["runs"] *= 2
    assert markdown(read(prose)).startswith("# shakespeare, shakespeare\n")
    assert sentences(read(prose), "summary")[0].startswith("9 strategies of 2 runs on 100 of 2,100")


def test_the_method_says_what_holds(read, prose):
    prose["plan"] |= {"precision": "single", "unit": None, "samples": 4}
    for each in prose["systems"]:
        each["seeds"] = [1]
    assert sentences(read(prose), "method") == [
        "All strategies decoded 100 of 2,100 prompts of the test part.",
        "Each gave 4 outputs per input; quality is measured on the best of them, diversity on all "
        "of them.",
        "The 95 % intervals come from 1,000 bootstrap samples of the inputs.",
        "Nothing was timed.",
        "Made by seqgen 0.1.0 with seed 1.",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"empty": {"mean_probability": 0.5}}, ["probability of 50.0 % on average."]),
        (
            {"empty": {"mean_probability": 0.25, "best": 0.5}, "best_is_reference": 0.75},
            [
                "It is a reference for 75.0 % of them.",
                "25.0 % on average, and is the most probable one for 50.0 % of the inputs.",
            ],
        ),
        ({"empty": {}, "reference_reachable": 3}, ["For 3 of 100 inputs the model can produce"]),
    ],
)
def test_what_is_known_of_the_most_probable_outputs(read, pronounced, found, said):
    pronounced["search"]["by_run"] = [{"run": "g2p", "certain": 4, "systems": [], **found}]
    results = read(pronounced)
    first, *others = sentences(results, "search", results.document.search.by_run[0])
    assert first == "The most probable output was found for 4 of 100 inputs within 2,000 nodes."
    assert len(others) == len(said)
    assert all(part in sentence for part, sentence in zip(said, others, strict=True))


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("beam 50 is no beam 5.", ["", "beam 50", " is no ", "beam 5", "."]),
        ("beam 5.5 and xbeam 5", ["beam 5.5 and xbeam 5"]),
    ],
)
def test_a_label_is_not_marked_inside_a_longer_one(sentence, parts):
    assert labels_apart(sentence, ["beam 5", "beam 50"]) == parts


def test_the_columns_at_first_are_few_and_the_best_values_are_not_the_most_diverse(
    read, pronounced, small
):
    chosen = main_columns(read(pronounced))
    assert chosen[0] == "phoneme_error_rate"
    assert {"word_error_rate", "rows_per_input"} <= set(chosen)
    assert len(chosen) <= 9
    systems = {"a": {"error": 0.5, "distinct_2": 0.9}, "b": {"error": 0.25, "distinct_2": 0.2}}
    assert best_values(small(systems)) == {"error": "25.00"}
    assert best_values(small({"a": {"error": 0.5}, "b": {"error": 0.500001}})) == {}


def made(**texts):
    known = {"log_prob": -1.0, "finished": True, "values": {}}
    return [{"label": label, "text": text, **known} for label, text in texts.items()]


def test_those_who_made_the_same_stand_together_the_best_first(read, pronounced):
    shown = {"input": "x", "references": ["q r s t", "a b c"]}
    shown["by"] = made(greedy="a X c", exact="a b c")
    shown["by"].append(shown["by"][1] | {"label": "beam beam_size=2"})
    pronounced["outputs"] = [shown]
    [(_, [first, second])] = outputs(read(pronounced))
    assert (first.text, list(first.labels)) == ("a b c", ["exact", "beam beam_size=2"])
    assert (first.right, first.marked) == (True, None)
    assert (list(second.labels), second.right) == (["greedy"], False)
    # What differs from the nearest reference is marked.
    assert second.marked.stretches == [("", "a"), ("wrong", "X"), ("", "c")]


def test_the_traces_of_an_input_stand_together(read, pronounced):
    [trace] = pronounced["traces"]
    best = {**trace, "label": "beam beam_size=5"}
    # Two inputs that are alike, and another one.
    pronounced["traces"] = [trace, best, trace, best, {**best, "input": "<other>"}]
    found, left_out = shown_traces(read(pronounced))
    assert [(text, [label for label, _, _ in own]) for text, own in found] == [
        ("phone", ["beam beam_size=2", "beam beam_size=5"]),
        ("phone", ["beam beam_size=2", "beam beam_size=5"]),
        ("<other>", ["beam beam_size=5"]),
    ]
    # The first one of the recommended strategy is open, all others are folded and compressed.
    packed = [each for _, own in found for _, _, each in own]
    assert [bool(each) for each in packed] == [True, False, True, True, True]
    assert zlib.decompress(b64decode(packed[0])).decode() == found[0][1][0][1]
    assert left_out == 0


def headings(text):
    return [line for line in text.splitlines() if line.startswith("#")]


def test_the_markdown(read, pronounced, golden):
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


def test_the_reports_are_written_next_to_the_document(prose, folder_of):
    folder = folder_of(prose | {"curves": []})
    write_comparison(folder)
    files = {"compare.json", "compare.html", "compare.md"}
    assert {path.name for path in folder.iterdir()} == files
    first = (folder / "compare.html").read_bytes()
    assert b"shakespeare" in first
    write_comparison(folder)
    assert (folder / "compare.html").read_bytes() == first
    write_charts(folder)
    assert (folder / "compare.pdf").read_bytes().startswith(b"%PDF")
    check_free(folder, overwrite=True)  # the charts are of the comparison
    write(folder, read_document(folder))
    assert not (folder / "compare.pdf").exists()


@pytest.mark.parametrize("write_some", [write_comparison, write_charts])
def test_reports_of_a_damaged_document(write_some, folder_of):
    folder = folder_of("{")
    with pytest.raises(CheckpointError, match=r"compare\.json"):
        write_some(folder)
    assert {path.name for path in folder.iterdir()} == {"compare.json"}


@pytest.mark.usefixtures("without_charts")
def test_reports_that_cannot_be_written(pronounced, folder_of):
    folder = folder_of(pronounced)
    (folder / "compare.md").mkdir()
    with pytest.raises(SetupError, match=r"compare\.md: cannot be written"):
        write_comparison(folder)


@pytest.fixture
def open_page(open_file, folder_of):
    """A function that opens the page of a document."""

    def open_it(document, **how):
        folder = folder_of(document | {"curves": [], "best_of": None})  # a few charts will do
        write_comparison(folder)
        return open_file(folder / "compare.html", **how)

    return open_it


def labels(page):
    """The labels of the rows that are shown, from top to bottom."""
    script = "rows => rows.filter(r => !r.hidden).map(r => r.cells[0].dataset.label)"
    found = page.eval_on_selector_all("#systems tbody tr", script)
    return [label.removesuffix(" g2p") for label in found]


def columns(page):
    """The measures whose columns are shown."""
    script = "heads => heads.filter(h => h.offsetWidth && h.dataset.name).map(h => h.dataset.name)"
    return set(page.eval_on_selector_all("#systems thead th", script))


def test_the_table_is_sorted_and_filtered(open_page, pronounced):
    values = {each["label"]: each["values"] for each in pronounced["systems"]}
    del values[UNKNOWN]["phoneme_error_rate"]
    known = [label for label in values if label != UNKNOWN]
    error = lambda label: values[label]["phoneme_error_rate"]["value"]  # noqa: E731
    best, worst = sorted(known, key=error), sorted(known, key=error, reverse=True)
    page = open_page(pronounced)
    # A click sorts by value; what has none stays last.
    head = page.locator("th[data-name=phoneme_error_rate]")
    orders = {"ascending": [*best, UNKNOWN], "descending": [*worst, UNKNOWN]}
    for direction, order in {**orders, "none": list(values)}.items():
        assert head.get_attribute("aria-sort") == direction
        assert labels(page) == order
        head.locator("button").click()
    # The keyboard sorts too, and the better end comes first.
    head = page.locator("th[data-name=sequences_per_second]")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.locator("th[aria-sort=descending]").count() == 1
    speeds = pronounced["timings"]["systems"]
    fastest = sorted(speeds, key=lambda label: -speeds[label]["sequences_per_second"])
    assert labels(page) == fastest
    page.locator("th.label button").click()
    sizes = [label for label in labels(page) if label.startswith("beam beam_size=")]
    # As numbers: 50 is not between 5 and 6.
    assert (sizes[0], sizes[-1]) == ("beam beam_size=2", "beam beam_size=50")
    # The filter takes words.
    page.locator("#filter").fill("size=5 BEAM")
    wide = {each for each in sizes if "size=5" in each}
    assert set(labels(page)) == wide | {"stochastic_beam beam_size=5"}
    assert page.locator("#count").inner_text() == f"{len(wide) + 1} of 14 strategies"
    page.locator("#filter").fill("nothing of that name")
    assert labels(page) == []
    assert page.locator("#no-match").is_visible()
    page.locator("#filter").fill("")
    assert page.locator("#count").inner_text() == "14 strategies"


def test_groups_and_single_columns_come_and_go(open_page, pronounced):
    page = open_page(pronounced)
    first, diverse = columns(page), {"distinct_1", "distinct_2", "self_bleu", "looping"}
    assert first & diverse == {"distinct_2"}
    assert page.evaluate("document.querySelector('.compared').scrollWidth") <= 1280
    group = page.locator("#groups input[data-group=diversity]")
    assert group.evaluate("box => box.indeterminate")
    group.check()
    assert diverse <= columns(page)
    group.uncheck()
    assert not diverse & columns(page)
    page.locator("#columns summary").click()
    page.locator("#columns input[data-name=looping]").check()
    assert diverse & columns(page) == {"looping"}
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


def test_outputs_are_filtered_and_traces_unpacked(open_page, pronounced):
    page = open_page(pronounced)
    cards = page.locator("details.input")
    assert cards.count() == 12
    assert page.locator("details.input[open]").count() == 5
    page.locator("#outputs-filter").fill("multinomial temperature=1.0")
    shown = page.eval_on_selector_all(
        ".by > li:not(.reference):not([hidden])", "rows => rows.map(r => r.innerText)"
    )
    assert len(shown) == 12
    assert not any("greedy" in text for text in shown[:5])
    assert page.locator(".by > .reference").first.is_visible()
    page.locator("#open-all").click()
    assert page.locator("details.input[open]").count() == 12
    assert page.locator(".tree").count() == 0
    page.locator("details[data-packed] summary").click()
    page.locator(".tree .cell.won").first.wait_for()


def test_a_dark_screen_gets_a_dark_page(open_page, prose):
    shades = {}
    for scheme in ("light", "dark"):
        page = open_page(prose, scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades[scheme] = [int(part) for part in colour.strip("rgb()").split(",")]
    assert min(shades["light"]) > 200
    assert max(shades["dark"]) < 60
