"""The tokenizer `huggingface`: what it learns, and ready files of several kinds."""

import json
import sys

import numpy as np
import pytest

from seqgen.options import OptionError
from seqgen.testing.tokenizer import TEXT, prose
from seqgen.tokenizers import BOS, EOS, PAD, UNK, tokenizers
from seqgen.tokenizers.huggingface import LEAST, HuggingFaceTokenizer

library = pytest.importorskip("tokenizers", reason="the extra hf is not installed")
both = pytest.mark.parametrize("model", ["bpe", "unigram"])
LINES = prose(1)[:8000]


def fitted(*texts, **options):
    made = HuggingFaceTokenizer(**options)
    made.fit(texts or [LINES])
    return made


@both
class TestTraining:
    def test_it_is_the_same_each_time_and_gives_each_text_back(self, model):
        made, other = (fitted(LINES, TEXT, model=model, vocab_size=400) for _ in range(2))
        assert made.files() == other.files()
        assert len(made) == 400
        for text in (TEXT, "é日\u2581 \x00", LINES):
            assert made.decode(made.encode(text)) == text
        assert any(" " in made.shown(token)[1:] for token in range(4, 400)) is False
        assert made.encode("<pad> <eos>").min() > UNK

    def test_the_limits_of_the_size_are_named(self, model):
        with pytest.raises(ValueError, match=r"`vocab_size` must be at most \d+ for") as caught:
            fitted(model=model, vocab_size=50_000)
        most = int(str(caught.value).split()[5])
        assert len(fitted(model=model, vocab_size=most)) == most
        with pytest.raises(OptionError, match=f"vocab_size: must be at least {LEAST} "):
            tokenizers.build({"name": "huggingface", "model": model, "vocab_size": LEAST - 1})

    def test_a_long_text_is_read_as_if_it_were_read_at_once(self, model):
        made = fitted(model=model, vocab_size=300)
        text = (LINES + "  \n x" * 20 + "é" * 500) * 20
        whole = made.ready.model.encode(text, add_special_tokens=False).ids
        assert np.array_equal(made.encode(text), made.ready.from_theirs[whole])
        rows, counts = made.encode_all([text, "", "a b"])
        assert counts.tolist() == [len(whole), 0, len(made.encode("a b"))]
        assert len(rows) == counts.sum()


def test_unknown_to_a_missing_library_is_what_it_says(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ValueError, match=r"needs the package tokenizers; pip install 'seqgen-to"):
        fitted()


def of_bytes():
    """As GPT-2 has it: its special token comes last."""
    made = library.Tokenizer(library.models.BPE())
    made.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = library.decoders.ByteLevel()
    made.post_processor = library.processors.ByteLevel()
    alphabet = library.pre_tokenizers.ByteLevel.alphabet()
    trainer = library.trainers.BpeTrainer(
        vocab_size=300, show_progress=False, initial_alphabet=alphabet
    )
    made.train_from_iterator([LINES], trainer)
    made.add_special_tokens(["<|endoftext|>"])
    return made


def of_words():
    """As BERT has it: lower case, [CLS] and [SEP] around each text."""
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "##s", "[", "]"]
    model = library.models.WordPiece(
        {each: token for token, each in enumerate(names)}, unk_token="[UNK]"
    )
    made = library.Tokenizer(model)
    made.add_special_tokens(names[:4])
    made.normalizer = library.normalizers.BertNormalizer()
    made.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    made.decoder = library.decoders.WordPiece()
    around = {"special_tokens": [("[CLS]", 2), ("[SEP]", 3)]}
    made.post_processor = library.processors.TemplateProcessing("[CLS] $A [SEP]", **around)
    made.enable_truncation(3)
    return made


def of_pieces():
    """As T5 has it: a space before the text, `</s>` a piece."""
    scored = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581the", -1.0), ("\u2581", -2.0)]
    scored += [(each, -3.0) for each in "cats"]
    made = library.Tokenizer(library.models.Unigram(scored, 2, False))
    made.add_special_tokens(["<pad>", "</s>", "<unk>"])
    made.pre_tokenizer = library.pre_tokenizers.Metaspace()
    made.decoder = library.decoders.Metaspace()
    return made


def with_bytes():
    """As Llama 2 has it: what is no piece is bytes."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "\u2581", "a"]
    vocabulary = {each: token for token, each in enumerate([*names, "\u2581a"])}
    model = library.models.BPE(
        vocabulary, [("\u2581", "a")], unk_token="<unk>", byte_fallback=True, fuse_unk=True
    )
    made = library.Tokenizer(model)
    made.add_special_tokens(["<s>", "</s>"])
    norms, decs = library.normalizers, library.decoders
    made.normalizer = norms.Sequence([norms.Prepend("\u2581"), norms.Replace(" ", "\u2581")])
    steps = [decs.Replace("\u2581", " "), decs.ByteFallback(), decs.Fuse(), decs.Strip(" ", 1, 0)]
    made.decoder = decs.Sequence(steps)
    return made


@pytest.fixture
def ready(tmp_path):
    """A function from what makes a file of others to our tokenizer of it, and theirs."""

    def make(kind):
        theirs = kind()
        theirs.save(str(tmp_path / "their.json"))
        return fitted("a text", file=tmp_path / "their.json"), theirs

    return make


@pytest.mark.parametrize(
    ("kind", "lossless", "text", "back"),
    [
        (of_bytes, True, " a <|endoftext|> é\n b", " a <|endoftext|> é\n b"),
        (of_words, False, "The cats [the] dog", "the cats [ the ] \ufffd"),
        (of_pieces, False, "the cats  the", "the cats  the"),
        (with_bytes, False, "a é a", "a é a"),
    ],
)
def test_a_ready_file_has_our_special_tokens_and_its_own_ways(kind, lossless, text, back, ready):
    made, theirs = ready(kind)
    assert made.lossless is lossless
    tokens = made.encode(text)
    assert tokens.dtype == np.int64
    assert tokens.min() >= UNK
    found = theirs.encode(text, add_special_tokens=False).tokens
    if kind is not of_words:  # which is cut off after three tokens there
        assert lossless or [made.ready.theirs[each] for each in tokens] == [
            theirs.token_to_id(each) for each in found
        ]
    if kind is not of_words:
        assert made.decode(tokens) == made.decode([BOS, *tokens, EOS, PAD]) == back
    else:
        assert made.decode(tokens) == made.decode([BOS, *tokens, EOS, PAD])
        assert made.contents() is None
    other = HuggingFaceTokenizer(file="no longer there")
    other.restore(made.files())
    assert np.array_equal(other.encode(text), tokens)
    assert other.lossless is lossless
    assert (made.last_cut("a b") == 1) is lossless
    assert len(made.spans(text)) == len(tokens)


def test_what_looks_like_a_special_token_of_the_file_is_plain_or_unknown(ready):
    for kind in (of_bytes, of_words, of_pieces, with_bytes):
        made, _ = ready(kind)
        tokens = made.encode("<pad></s><s>[CLS]<|endoftext|>").tolist()
        assert min(tokens) >= UNK
        assert len(made) == len(made.ready.shown) == len(made.ready.theirs)


SOUND = {"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {}, "merges": []}}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file"),
        ("", "must be a tokenizer.json, but is none or damaged"),
        ("[1]", "must be a tokenizer.json, but is none or damaged"),
        ('{"version": "1.0", "model": 3}', "must be a tokenizer.json, but is none or damaged"),
        (json.dumps({**SOUND, "version": "2.0"}), "must be of version 1.0 of the format, but is"),
        (json.dumps({**SOUND, "model": {"type": "New"}}), "cannot be loaded: "),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(content, said, tmp_path):
    path = tmp_path / "wrong.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=f"`file` .*wrong.json {said}") as caught:
        fitted(file=path)
    assert "\n" not in str(caught.value)
