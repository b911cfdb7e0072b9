"""Laws of all kinds of data that are made of rows, and how rows are divided."""

import hashlib
import random
import re
from dataclasses import fields, is_dataclass
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.data import data
from seqgen.data.rows import divided
from seqgen.data.text_files import TextFile
from seqgen.errors import DataError
from seqgen.options import OptionError
from seqgen.tokenizers import EOS

KINDS = {
    "lines": {},
    "lines by tokens": {"batch_tokens": 60, "max_length": 8},
    "pairs": {},
    "pairs by tokens": {"batch_tokens": 60, "max_source_length": 4, "max_target_length": 4},
    "pairs with features": {"columns": ["source", "target", "features"], "source_changes": ["NFD"]},
    "labelled": {},
    "labelled by tokens": {"batch_tokens": 40, "max_source_length": 5},
    "tagged": {},
    "tagged with letters": {"letters": True, "max_letters": 2, "unknown_rate": 0.4},
    "vectors": {"vector_size": 2},
    "vectors by tokens": {"vector_size": 2, "batch_tokens": 40, "max_target_length": 4},
}
SAMPLED = ["lines", "pairs", "vectors"]


@pytest.fixture
def make(place):
    """A function from the name of an entry and options to data of some words in three files."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcde", k=draw.randint(1, 6))) for _ in range(60)]
    words += words[:7]

    def text_of(kind, name, words):
        if kind in ("lines", "vectors"):
            return "".join(f"{word}\n" for word in words)
        if kind == "tagged":
            sizes = [1 + i % 5 for i in range(len(words))]
            return "\n".join(
                "".join(f"{w}\t{len(w)}\n" for w in words[i : i + n]) for i, n in enumerate(sizes)
            )
        target = (lambda word: word[0]) if kind == "labelled" else (lambda word: word[::-1] + "é")
        features = "\t{0};N" if "features" in name else ""
        return "".join(f"{w}\t{target(w)}{features.format(w[0])}\n" for w in words)

    def build(name, seed=7, **options):
        kind = name.split()[0]
        suffix = "txt" if kind in ("lines", "vectors") else "tsv"
        for part, some in (("train", words), ("dev", words[40:50]), ("test", ["ab", "q"])):
            place.write(f"in/{part}.{suffix}", text_of(kind, name, some))
            vectors = [[int.from_bytes(word.encode()) % 997, len(word)] for word in some]
            np.save(f"in/{part}.npy", np.float32(vectors))
        spec = {"name": kind, "path": "in", "batch_size": 8, **KINDS[name], **options}
        return data.build(spec, seed=seed)

    return build


def tensors(batch):
    """All tensors of a batch."""
    values = [getattr(batch, each.name) for each in fields(batch)]
    return [
        *(value for value in values if isinstance(value, torch.Tensor)),
        *chain.from_iterable(tensors(value) for value in values if is_dataclass(value)),
    ]


def same(one, other):
    pairs = zip(tensors(one), tensors(other), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def epoch(training, number=0):
    steps = training.steps_per_epoch
    return [training.batch(step) for step in range(number * steps, (number + 1) * steps)]


def row_ids(batches):
    return [row for batch in batches for row in batch.row_ids.tolist()]


@pytest.mark.parametrize("name", KINDS)
class TestLaws:
    def test_batches_are_a_function_of_the_seed_and_the_step(self, name, make, fit):
        """Whatever was read before: so a resumed run reads the same."""
        kinds = [make(name), make(name), make(name, seed=8)]
        tokenizers = fit(kinds[0])
        forwards, backwards, other = (kind.training(tokenizers) for kind in kinds)
        steps = range(3 * forwards.steps_per_epoch)
        expected = [forwards.batch(step) for step in steps]
        assert all(same(backwards.batch(step), expected[step]) for step in reversed(steps))
        orders = [[row_ids(epoch(each, n)) for n in (0, 1)] for each in (forwards, other)]
        assert orders[0] != orders[1]
        assert orders[0][0] != orders[0][1]

    def test_an_epoch_has_each_row_once(self, name, make, fit):
        kind = make(name)
        training = kind.training(fit(kind))
        for number in (0, 1):
            batches = epoch(training, number)
            rows = row_ids(batches)
            assert sorted(rows) == list(range(len(rows)))
            assert len(rows) <= len(kind.part("train").rows)
            assert sum(batch.tokens for batch in batches) == training.tokens
            assert not any(batch.continues for batch in batches)
            limit = kind.batch_tokens
            assert all(len(batch.lengths) <= 8 or limit for batch in batches)
        texts = [kind.target_of(row) for row in kind.part("train").rows]
        assert training.size.chars <= sum(map(len, texts))
        assert (training.size.chars == sum(map(len, texts))) == (len(rows) == len(texts))

    def test_held_out_rows_are_read_once_and_prompts_are_their_sources(self, name, make, fit):
        kind = make(name)
        tokenizers = fit(kind)
        split = kind.held_out("valid", tokenizers)
        batches = split.walk(lambda batch, state: (batch, state), None, 4)
        assert sorted(row_ids(batches)) == list(range(len(kind.part("valid").rows)))
        assert split.tokens == sum(batch.tokens for batch in batches)
        if split.examples and len(split.examples) == len(row_ids(batches)):
            [batch] = split.walk(lambda batch, state: (batch, state), None, 99)
            prompts = kind.prompts([each.source for each in split.examples], tokenizers)
            order = batch.row_ids.argsort()
            assert torch.equal(batch.sources.values[order], prompts.values)

    def test_a_row_does_not_depend_on_its_neighbours(self, name, make, fit):
        kind = make(name)
        split = kind.held_out("valid", fit(kind))
        [together] = split.walk(lambda batch, state: (batch, state), None, 99)
        alone = split.walk(lambda batch, state: (batch, state), None, 1)
        for row, one in enumerate(alone):
            for single, several in zip(tensors(one), tensors(together), strict=True):
                own = tuple(map(slice, single.shape[1:]))
                assert torch.equal(single[0], several[row][own])
                assert several[row].sum() == single[0].sum(), "the rest is padding"

    def test_sequences_end_in_eos_where_the_kind_says_so(self, name, make, fit):
        kind = make(name)
        for batch in epoch(kind.training(fit(kind))):
            last = batch.targets.gather(1, batch.lengths.unsqueeze(1) - 1)
            assert (last == EOS).all() == kind.ends

    def test_rows_of_one_identity_are_in_one_part(self, name, make):
        suffix = "txt" if name.split()[0] in ("lines", "vectors") else "tsv"
        kind = make(name, path=f"in/train.{suffix}", split=[0.5, 0.5, 0])
        parts = [kind.part(part) for part in ("train", "valid", "test")]
        assert parts[2] is None
        train, valid = ([kind.identity(row) for row in part.rows] for part in parts[:2])
        assert not set(train) & set(valid)
        assert 50 < len({*train, *valid}) < len(train) + len(valid) == 67
        assert abs(len(set(train)) - len(set(valid))) <= 1

    def test_the_fingerprint_has_every_file(self, name, make, place):
        kind = make(name)
        read = {"vectors": ("npy", "txt"), "lines": ("txt",)}.get(name.split()[0], ("tsv",))
        assert kind.fingerprint() == {
            file: hashlib.sha256(text).hexdigest()
            for file, text in place.files().items()
            if file.startswith("in/") and file.split(".")[1] in read
        }


@pytest.mark.parametrize("name", SAMPLED)
def test_a_tokenizer_that_samples_cuts_texts_anew_each_epoch(name, make, fit, doubling):
    kinds = [make(name, batch_size=99) for _ in range(2)]
    known = {field: doubling() for field in kinds[0].fields}
    one, again = (kind.training(fit(kind, **known)) for kind in kinds)
    batches = [one.batch(number) for number in (0, 1, 0, 1)]
    assert same(batches[0], batches[2])
    assert same(batches[1], batches[3])
    assert same(batches[1], again.batch(1))
    lengths = [dict(zip(row_ids([each]), each.lengths.tolist(), strict=True)) for each in batches]
    assert lengths[0] != lengths[1]
    rows = kinds[0].part("train").rows
    sides = [(batches[1].lengths, kinds[0].target_of)]
    if name == "pairs":
        sides.append((batches[1].sources.lengths, kinds[0].source_of))
    for counts, text_of in sides:
        sizes = [len(text_of(rows[row])) for row in row_ids(batches[1:2])]
        times = {(count - 1) / size for count, size in zip(counts.tolist(), sizes, strict=True)}
        assert times == {1, 2}, "each row is cut in a way of its own"
    plain = kinds[0].held_out("valid", known)
    [held_out] = plain.walk(lambda batch, state: (batch, state), None, 99)
    texts = [kinds[0].target_of(row) for row in kinds[0].part("valid").rows]
    assert sorted(held_out.lengths.tolist()) == sorted(len(text) + 1 for text in texts)


@pytest.mark.parametrize(
    ("name", "options", "most", "limit"),
    [
        ("lines", {"max_length": 2}, (9, 2), "2 tokens"),
        ("vectors", {"max_target_length": 2}, (9, 2), "2 tokens"),
        ("pairs", {"max_source_length": 2}, (2, 9), "max_source_length 2"),
        ("labelled", {"max_source_length": 2}, (2, 9), "max_source_length 2"),
        ("pairs", {"max_target_length": 3}, (9, 3), "max_target_length 3"),
        (
            "pairs",
            {"max_source_length": 4, "max_target_length": 4},
            (4, 4),
            "max_source_length 4 or max_target_length 4",
        ),
    ],
)
def test_long_rows_are_left_out_of_training_alone(name, options, most, limit, make, fit, place):
    """EOS is not counted."""
    kind = make(name, **options)
    tokenizers, whole = fit(kind), kind.part("train")
    texts = [(kind.source_of(row), kind.target_of(row)) for row in whole.rows]
    if name == "vectors":  # whose sources have no tokens
        texts = [("", target) for _, target in texts]
    fits = [len(source) <= most[0] and len(target) <= most[1] for source, target in texts]
    lines = [row.line for row, fit in zip(whole.rows, fits, strict=True) if not fit]
    assert len(row_ids(epoch(kind.training(tokenizers)))) == len(fits) - len(lines) > 0
    assert kind.held_out("valid", tokenizers).tokens >= 10
    noun = "lines" if "tokens" in limit else "rows"
    first = ", ".join(map(str, lines[:5]))
    out = f"{len(lines)} of {len(fits)} {noun} are longer than {limit} and left out of training"
    assert f"{whole.name}: {out} (lines {first}, ...)" in kind.remarks()
    long = kind.part("train").rows[fits.index(False)]
    kind.part("train").rows[:] = [long]
    message = f"{whole.name}: all 1 training {noun} are longer than {limit}$"
    with pytest.raises(DataError, match=message):
        kind.training(tokenizers)


@pytest.mark.parametrize("name", ["lines", "pairs", "labelled", "tagged"])
def test_rows_of_a_given_text_are_read_as_they_are(name, make, fit):
    kind = make(name, empty="error") if name != "tagged" else make(name)
    tokenizers = fit(kind)
    text = {"lines": "aab\n\nb", "tagged": "a\t1\nb\t1\n\nq\t1\n"}.get(name, "a\ta\n\ta\nb\tb\n")
    split = kind.parse_rows(TextFile.of(text), "mine", tokenizers)
    batches = split.walk(lambda batch, state: (batch, state), None, 1)
    assert sorted(row_ids(batches)) == list(range(2 if name == "tagged" else 3))
    assert len(split.examples) == {"lines": 0, "tagged": 2}.get(name, 3)
    with pytest.raises(ValueError, match="no rows of text that could be scored one by one"):
        make("vectors").parse_rows(TextFile.of("a"), "mine", {})
    wrong = TextFile.of("the" if name != "lines" else "\n")
    with pytest.raises(DataError, match=r"^mine:1: |^mine: no lines in it"):
        kind.parse_rows(wrong, "mine", tokenizers)


FIELDS = "`columns` must name source and target once each"
TEXTS = "must be a file of texts, with its vectors"
SHARES = "`split` must add up to at most 1 and have a share to train on"
WRONG = [
    ("lines", {"max_length": 0}, "max_length: "),
    ("lines", {"empty": "skip"}, "empty: "),
    ("lines", {"format": "csv"}, "`column` must say what is read where `format` or `header`"),
    ("tagged", {"letters": 2}, "letters: "),
    ("tagged", {"unknown_rate": 1.0}, "unknown_rate: "),
    ("tagged", {"max_length": 0}, "max_length: "),
    ("tagged", {"max_letters": 0}, "max_letters: "),
    ("tagged", {"columns": ["source", "target", "features"]}, "`columns` must name source (the w"),
    ("vectors", {"vector_size": 0}, "vector_size: "),
    ("vectors", {"corpus": "unicode_names"}, "corpus: not an option"),
    ("vectors", {"path": None}, "`path` or `train` must say where the texts come from"),
    ("vectors", {"path": "v.npy"}, f"`path` {TEXTS}"),
    ("vectors", {"train": "v.npy"}, f"`train` {TEXTS}"),
    ("vectors", {"train": "a.txt", "vectors": "b.npy"}, "`vectors` goes with `path` alone"),
    ("vectors", {"split": [0.9, 0.2, 0]}, SHARES),
    ("pairs", {"path": None}, "`path`, `train` or `corpus` must say where the rows come from"),
    ("pairs", {"columns": ["source"]}, FIELDS),
    ("pairs", {"columns": ["source", "_"]}, FIELDS),
    ("pairs", {"columns": ["source", "target", "target"]}, FIELDS),
    ("pairs", {"columns": ["source", "features", "target", "features"]}, FIELDS),
    ("pairs", {"columns": []}, FIELDS),
    ("pairs", {"columns": ["source", "tag"]}, "columns"),
    ("pairs", {"train": ["a", "b", "c"]}, "`train` must be one file, or 2 in parallel (source, t"),
    ("pairs", {"train": []}, "`train` must be one file, or 2 in parallel"),
    ("pairs", {"train": ["a", "b"], "columns": {"source": 1, "target": 2}}, "where `train` is fi"),
    ("pairs", {"batch_size": 0}, "batch_size: must be at least 1"),
    ("pairs", {"batch_tokens": 0}, "batch_tokens: must be at least 1"),
    ("pairs", {"max_source_length": 0}, "max_source_length: must be at least 1"),
    ("pairs", {"feature_separator": ""}, "feature_separator: must be at least 1 long"),
    ("pairs", {"empty": "skip"}, "'error', 'drop' or 'keep'"),
    ("pairs", {"train": 5}, "must be a string or a list"),
    ("pairs", {"split": [0.5, 0.5]}, "split: must be"),
    ("pairs", {"colums": ["_"]}, "did you mean 'columns'"),
    ("text", {"path": None}, "`path`, `train` or `corpus` must say where the text comes from"),
    ("text", {"windows": "lane"}, "windows: must be 'lanes' or 'random'"),
    ("text", {"batch_size": 0}, "batch_size: must be at least 1"),
    ("text", {"window": 1.5}, "window: must be an integer"),
    ("text", {"errors": "ignore"}, "errors: must be 'strict' or 'replace'"),
    ("text", {"corpus": "shakespear"}, "corpus: no corpus named 'shakespear'"),
    *(("text", {"split": split}, SHARES) for split in ([0, 0.5, 0.5], [0.8, 0.2, 0.1])),
    ("text", {"split": [0.9, 0.1, 1e-5]}, SHARES),
    *(("text", {"split": split}, "split: must be") for split in ([0.9, 0.1], 0.9, ["a", 0, 0])),
    *(("text", {"split": split}, "split") for split in ([1.5, 0, 0], [1, -0.5, 0.5])),
]


@pytest.mark.parametrize(("kind", "options", "message"), WRONG)
def test_wrong_options_are_refused_before_anything_is_read(kind, options, message):
    given = {"name": kind, "path": "in", **KINDS.get(kind, {}), **options}
    with pytest.raises(OptionError, match=re.escape(message)):
        data.build({name: value for name, value in given.items() if value is not None}, seed=1)


class TestDivided:
    def test_parts_have_their_shares_of_the_different_keys(self):
        parts = divided(range(100), (0.7, 0.2, 0.1), 1, lambda row: row)
        assert [len(part) for part in parts] == [70, 20, 10]
        assert sorted(chain.from_iterable(parts)) == list(range(100))
        assert all(part == sorted(part) for part in parts)
        assert parts[0] != list(range(70)), "which rows is drawn"
        assert [len(part) for part in divided(range(10), (0.5, 0.2, 0), 1, str)] == [5, 2, 0]

    @given(
        st.lists(st.integers(0, 20), min_size=1, max_size=50),
        st.sampled_from([(0.8, 0.1, 0.1), (0.34, 0.33, 0.33), (1, 0, 0), (0.1, 0.45, 0.45)]),
        st.integers(0, 2**40),
    )
    def test_rows_of_one_key_stay_together(self, rows, shares, seed):
        parts = divided(rows, shares, seed, lambda row: row // 2)
        assert sorted(chain.from_iterable(parts)) == sorted(rows)
        keys = [{row // 2 for row in part} for part in parts]
        assert sum(len(each) for each in keys) == len(set().union(*keys))

    def test_the_draw_depends_on_the_seed_and_not_on_rows_that_come_again(self):
        rows = list("abcdefghij")
        parts = divided(rows, (0.5, 0.5), 1, str)
        assert parts == divided(rows, (0.5, 0.5), 1, str)
        assert parts != divided(rows, (0.5, 0.5), 2, str)
        more = divided([*rows, "a", "b", "b"], (0.5, 0.5), 1, str)
        assert [sorted(set(part)) for part in more] == parts
