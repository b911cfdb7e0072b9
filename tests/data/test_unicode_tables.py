"""The corpora made of Unicode 3.2: what is in them, and that it never changes."""

import unicodedata

import pytest

from seqgen.data.corpora import corpora
from seqgen.data.unicode_tables import jamo

SHA256 = {
    "unicode_names": "9c5daca8dab22ee0e877899b69bed1fc65febc379a6e86de792558e75d53004a",
    "unicode_categories": "dbfada8b97c413b70586a221c318a6abde22dd709139be4db409fc2ef3b97200",
    "hangul": "7019b01dca4810409da61d5cd97d6e82c4a40bffb4fedad405fe6156cd2a1afa",
}

# The initial between SS and J has no letter.
INITIALS = "G GG N D DD R M B BB S SS  J JJ C K T P H"
VOWELS = "A AE YA YAE EO E YEO YE O WA WAE OE YO U WEO WE WI YU EU YI I"
FINALS = "G GG GS N NJ NH D L LG LM LB LS LT LP LH M B BS S SS NG J C K T P H"


def rows(name):
    return [line.split("\t") for line in corpora.build(name).read().text.splitlines()]


@pytest.mark.parametrize("name", SHA256)
def test_is_always_ready_and_the_same_in_every_python(name):
    corpus = corpora.build(name)
    corpus.fetch()
    assert corpus.ready()
    assert corpus.read().sha256 == SHA256[name]


def test_names():
    text = corpora.build("unicode_names").read().text
    assert text.startswith("SPACE\nEXCLAMATION MARK\n")
    assert len(text) == 2_564_680
    assert text.count("\n") == 95_156


def test_categories_are_those_of_characters_with_a_name_of_their_own():
    found = rows("unicode_categories")
    assert len(found) == 12_886
    assert len({name for name, _ in found}) == 12_886
    assert found[:2] == [["SPACE", "Zs"], ["EXCLAMATION MARK", "Po"]]
    categories = dict(found)
    assert categories["LATIN CAPITAL LETTER A"] == "Lu"
    assert categories["GREEK SMALL LETTER ALPHA"] == "Ll"
    assert categories["DEVANAGARI VOWEL SIGN AA"] == "Mc"
    assert "CJK UNIFIED IDEOGRAPH-4E00" not in categories
    assert "CJK COMPATIBILITY IDEOGRAPH-F900" not in categories
    assert "HANGUL SYLLABLE GA" not in categories
    assert len(set(categories.values())) == 26


@pytest.fixture(scope="module")
def syllables():
    return rows("hangul")


class TestHangul:
    def test_has_every_syllable_in_order(self, syllables):
        assert len(syllables) == 11_172
        assert syllables[0] == ["\u1100\u1161", "GA"]
        assert syllables[1] == ["\u1100\u1161\u11a8", "GAG"]
        assert syllables[-1] == ["\u1112\u1175\u11c2", "HIH"]
        assert len({source for source, _ in syllables}) == 11_172
        assert len({target for _, target in syllables}) == 11_172

    def test_sources_are_what_normalisation_makes_of_the_syllables(self, syllables):
        normal = [unicodedata.normalize("NFD", chr(each)) for each in range(0xAC00, 0xD7A4)]
        assert [source for source, _ in syllables] == normal

    def test_targets_are_spelt_letter_by_letter(self, syllables):
        """The short names of the jamo, as in the file Jamo.txt of Unicode."""
        initials, vowels, finals = (each.split(" ") for each in (INITIALS, VOWELS, FINALS))
        for source, target in syllables:
            final = finals[ord(source[2]) - 0x11A8] if len(source) == 3 else ""
            letters = initials[ord(source[0]) - 0x1100], vowels[ord(source[1]) - 0x1161], final
            assert "".join(letters) == target


def test_jamo_of_a_syllable():
    assert jamo("\ud55c") == "\u1112\u1161\u11ab"
    assert jamo("\uac00") == "\u1100\u1161"
