"""The pictures of docs/decoding.md, from what `seqgen compare` wrote for the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from axes import SHARE, Axis, linear, logarithmic, plainly
from panel import Panel
from svg import Picture, Point

Document = Mapping[str, Any]
"""What compare.json holds, of one run."""

System = Mapping[str, Any]

TITLES = {"g2p": "Pronunciation", "translation": "Translation"}
FORMULAS = {"none": "blue", "power": "orange", "gnmt": "green"}
"""The length normalisations, and their colours."""
TRUNCATIONS = {
    "top_k": ("k", "orange", 9),
    "top_p": ("p", "green", -9),
    "min_p": ("p", "blue", 9),
    "typical": ("p", "ink-line", 0),
}
"""The samplers that leave tokens out: the option that says how many, how they are drawn, and how
far to the right their values stand."""


def pictures(documents: Mapping[str, Document]) -> dict[str, Picture]:
    """All pictures that can be drawn of the comparisons that are there, by name.

    `documents` may have `language_model`, `g2p` and `translation`; what needs both of the last two
    is left out without them.
    """
    found: dict[str, Picture] = {}
    if "language_model" in documents:
        found |= {name: draw(documents["language_model"]) for name, draw in OF_TEXT.items()}
    if documents.keys() >= TITLES.keys():
        found |= {name: draw(documents) for name, draw in OF_ANSWERS.items()}
    return found


def diversity(document: Document) -> Picture:
    """How unlike held-out text outputs are, against how much of them is different."""
    picture = Picture(
        960,
        404,
        "How unlike held-out text outputs are, against the share of different words in them. "
        "Greedy text and beams say little that is different and are far from it; with the "
        "temperature texts come near it, and leave it on the other side. On the right truncations, "
        "which are near it.",
    )
    held_out = document["references"]["values"]["distinct_1"]["value"]
    drawn = _of(document, "multinomial")
    searches = [*_of(document, "greedy"), *_of(document, "beam")]
    cut = [each for name in TRUNCATIONS for each in _of(document, name)]
    left = _of_text(picture, 60, [*drawn, *searches])
    left.draw("Greedy, beams, temperatures")
    left.upright(held_out, "held-out text")
    left.curve([_place(each) for each in drawn], "blue")
    for each in drawn:
        at = each["decoder"]["temperature"]
        _beside(left, _place(each), f"{at:g}", "blue", -10 if at < 1 else 10)
    for each in searches:
        size = each["decoder"].get("beam_size")
        picture.dot(*left.at(*_place(each)), 3.5, "orange" if size else "ink")
    _beside(left, _place(searches[0]), "greedy", "ink", 10, down=12)
    _beside(left, _place(searches[-1]), "beams", "orange", 10, down=-2)

    inside = [each for each in drawn if _spans(cut, each)]
    right = _of_text(picture, 520, [*cut, *inside])
    right.draw("Truncations, at temperature 1")
    right.upright(held_out, "held-out text")
    right.curve([_place(each) for each in inside], "muted", dots=False)
    for name, (option, style, side) in TRUNCATIONS.items():
        for number, each in enumerate(_of(document, name)):
            where = right.at(*_place(each))
            picture.dot(*where, 6 if name == "typical" else 4, style)
            if side:
                beside = -side if name == "top_k" and number % 2 else side  # they are near
                _beside(right, _place(each), f"{each['decoder'][option]:g}", style, beside)
    values = ", ".join(f"{each['decoder']['p']:g}" for each in _of(document, "typical"))
    entries = [(name, style) for name, (_, style, side) in TRUNCATIONS.items() if side]
    _legend(picture, 388, [*entries, ("temperatures", "muted")], left=484)
    picture.dot(790, 384, 6, "ink-line")
    picture.text(802, 388, f"typical {values}", "muted small")
    return picture


def beams(documents: Mapping[str, Document]) -> Picture:
    """Quality of both models and length of translations, against the beam size."""
    picture = Picture(
        900,
        330,
        "Quality of pronunciations and translations, and length of translations, against the size "
        "of the beam, with each length normalisation: without one wide beams shorten translations.",
    )
    columns = [(name, documents[name]["quality"], title) for name, title in TITLES.items()]
    columns.append(("translation", "length_ratio", "Length of translations"))
    for place, (name, measure, title) in enumerate(columns):
        document = documents[name]
        curves = {each: _by_size(document, each, measure) for each in FORMULAS}
        spans = _spans_by_size(document, measure)
        values = [y for points in curves.values() for _, y in points]
        axis = _axis(document, measure, [*values, *(y for _, span in spans for y in span)])
        panel = _by_log(picture, 60 + place * 293, 225, curves["none"], axis)
        panel.draw(title)
        for size, (low, high) in spans:
            picture.line([panel.at(size, low), panel.at(size, high)], "muted-line")
        for formula in reversed(FORMULAS):  # the first one on top
            panel.curve(curves[formula], FORMULAS[formula])
    entries = [(f"length normalisation {name}", each) for name, each in FORMULAS.items()]
    _legend(picture, 314, [*entries, ("upright: interval at 95 %, without one", "muted")])
    return picture


def search(documents: Mapping[str, Document]) -> Picture:
    """How often beams miss the most probable output, and whose fault wrong outputs are."""
    picture = Picture(
        900,
        360,
        "How often a beam misses the most probable output, against its size; and how many outputs "
        "are wrong because of the search and because of the model: almost all are the model's.",
    )
    curves = {name: _missed(documents[name]) for name in TITLES}
    every = [y for points in curves.values() for _, y in points]
    axis = linear(every, "most probable output missed, %", SHARE)
    panel = _by_log(picture, 60, 330, curves["g2p"], axis)
    panel.draw("Missed by a beam")
    for (name, points), style in zip(curves.items(), ("blue", "orange"), strict=True):
        panel.curve(points, style)
        _beside(panel, points[0], TITLES[name].lower(), style, 10)
    left, scale = 560.0, 240.0
    picture.text(460, 32, "Wrong outputs, % of all", "ink title")
    for place, (name, title) in enumerate(TITLES.items()):
        top = 58 + place * 140
        picture.text(460, top, title, "muted small")
        for row, (label, found) in enumerate(_wrong(documents[name])):
            y = top + 12 + row * 26
            picture.text(left - 10, y + 13, label, "ink small", "end")
            by_search, by_model = (
                found[each] / found["outputs"] for each in ("search_errors", "model_errors")
            )
            picture.box(left, y, scale * by_model, 17, "blue")
            picture.box(left + scale * by_model, y, scale * by_search, 17, "orange")
            end = left + scale * (by_model + by_search) + 8
            said = f"{100 * by_model:.1f} + {100 * by_search:.1f}"
            picture.text(end, y + 13, said, "muted small")
    _legend(picture, 344, [("wrong by the model", "blue"), ("by the search", "orange")], left=460)
    return picture


def best_of(documents: Mapping[str, Document]) -> Picture:
    """The quality of the best of n draws, as the model and as the references choose."""
    picture = Picture(
        900,
        330,
        "The quality of the best of n draws: chosen by the model's own score it comes to that of "
        "greedy search or a beam, chosen by who knows the references far beyond.",
    )
    for place, (name, title) in enumerate(TITLES.items()):
        document = documents[name]
        quality = document["quality"]
        found = document["best_of"]["by_run"][0]["points"]
        curves = {
            style: [(each["n"], each[way][quality]) for each in found]
            for way, style in (("by_score", "blue"), ("oracle", "green"))
        }
        [beam] = [each for each in _beams(document, "none") if each["decoder"]["beam_size"] == 5]
        level = _searched(document, beam)["quality"][quality]  # of as many inputs, the same ones
        values = [level, *(y for points in curves.values() for _, y in points)]
        axis = _axis(document, quality, values)
        panel = _by_log(picture, 60 + place * 450, 380, curves["blue"], axis, "draws")
        panel.draw(title)
        panel.level(level, "a beam of 5")
        for style, points in curves.items():
            panel.curve(points, style)
    choices = [("chosen by the model's score", "blue"), ("chosen by the references", "green")]
    _legend(picture, 314, choices)
    return picture


OF_TEXT: Mapping[str, Callable[[Document], Picture]] = {"decoding_diversity": diversity}
OF_ANSWERS: Mapping[str, Callable[[Mapping[str, Document]], Picture]] = {
    "decoding_beams": beams,
    "decoding_search": search,
    "decoding_best_of": best_of,
}


def _of(document: Document, decoder: str) -> list[System]:
    return [each for each in document["systems"] if each["decoder"]["name"] == decoder]


def _beams(document: Document, formula: str) -> list[System]:
    found = _of(document, "beam")
    return [each for each in found if each["decoder"]["length_normalisation"] == formula]


def _place(system: System) -> Point:
    """Where a system stands in the picture of diversity."""
    return system["values"]["distinct_1"]["value"], system["values"]["unlikeness"]["value"]


def _spans(systems: Iterable[System], other: System) -> bool:
    """Whether the other one is about as diverse as some of the systems."""
    places = [_place(each)[0] for each in systems]
    return 0.8 * min(places) <= _place(other)[0] <= 1.1 * max(places)


def _of_text(picture: Picture, left: float, systems: Sequence[System]) -> Panel:
    across, up = zip(*map(_place, systems), strict=True)
    x = linear(across, "different words, % of all words", SHARE)
    y = logarithmic(up, "unlikeness to held-out text", falling=True)
    return Panel(picture, left, 66, 350, 260, x, y)


def _by_log(
    picture: Picture,
    left: float,
    width: float,
    points: Sequence[Point],
    y: Axis,
    title: str = "beam size; 1 is greedy",
) -> Panel:
    """A panel whose `x` are the sizes of `points`, at equal ratios equal distances."""
    sizes = [x for x, _ in points]
    texts = tuple(map(plainly, sizes))
    axis = Axis(title, min(sizes) / 1.15, max(sizes) * 1.15, tuple(sizes), texts, log=True)
    return Panel(picture, left, 66, width, 180, axis, y)


def _axis(document: Document, measure: str, values: Sequence[float]) -> Axis:
    """An axis of a measure, with its title and unit."""
    about = document["measures"][measure]
    percent = about["unit"] == "share"
    arrow = {"higher": ", higher is better", "lower": ", lower is better"}.get(about["better"], "")
    title = f"{about['title']}{', %' if percent else ''}{arrow}"
    return linear(values, title, SHARE if percent else 1)


def _by_size(document: Document, formula: str, measure: str) -> list[Point]:
    """Of the beams with a normalisation their sizes and a measure; greedy is that of 1."""
    greedy = _of(document, "greedy") if formula == "none" else []
    found = [(1.0, each) for each in greedy]
    found += [(each["decoder"]["beam_size"], each) for each in _beams(document, formula)]
    return [(size, each["values"][measure]["value"]) for size, each in found]


def _spans_by_size(document: Document, measure: str) -> list[tuple[float, Point]]:
    """Of greedy and the beams without a normalisation their sizes and intervals, if there are."""
    systems = [*_of(document, "greedy"), *_beams(document, "none")]
    found = [(each["decoder"].get("beam_size", 1), each["values"][measure]) for each in systems]
    return [(size, (value["low"], value["high"])) for size, value in found if "low" in value]


def _missed(document: Document) -> list[Point]:
    """Of greedy and the beams without a normalisation their sizes and what they missed."""
    systems = [*_of(document, "greedy"), *_beams(document, "none")]
    sizes = [each["decoder"].get("beam_size", 1) for each in systems]
    missed = [_searched(document, each)["missed"] for each in systems]
    return [*zip(sizes, missed, strict=True)]


def _searched(document: Document, system: System) -> Mapping[str, Any]:
    """What the exact search says of a system."""
    [run] = document["search"]["by_run"]
    return next(each for each in run["systems"] if each["label"] == system["label"])


def _wrong(document: Document) -> list[tuple[str, Mapping[str, int]]]:
    """What is wrong of some systems, with a short name for each."""
    wanted = [("greedy", _of(document, "greedy")[0])]
    wanted += [
        (f"beam of {each['decoder']['beam_size']}", each)
        for each in _beams(document, "none")
        if each["decoder"]["beam_size"] in (5, 50)
    ]
    wanted.append(("drawn", _of(document, "multinomial")[-1]))
    return [(name, _searched(document, each)) for name, each in wanted]


def _beside(
    panel: Panel, value: Point, text: str, style: str, right: float, down: float = 4
) -> None:
    """A text to the right of a value, or to the left where `right` is negative."""
    x, y = panel.at(*value)
    panel.picture.text(x + right, y + down, text, f"{style} small", "start" if right > 0 else "end")


def _legend(
    picture: Picture, y: float, entries: Sequence[tuple[str, str]], left: float = 24
) -> None:
    for text, style in entries:
        picture.box(left, y - 9, 10, 10, style, radius=3)
        picture.text(left + 16, y, text, "muted small")
        left += 34 + 6.4 * len(text)
