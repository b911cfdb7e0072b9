"""The decoding benchmarks: what they assert, on comparisons written out, and what they publish."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch

from seqgen.comparison import PlanSource

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture(autouse=True)
def _found(monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.syspath_prepend(ROOT / "docs" / "pictures")


def system(label, decoder, **values):
    measured = {name: {"value": value} for name, value in values.items()}
    return {"label": label, "decoder": decoder, "values": measured}


def beam(size, formula="none", **values):
    decoder = {"name": "beam", "beam_size": size, "length_normalisation": formula}
    return system(f"beam {size} {formula}", decoder, **values)


def of_text(looping=(0.9, 0.0), diversity=(0.1, 0.4, 0.8), scores=(-9.0, -8.0, -7.5)):
    """Greedy, two temperatures and two beams."""
    drawn = [{"name": "multinomial", "temperature": at} for at in (0.5, 1.0)]
    greedy = {"looping": looping[0], "distinct_2": diversity[0]}
    return {
        "systems": [
            system("greedy", {"name": "greedy"}, **greedy, log_prob_per_sequence=scores[0]),
            # The order of the plan is not that of the temperatures.
            system("hot", drawn[1], looping=looping[1], distinct_2=diversity[2]),
            system("warm", drawn[0], looping=0.0, distinct_2=diversity[1]),
            beam(4, log_prob_per_sequence=scores[2]),
            beam(2, log_prob_per_sequence=scores[1]),
            beam(8, "power", log_prob_per_sequence=-20.0),
        ]
    }


def of_answers(missed=(0.4, 0.2, 0.1), ratios=(1.0, 0.97, 1.02), best=-2.0, complete=True):
    """Greedy, beams of 5 and 50, one of 50 with a normalisation, and exact."""
    exact = {"label": "exact", "log_prob": best, **({} if complete else {"complete": False})}
    outputs = [exact, {"label": "greedy", "log_prob": -3.0}, {"label": "beam", "log_prob": -2.0}]
    shares = zip(["greedy", "beam 5 none", "beam 50 none"], missed, strict=True)
    searched = [{"label": label, "missed": share} for label, share in shares]
    oracle = [{"n": n, "oracle": {"error": value}} for n, value in ((1, 0.5), (2, 0.4))]
    return {
        "quality": "error",
        "measures": {"error": {"better": "lower"}},
        "systems": [
            system("greedy", {"name": "greedy"}),
            beam(5, length_ratio=ratios[0]),
            beam(50, length_ratio=ratios[1]),
            beam(50, "power", length_ratio=ratios[2]),
            system("exact", {"name": "exact"}),
        ],
        "outputs": [{"input": "oui", "by": outputs}],
        "search": {"by_run": [{"systems": [*searched, {"label": "exact", "missed": 0.0}]}]},
        "best_of": {"by_run": [{"points": oracle}]},
    }


def test_facts_hold_where_they_are_so(capsys):
    import decoding_facts as facts

    assert facts.check(of_text(), facts.OF_TEXT)
    answers = [each for each in facts.OF_TRANSLATIONS if "greedy" not in each.__name__]
    assert facts.check(of_answers(), answers)
    told = capsys.readouterr().err
    assert told.count("holds: ") == len(facts.OF_TEXT) + len(answers)
    assert "(distinct-2 at 0: 0.1, 0.5: 0.4, 1: 0.8)" in told


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("greedy_text_cycles", of_text(looping=(0.2, 0.0))),
        ("greedy_text_cycles", of_text(looping=(0.9, 0.3))),
        ("diversity_rises_with_temperature", of_text(diversity=(0.1, 0.8, 0.4))),
        ("diversity_rises_with_temperature", of_text(diversity=(0.5, 0.4, 0.8))),
        ("a_beam_is_never_below_greedy", of_text(scores=(-7.7, -8.0, -7.5))),
        ("nothing_is_above_exact", of_answers(best=-2.5)),
        ("nothing_is_above_exact", of_answers(complete=False)),  # nothing is known then
        ("wider_beams_miss_less", of_answers(missed=(0.4, 0.1, 0.2))),
        ("wider_beams_miss_less", of_answers(missed=(0.1, 0.1, 0.1))),
        ("wide_beams_shorten", of_answers(ratios=(0.97, 0.97, 1.02))),
        ("normalisation_keeps_the_length", of_answers(ratios=(1.0, 0.97, 0.96))),
    ],
)
def test_a_fact_that_does_not_hold_is_reported_with_its_figures(name, document, capsys):
    import decoding_facts as facts

    assert not facts.check(document, [getattr(facts, name)])
    assert capsys.readouterr().err.startswith("DOES NOT HOLD: ")


TINY = {
    "decode_speed": "--rounds 1 --tokens 3 --rows 1 2 --long 0",
    "beam_speed": "--peer none --rounds 1 --sources 4 --batch 2 --vocabularies 60 --threads 1",
}


@pytest.mark.parametrize("name", TINY)
def test_the_benchmarks_of_speed_print_a_table(name, monkeypatch, capsys):
    module = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [name, *TINY[name].split()])
    threads = torch.get_num_threads()
    module.main()
    torch.set_num_threads(threads)
    title, line, *rows = capsys.readouterr().out.splitlines()
    assert len({row.count("|") for row in (title, line, *rows)}) == 1
    assert len(rows) >= 2


PROCESSES = {
    "startup": ("--rounds 1 --only generate", ["import torch", "generate"]),
    "memory": (
        "--megabytes 1 --rows 30 --minutes 0.02 --tokenizers word",
        ["word", "word", "   slope", "   slope"],
    ),
}
"""The rows among what they print."""


@pytest.mark.parametrize("name", PROCESSES)
def test_the_benchmarks_of_whole_processes_print_figures(name, monkeypatch, capsys):
    module = importlib.import_module(name)
    words, rows = PROCESSES[name]
    monkeypatch.setattr(sys, "argv", [name, *words.split()])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code in (False, True)  # whether a bar is missed is the machine's
    found = [line for line in capsys.readouterr().out.splitlines() if line.startswith((*rows,))]
    for row, line in zip(rows, found, strict=True):
        assert line.startswith(row)
        assert len(re.findall(r" -?[0-9.]+(?= |$)", line)) >= 1


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.yaml")), ids=lambda path: path.stem)
def test_plans_are_plans(path):
    plan = PlanSource.find(str(path)).plan()
    assert plan.baseline == "greedy"
    assert len(plan.strategies) >= 7


def test_tables_come_to_their_places_in_a_page(tmp_path):
    import decoding_tables

    page = tmp_path / "page.md"
    start, end = "<!-- figures: beams -->\n", "<!-- end of figures -->"
    kept = "<!-- figures: other -->\nstays\n<!-- end of figures -->"
    page.write_text(f"before\n{start}old\n{end}\nafter\n{kept}\n")
    decoding_tables.fill(page, {"beams": "| new |"})
    assert page.read_text() == f"before\n{start}| new |\n{end}\nafter\n{kept}\n"


def measured(better="lower"):
    """What the pictures of answers read: greedy, beams with each normalisation, one that draws."""
    rows = [system("greedy", {"name": "greedy"}, error=0.4, length_ratio=1.0)]
    rows += [
        beam(size, formula, error=0.4 - size / 500, length_ratio=1 - size / 1000)
        for formula in ("none", "power", "gnmt")
        for size in (5, 50)
    ]
    rows.append(system("drawn", {"name": "multinomial"}, error=0.7, length_ratio=1.1))
    faults = {
        "quality": {"error": 0.4},
        "missed": 0.25,
        "outputs": 10,
        "search_errors": 1,
        "model_errors": 3,
    }
    points = [
        {"n": n, "by_score": {"error": 1 / n}, "oracle": {"error": 0.5 / n}} for n in (1, 2, 4)
    ]
    titles = {"error": "errors", "length_ratio": "length"}
    return {
        "quality": "error",
        "measures": {
            name: {"title": title, "unit": "share" if name == "error" else "", "better": better}
            for name, title in titles.items()
        },
        "systems": rows,
        "search": {"by_run": [{"systems": [{"label": each["label"], **faults} for each in rows]}]},
        "best_of": {"by_run": [{"points": points}]},
    }


def test_pictures_are_drawn_of_what_was_measured():
    import of_decoding

    assert of_decoding.pictures({"g2p": measured()}) == {}
    drawn = of_decoding.pictures({"g2p": measured(), "translation": measured()})
    assert list(drawn) == list(of_decoding.OF_ANSWERS)
    shapes = {name: "\n".join(picture.shapes) for name, picture in drawn.items()}
    # Greedy and two beams without a normalisation, two beams with each, in three panels.
    assert shapes["decoding_beams"].count("<circle") == 3 * (3 + 2 + 2)
    assert shapes["decoding_search"].count("30.0 + 10.0") == 8
    assert shapes["decoding_best_of"].count("<circle") == 2 * 2 * 3
    assert ">a beam of 5</text>" in shapes["decoding_best_of"]
