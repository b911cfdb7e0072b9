"""The inputs: where they come from, how many, and what is refused."""

import json
import warnings
from pathlib import Path

import pytest

import seqgen
from seqgen.comparison.inputs import choose_inputs
from seqgen.comparison.plan import InputOptions, Plan
from seqgen.errors import DataError, RecipeError


@pytest.fixture(scope="module")
def pairs(pairs_run):
    return seqgen.load(pairs_run)


@pytest.fixture(scope="module")
def text(finished_run):
    return seqgen.load(finished_run)


def chosen(*runs, max_length=None, **options):
    return choose_inputs(runs, Plan((), inputs=InputOptions(**options), max_length=max_length))


class TestRows:
    def test_a_split_is_spread_over_its_rows(self, pairs):
        every = chosen(pairs, most=None)
        some = chosen(pairs, most=3)
        assert every.of == some.of == len(every.examples)
        assert [*every.texts] == list(dict.fromkeys(every.texts))
        step = [every.of * place // 3 for place in range(3)]
        assert some.texts == [every.texts[place] for place in step]
        assert some.referenced
        assert all(each.references == (each.source.upper(),) for each in some.examples)

    def test_splits_differ(self, pairs):
        assert not set(chosen(pairs, split="valid").texts) & set(chosen(pairs).texts)

    def test_rows_of_a_file_have_references(self, pairs, place):
        place.write("rows.tsv", "ab\tAB\nba\tBA\n")
        found = chosen(pairs, rows=Path("rows.tsv"))
        assert [(e.source, e.references) for e in found.examples] == [
            ("ab", ("AB",)),
            ("ba", ("BA",)),
        ]
        assert (found.origin, found.of) == ("rows", 2)

    def test_text_that_is_continued_has_no_rows(self, text, place):
        place.write("rows.txt", "ab\n")
        with pytest.raises(RecipeError, match=r"^inputs.rows: text to be continued has none"):
            chosen(text, rows=Path("rows.txt"))

    def test_lines_of_a_file_have_none(self, pairs, place):
        place.write("lines.txt", "ab\r\nba\n")
        found = chosen(pairs, file=Path("lines.txt"))
        assert found.texts == ["ab", "ba"]
        assert not found.referenced
        assert found.origin == "file"

    def test_prompts_come_first(self, pairs, place):
        found = chosen(pairs, prompts=("a", "b"), file=Path("nowhere.txt"))
        assert (found.texts, found.origin) == (["a", "b"], "prompts")


class TestText:
    def test_passages_of_the_held_out_part(self, text):
        found = chosen(text, max_length=20, prompt_size=10, most=4)
        whole = text.built.data._parts["test"]
        assert len(found.examples) == 4
        for each in found.examples:
            assert len(each.source) == 10
            [reference] = each.references
            assert each.source + reference in whole

    def test_too_short_a_part_is_said_with_what_helps(self, text):
        with pytest.raises(DataError, match=r"too short for one passage: \d+ tokens.*max_length"):
            chosen(text, max_length=10**6)


class TestFaults:
    def test_no_inputs(self, pairs, place):
        place.write("empty.txt", "")
        with pytest.raises(DataError, match="no inputs"):
            chosen(pairs, file=Path("empty.txt"))

    def test_a_missing_file(self, pairs, place):
        with pytest.raises(DataError, match=r"nowhere\.txt"):
            chosen(pairs, file=Path("nowhere.txt"))

    def test_runs_on_other_data_are_warned_of(self, pairs, text, tmp_path, copied_run):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            chosen(pairs)
        record = json.loads((copied_run / "manifest.json").read_bytes())
        record["data"] = {"other.txt": "0"}
        (copied_run / "manifest.json").write_text(json.dumps(record))
        with pytest.warns(UserWarning, match="was trained on other data"):
            chosen(text, seqgen.load(copied_run), max_length=20)
