"""The ids of large texts: mapped from a file, which is made again where it is damaged."""

import multiprocessing
import os

import numpy as np
import pytest
import torch

from seqgen.data import data
from seqgen.data.stored_ids import ids_of
from seqgen.tokenizers import (
    BOS,
    ByteTokenizer,
    CharTokenizer,
    LongText,
    WordTokenizer,
    long_text,
    tokenizers,
)

TEXT = "the cat sat on a mat, naïve\n" * 30


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the cache; every text from 100 characters on is large."""
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(long_text, "LARGE", 100)
    return tmp_path / "cache" / "ids"


def fitted(kind=CharTokenizer, text=TEXT, **options):
    tokenizer = kind(**options)
    tokenizer.fit([text])
    return tokenizer


def ids(tokenizer, text=TEXT, first=BOS):
    return ids_of(LongText.of(text), tokenizer, first)


@pytest.mark.parametrize(
    ("tokenizer", "kind"),
    [(CharTokenizer, torch.uint8), (ByteTokenizer, torch.uint16), (WordTokenizer, torch.uint8)],
)
def test_they_are_those_of_the_tokenizer_in_the_smallest_integers(tokenizer, kind, cache):
    made = fitted(tokenizer)
    found = ids(made, first=2)
    assert found.dtype == kind
    assert found.tolist() == [2, *made.encode(TEXT).tolist()]
    [file] = cache.iterdir()
    assert file.stat().st_size == found.nbytes + 32
    few = ids(made, "the mat")
    assert (few.dtype, few.tolist()) == (torch.int64, [BOS, *made.encode("the mat").tolist()])
    assert len([*cache.iterdir()]) == 1


def test_what_is_there_is_not_made_again(cache):
    made = fitted()
    once = ids(made)
    [file] = cache.iterdir()
    written = file.stat()
    assert torch.equal(ids(fitted()), once)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize(
    ("tokenizer", "text", "first"),
    [
        (fitted(), TEXT + "a", BOS),
        (fitted(text=TEXT + "z"), TEXT, BOS),
        (fitted(text="abc", unk="token"), TEXT, BOS),
        (fitted(), TEXT, 7),
        (fitted(ByteTokenizer), TEXT, BOS),
    ],
    ids=["text", "vocabulary", "options", "first", "kind"],
)
def test_another_text_or_tokenizer_has_ids_of_its_own(tokenizer, text, first, cache):
    ids(fitted())
    assert ids(tokenizer, text, first).tolist() == [first, *tokenizer.encode(text).tolist()]
    assert len([*cache.iterdir()]) == 2


def test_options_count_where_the_vocabulary_is_the_same(cache):
    one, other = fitted(WordTokenizer), fitted(WordTokenizer, text=TEXT.upper())
    other.restore(one.files())
    other.lower = True
    shouted = TEXT.upper()
    assert not torch.equal(ids(one, shouted), ids(other, shouted))
    assert len([*cache.iterdir()]) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:40],
        lambda content: content + b"\0",
        lambda content: bytes([content[0] ^ 1]) + content[1:],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    ],
    ids=["empty", "short", "shorter", "long", "an id", "the seal"],
)
def test_a_damaged_file_is_made_again(damage, cache):
    once = ids(fitted()).clone()
    [file] = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert torch.equal(ids(fitted()), once)
    assert file.read_bytes() == content


def test_without_a_cache_they_are_in_memory(cache):
    cache.parent.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="the ids of the text are in memory, for they cannot be"):
        found = ids(fitted())
    assert found.tolist() == [BOS, *fitted().encode(TEXT).tolist()]


class Beyond(CharTokenizer):
    """It gives an id that it does not have."""

    def encode(self, text):
        return np.full(len(text), 300, dtype=np.int64)


def test_ids_that_the_tokenizer_does_not_have_are_refused(cache):
    with pytest.raises(ValueError, match=r"gave the id 300, but has \d+ ids \(0 to \d+\)$"):
        ids(fitted(Beyond))
    assert not [*cache.iterdir()], "nothing is left of it"


def work(barrier, folder, results):
    os.environ["SEQGEN_CACHE"] = folder
    long_text.LARGE = 100
    barrier.wait()
    results.put(ids(fitted()).tolist())


def test_two_processes_at_once_do_not_disturb_one_another(cache):
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    words = (barrier, str(cache.parent), results)
    both = [spawn.Process(target=work, args=words) for _ in range(2)]
    for process in both:
        process.start()
    found = [results.get(timeout=120) for _ in both]
    for process in both:
        process.join()
    assert found == [[BOS, *fitted().encode(TEXT).tolist()]] * 2
    assert len([*cache.iterdir()]) == 1


@pytest.mark.parametrize("windows", ["lanes", "random"])
@pytest.mark.parametrize("tokenizer", ["char", "byte", "word"])
def test_batches_are_the_same_in_memory_and_mapped(windows, tokenizer, tmp_path, monkeypatch, fit):
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + (TEXT * 9).replace("\n", "\r\n").encode())

    def batches():
        kind = data.build(
            {"name": "text", "path": str(path), "windows": windows, "batch_size": 3, "window": 7}
        )
        fields = fit(kind, text=tokenizers.build(tokenizer))
        made = kind.encode(fields)
        seen = [made.train.batch(step) for step in range(0, 60, 7)]
        for split in (made.valid, made.test):
            split.walk(lambda batch, state: (seen.append(batch), state), lambda rows: None, 2)
        figures = (made.train.tokens, made.train.size, made.train.counts()["text"].tolist())
        others = [(each.tokens, each.unknown, each.size) for each in (made.valid, made.test)]
        passages = [*kind.passages("test", fields, 3, 5)]
        return [(b.inputs.tolist(), b.targets.tolist()) for b in seen], figures, others, passages

    mapped = batches()
    monkeypatch.setattr(long_text, "LARGE", 10**9)
    assert batches() == mapped
