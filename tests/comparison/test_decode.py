"""Inputs, and what systems make of them, whatever the batches, with the model's own scores."""

import json
import math
import warnings
from pathlib import Path

import pytest

import seqgen
from seqgen.comparison import Plan, System
from seqgen.comparison.decode import Runner, choose_inputs
from seqgen.comparison.plan import InputOptions
from seqgen.data import Example
from seqgen.decoders import decoders
from seqgen.errors import DataError, RecipeError
from seqgen.tokenizers import EOS

TEXTS = ["ab", "abcde", "c", "eedd", "ba", "dcb", "a"]


@pytest.fixture(scope="module")
def pairs(pairs_run):
    return seqgen.load(pairs_run)


@pytest.fixture(scope="module")
def text(finished_run):
    return seqgen.load(finished_run)


def chosen(*runs, max_length=None, **options):
    return choose_inputs(runs, Plan((), inputs=InputOptions(**options), max_length=max_length))


class TestInputs:
    def test_a_split_is_spread_over_its_rows(self, pairs):
        every = chosen(pairs, most=None)
        some = chosen(pairs, most=3)
        assert every.of == some.of == len(every.examples)
        assert [*every.texts] == list(dict.fromkeys(every.texts))
        assert some.texts == [every.texts[every.of * index // 3] for index in range(3)]
        assert all(each.references == (each.source.upper(),) for each in some.examples)
        assert not set(chosen(pairs, split="valid").texts) & set(every.texts)

    def test_rows_of_a_file_have_references_and_lines_and_prompts_have_none(self, pairs, place):
        place.write("rows.tsv", "ab\tAB\nba\tBA\n")
        place.write("lines.txt", "ab\r\nba\n")
        found = chosen(pairs, rows=Path("rows.tsv"))
        assert [each.references for each in found.examples] == [("AB",), ("BA",)]
        assert (found.texts, found.origin, found.of) == (["ab", "ba"], "rows", 2)
        found = chosen(pairs, file=Path("lines.txt"))
        assert (found.texts, found.origin, found.referenced) == (["ab", "ba"], "file", False)
        found = chosen(pairs, prompts=("a", "b"), file=Path("nowhere.txt"))
        assert (found.texts, found.origin) == (["a", "b"], "prompts")

    def test_passages_of_the_held_out_text(self, text):
        found = chosen(text, max_length=20, prompt_size=10, most=4)
        assert len(found.examples) == 4
        for each in found.examples:
            assert len(each.source) == 10
            assert each.source + each.references[0] in str(text.built.data._parts["test"])

    @pytest.mark.parametrize(
        ("run", "options", "error", "message"),
        [
            ("text", {"rows": Path("rows.tsv")}, RecipeError,
             r"^inputs.rows: text to be continued has none"),
            ("pairs", {"rows": Path("lines.txt")}, DataError, r"^lines.txt:1: 1 column instead of"),
            ("text", {"max_length": 10**6}, DataError,
             r"too short for one passage: \d+ tokens.*max_length"),
            ("pairs", {"file": Path("empty.txt")}, DataError, "no inputs"),
            ("pairs", {"file": Path("nowhere.txt")}, DataError, r"nowhere\.txt"),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, run, options, error, message, place, request):
        place.write("empty.txt", "")
        place.write("rows.tsv", "ab\tAB\n")
        place.write("lines.txt", "ab\n")
        with pytest.raises(error, match=message):
            chosen(request.getfixturevalue(run), **options)

    def test_runs_on_other_data_are_warned_of(self, pairs, text, copied_run):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chosen(pairs)
        record = json.loads((copied_run / "manifest.json").read_bytes())
        record["data"] = {"other.txt": "0"}
        (copied_run / "manifest.json").write_text(json.dumps(record))
        other = seqgen.load(copied_run)
        with pytest.warns(UserWarning, match="was trained on other data"):
            chosen(text, other, max_length=20)
        with pytest.warns(UserWarning, match="the data is not what this run was trained on"):
            chosen(other, max_length=20)


def system(name, draws=False, **options):
    return System(name, 0, decoders.check({"name": name, **options}).plain(), draws)


class TestRunner:
    def test_seeds_and_samples(self, pairs):
        runner = Runner(pairs, Plan((), seed=5, seeds=2, samples=5))
        drawn = runner.produce(system("multinomial", True, temperature=3.0), TEXTS)
        assert drawn.seeds == [5, 6]
        assert [[len(own) for own in seed] for seed in drawn.outputs] == [[5] * len(TEXTS)] * 2
        texts = {each.generated.text for seed in drawn.outputs for own in seed for each in own}
        assert len(texts) > 2 * len(TEXTS)
        # What does not draw is repeated.
        listed = runner.produce(system("beam", beam_size=3, n_best=2), TEXTS)
        assert listed.seeds == [5]
        for own in listed.outputs[0]:
            assert [own[2], own[3], own[4]] == [own[0], own[1], own[0]]
            assert own[0] != own[1]

    def test_references_and_the_empty_output(self, pairs):
        runner = Runner(pairs, Plan(()))
        [[one, other]] = runner.references([Example("ab", ("AB", "A?B"))])
        assert one.generated.hypothesis.tokens[-1] == EOS
        assert one.generated.pieces[:2] == ("A", "B")
        assert len(one.log_probs) == 3
        assert all(-20 < each <= 0 for each in one.log_probs)
        assert sum(other.log_probs) == -math.inf
        [[empty]] = runner.references([Example("ab", ("",))])
        assert runner.ends_at_once(["ab"]) == [sum(empty.log_probs)]

    def test_single_precision_is_the_runs_own(self, pairs):
        assert Runner(pairs, Plan((), precision="single")).run is pairs
        assert Runner(pairs, Plan(())).run.built.model.floats.itemsize == 8
        assert pairs.built.model.floats.itemsize == 4
