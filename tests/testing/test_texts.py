"""Texts on which tokenizers are tried."""

from collections import Counter

from seqgen.testing.texts import LIKE_SPECIALS, TEXT, prose, random_texts


def test_random_texts_are_the_same_texts_and_from_all_over():
    texts = random_texts(100)
    assert texts == random_texts(100)
    assert max(map(ord, "".join(texts))) > 0x1F300


def test_prose_is_many_words_some_of_them_often():
    counts = Counter(prose(1).replace(".", "").split())
    assert counts.total() == 4000
    assert len(counts) > 2000
    assert counts.most_common(1)[0][1] > 5
    assert prose(1) == prose.__wrapped__(1) != prose(2)
    assert len(prose(1).splitlines()) == 400


def test_strange_texts_are_no_part_of_the_prose():
    assert not set("ö日😀\x00<>[") & set(prose(1))
    assert all(each in TEXT for each in ("<pad>", "</s>"))
    assert {"<pad>", "<bos>", "<eos>", "<unk>"} < set(LIKE_SPECIALS)
