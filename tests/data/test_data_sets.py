"""Data sets of Hugging Face on disk, as every kind of data reads them."""

import json
import sys
from importlib.util import find_spec

import pytest

from seqgen.data import data, data_sets
from seqgen.errors import DataError
from seqgen.tokenizers import tokenizers

pytestmark = pytest.mark.skipif(
    find_spec("datasets") is None, reason="the extra hf is not installed"
)

COUNT = 2500
ROWS = {
    "text": [f"line {n}" + "\n" * (n % 2) for n in range(COUNT)],
    "label": [n % 2 for n in range(COUNT)],
    "word": [f"w{n % 50}" for n in range(COUNT)],
    "upper": [f"W{n % 50}" for n in range(COUNT)],
    "words": [["a", f"w{n % 40}"] for n in range(COUNT)],
    "tags": [[0, n % 2] for n in range(COUNT)],
    "number": [None] * COUNT,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `one`, and `parts` that has train, validation and test."""
    import datasets  # here: it takes seconds

    features = dict.fromkeys(ROWS, datasets.Value("string")) | {
        "label": datasets.ClassLabel(names=["bad", "good"]),
        "words": datasets.List(datasets.Value("string")),
        "tags": datasets.List(datasets.ClassLabel(names=["N", "V"])),
        "number": datasets.Value("int64"),
    }
    place = tmp_path_factory.mktemp("sets")
    one = datasets.Dataset.from_dict(ROWS, features=datasets.Features(features))
    parts = {
        "train": one,
        "validation": one.select(range(30)),
        "test": one.select(range(30, 50)),
    }
    datasets.disable_progress_bars()
    one.save_to_disk(place / "one")
    datasets.DatasetDict(parts).save_to_disk(place / "parts")
    return place


def fitted(made):
    """Tokenizers of all texts of a kind of data."""
    found = {}
    for field, texts in made.training_texts().items():
        found[field] = tokenizers.build(made.default_tokenizers.get(field, "char"))
        found[field].fit(texts)
    return found


@pytest.mark.parametrize(
    ("spec", "examples"),
    [
        ({"name": "pairs", "columns": {"source": "word", "target": "upper"}}, [("w0", ("W0",))]),
        (
            {"name": "labelled", "columns": {"source": "word", "target": "label"}},
            [("w0", ("bad",))],
        ),
        (
            {"name": "tagged", "columns": {"source": "words", "target": "tags"}},
            [("a w0", ("N N",))],
        ),
        ({"name": "lines", "column": "word"}, []),
    ],
    ids=["pairs", "labelled", "tagged", "lines"],
)
def test_rows_are_read_by_columns(spec, examples, folder):
    made = data.build({**spec, "path": str(folder / "parts")})
    own = fitted(made)
    made.training(own)
    valid, test = (made.held_out(name, own) for name in ("valid", "test"))
    assert [(each.source, each.references) for each in valid.examples[:1]] == examples
    assert test.tokens > 0
    assert len(set(made.fingerprint().values())) == 3
    assert not any("same as" in each for each in made.remarks())
    whole = data.build({**spec, "path": str(folder / "one")})
    assert whole.held_out("valid", fitted(whole)).tokens > 0


def test_a_stream_is_its_texts_with_line_ends(folder, monkeypatch):
    text, digest = data_sets.long_column(folder / "one")
    whole = "".join(f"{each.rstrip()}\n" for each in ROWS["text"])
    assert str(text) == whole
    assert text.chars == len(whole)
    for place in (0, 5, 9999, 12345, len(whole) - 1, len(whole)):
        assert "".join(text.read(place)) == whole[place:]
    made = data.build({"name": "text", "path": str(folder / "one"), "batch_size": 2, "window": 8})
    own = fitted(made)
    assert made.training(own).tokens == int(len(whole) * 0.8)
    assert [*made.fingerprint().values()] == [digest]
    parts = data.build({"name": "text", "path": str(folder / "parts")})
    assert parts.held_out("valid", fitted(parts)).tokens == len(
        "".join(whole.splitlines(True)[:30])
    )


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"name": "pairs"},
            r"one:1: has no 'source'; there are text, label, word, .* \(data.columns=",
        ),
        (
            {"name": "pairs", "columns": {"source": "word", "target": "number"}},
            "one:1: 'number' must be a text, but is null",
        ),
        ({"name": "lines"}, "one:2: the text has an end of a line in it"),
        ({"name": "lines", "column": "wrod"}, "one:1: has no 'wrod'; did you mean 'word'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_with_its_row(spec, said, folder):
    made = data.build({**spec, "path": str(folder / "one")})
    with pytest.raises(DataError, match=said):
        made.training_texts()


def test_a_damaged_one_and_one_that_cannot_be_read_are_refused(folder, tmp_path, monkeypatch):
    for name, content in (("state.json", "{}"), ("dataset_info.json", "{}")):
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="this data set cannot be read: ") as caught:
        data_sets.read_data_set(tmp_path)
    assert "\n" not in str(caught.value)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "dataset_dict.json").write_text(json.dumps({"splits": []}))
    made = data.build({"name": "lines", "path": str(tmp_path / "parts")})
    with pytest.raises(DataError, match=r"parts: has no train; data\.train=NAME says what"):
        made.training_texts()
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'seqgen-toolkit\[hf\]' lets seqgen read it"):
        data_sets.read_data_set(folder / "one")
