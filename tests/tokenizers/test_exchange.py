"""A `tokenizer.json` of a tokenizer of ours has its ids, or is refused with the reason."""

import pytest

from seqgen.testing.tokenizer import prose
from seqgen.tokenizers import UNK, tokenizers
from seqgen.tokenizers.exchange import tokenizer_json

library = pytest.importorskip("tokenizers", reason="the extra hf is not installed")
TEXT = prose(1)[:6000] + "\n\n  The 2 cafés,  and\tan end\n"


def fitted(spec, text=TEXT):
    made = tokenizers.build(spec)
    made.fit([text])
    return made


@pytest.mark.parametrize(
    "spec",
    [
        *("char", "byte", "word"),
        {"name": "word", "lower": True, "vocab_size": 200},
        {"name": "word", "pattern": r"\w+"},
        {"name": "word", "split": "exact"},
        {"name": "huggingface", "vocab_size": 300},
        {"name": "sentencepiece", "algorithm": "bpe", "vocab_size": 400},
        {"name": "sentencepiece", "algorithm": "unigram", "vocab_size": 400},
        {"name": "sentencepiece", "vocab_size": 60, "byte_fallback": False},
    ],
    ids=str,
)
def test_it_reads_texts_as_ours_does(spec):
    made = fitted(spec)
    theirs = library.Tokenizer.from_str(tokenizer_json(made, [TEXT]).decode())
    assert theirs.get_vocab_size() == len(made)
    for text in ("", TEXT, "the end", "é日 x", prose(2)[:500]):
        tokens = theirs.encode(text, add_special_tokens=False).ids
        assert tokens == made.encode(text).tolist()
        known = [token for token in tokens if token != UNK]
        assert theirs.decode(known) == made.decode(known)
    assert [theirs.token_to_id(each) for each in ("<pad>", "<bos>", "<eos>", "<unk>")] == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("spec", "text", "said"),
    [
        ("whole", TEXT, "a WholeTokenizer cannot be said in a tokenizer.json"),
        ({"name": "word", "split": "basic_english"}, TEXT, "words by `split: basic_english` canno"),
        ({"name": "word", "line_ends": True}, TEXT, "words by `line_ends` cannot be said"),
        ("word", "a <pad> b", "a word that looks like a special token has no place in a"),
        ("char", "ab\n<eos> d", r"other ids for '<eos> d' \(<eos> is a special token there\)"),
        ({"name": "sentencepiece", "vocab_size": 300}, f"{TEXT} \u2581", "has other ids for '"),
    ],
    ids=str,
)
def test_what_cannot_be_said_is_refused(spec, text, said):
    with pytest.raises(ValueError, match=said):
        tokenizer_json(fitted(spec, text), [text])
