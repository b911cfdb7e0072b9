"""Vocabularies of torchtext as it pickles them, and what pretends to be one."""

import io
import os
import pickle
import ssl
from collections import Counter, OrderedDict
from pathlib import Path

import pytest
import torch
from torchtext.data import Field
from torchtext.vocab import Vocab

from seqgen.errors import DataError
from seqgen.tokenizers import UNK, WordTokenizer
from seqgen.tokenizers.pickled import read_vocabulary

COUNTS = Counter({"the": 5, "cat": 3, "sat": 3, "é": 1})
WORDS = ["the", "cat", "sat", "é"]


def vocab(**options):
    return Vocab(COUNTS, **options)


def field(**options):
    made = Field(**options)
    made.build_vocab([["The", "the", "cat", "the"]])
    return made


def saved(found, **options):
    written = io.BytesIO()
    torch.save(found, written, **options)
    return written.getvalue()


def with_vectors():
    made = vocab()
    made.vectors = torch.ones(len(made.itos), 3)
    return made


@pytest.fixture
def read(tmp_path):
    """A function that reads a vocabulary from these bytes."""

    def call(content, name=None):
        (tmp_path / "vocab.pkl").write_bytes(content)
        return read_vocabulary(tmp_path / "vocab.pkl", name)

    return call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_vocab_is_read_from_any_protocol(protocol, read):
    specials = ["<unk>", "<pad>", "<sos>", "</s>"]
    found = read(pickle.dumps(vocab(specials=specials), protocol=protocol))
    assert (found.words, found.left_out, found.lower) == (WORDS, specials, False)


def test_one_of_the_legacy_modules_is_the_same(read):
    content = pickle.dumps(vocab(), protocol=0)
    old = content.replace(b"torchtext.vocab", b"torchtext.legacy.vocab")
    assert old != content
    assert read(old) == read(content)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("make", [vocab, with_vectors])
def test_torch_save_is_read_without_its_vectors(make, zipped, read):
    content = saved(make(), _use_new_zipfile_serialization=zipped)
    assert read(content).words == read(pickle.dumps(make())).words == WORDS


def test_a_field_says_what_is_special_and_in_lower_case(read):
    made = field(lower=True, init_token="<go>", eos_token="<stop>", unk_token="???")
    found = read(pickle.dumps(made))
    assert found.lower
    assert set(found.left_out) == {"???", "<pad>", "<go>", "<stop>"}
    assert found.words == ["the", "The", "cat"]  # `build_vocab` takes words as they are


@pytest.mark.parametrize("make", [dict, OrderedDict, lambda pairs: list(dict(pairs).items())])
def test_one_of_several_is_read_by_its_name(make, read):
    content = pickle.dumps(make([("src", vocab()), ("tgt", field())]))
    assert read(content, "src").words == WORDS
    assert read(content, "tgt").words == ["the", "The", "cat"]
    with pytest.raises(DataError, match="has several vocabularies; --name says which of src, tgt"):
        read(content)
    with pytest.raises(DataError, match="has no vocabulary 'x'; --name says which of src, tgt is"):
        read(content, "x")


class Evil:
    def __init__(self, call, *given):
        self.reduced = call, given

    def __reduce__(self):
        return self.reduced


def evil_vocab():
    made = vocab()
    made.freqs = Evil(os.system, "touch done")
    return made


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pickle.dumps(Evil(os.system, "touch done")), r"names \w+\.system, which no vocabulary"),
        (pickle.dumps(Evil(eval, "1")), r"names builtins\.eval, which no vocabulary"),
        (pickle.dumps(evil_vocab()), r"names \w+\.system"),
        (saved(evil_vocab()), r"names \w+\.system"),
        (b"c__builtin__\ngetattr\n(cos\nsystem\nVx\ntR.", r"names os\.system"),
        (b"cos\nsystem\n(S'touch done'\ntR.", r"names os\.system"),
        (b"ctorchtext.vocab\nVocab.mro\n.", r"names torchtext\.vocab\.Vocab\.mro"),
        (b"", "no pickle, or a damaged one: "),
        (b"text", "no pickle, or a damaged one: "),
        (pickle.dumps(vocab())[:-40], "no pickle, or a damaged one: "),
        (saved(vocab())[:-40], "no pickle, or a damaged one: "),
        (b"Nr\xff\xff\xff\xff.", "damaged one: it counts 4294967295 objects in 7 bytes"),
        (b"\x82\x01.", "no pickle, or a damaged one: "),  # a code of copyreg
        (pickle.dumps({"a": [1, 2]}), "has no vocabulary of torchtext in it"),
        (pickle.dumps(Vocab(Counter())), "its vocabulary has no words besides <unk>, <pad>"),
    ],
    ids=range(15),
)
def test_what_is_none_is_refused_and_nothing_is_run(content, said, read, place):
    with pytest.raises(DataError, match=rf"vocab\.pkl: .*{said}") as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert not (place.folder / "done").exists()


def test_certificates_are_still_checked(read):
    before = ssl._create_default_https_context
    read(pickle.dumps(vocab()))
    assert ssl._create_default_https_context is before


def test_a_word_tokenizer_has_its_words_and_order(command, place):
    place.write("old.pkl", pickle.dumps({"src": vocab(), "trg": field(lower=True)}))
    ended = command("import", "old.pkl", "--name", "src")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "vocabulary: words.json: 4 words without <unk>, <pad>",
        "tokenizer: {name: word, vocabulary_file: words.json}",
    ]
    made = WordTokenizer(vocabulary_file=Path("words.json"), vocab_size=7)
    made.fit(["other words"])
    assert made.encode("the cat sat é dog").tolist() == [4, 5, 6, UNK, UNK]
    assert "lower: true}" in command("import", "old.pkl", "--name", "trg").out
    assert '"the"' in command("import", "old.pkl", "--name", "src", "--out", "-").out
    other = WordTokenizer(vocabulary_file="no longer there")
    other.restore(made.files())
    assert len(other) == len(made)


@pytest.mark.parametrize("content", [None, "[", '["a", "a"]', "{}"])
def test_a_wrong_list_of_words_is_refused(content, place):
    if content is not None:
        place.write("words.json", content)
    made = WordTokenizer(vocabulary_file=Path("words.json"))
    with pytest.raises(
        ValueError, match=r"`vocabulary_file` words\.json (must be a list of dif|cann)"
    ):
        made.fit(["a"])
