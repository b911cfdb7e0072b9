"""The named corpora: what is in them, and what is said when one is not here."""

import hashlib
import re
import unicodedata
from pydoc_data.topics import topics

import pytest

from seqgen.data import Corpus, Dates, corpora, data
from seqgen.data.corpora import ORDINALS, TinyShakespeare

BODY = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


def rows(name, **options):
    made = corpora.build({"name": name, **options})
    return [line.split("\t") for line in made.read().text.splitlines()]


def test_the_registry_lists_them():
    assert [*corpora.names()] == [
        *("dates", "hangul", "punctuation", "python_docs", "python_library"),
        *("tiny_shakespeare", "unicode_categories", "unicode_names"),
    ]
    for name in corpora.names():
        made = corpora.build(name)
        assert isinstance(made, Corpus)
        assert made.name == name
        assert 20 < len(corpora.entry(name).summary) < 100
    assert list(corpora.entry("dates").options) == ["count", "seed"]
    assert list(corpora.entry("punctuation").options) == ["corpus"]


@pytest.mark.parametrize("name", sorted({*corpora.names()} - {"tiny_shakespeare"}))
def test_what_comes_with_python_is_always_ready(name):
    corpus = corpora.build(name)
    corpus.fetch()
    assert corpus.ready()


def test_python_docs():
    found = corpora.build("python_docs").read()
    assert found.text.startswith(topics[min(topics)] + "\n\n")
    assert len(found.text) == sum(map(len, topics.values())) + 2 * (len(topics) - 1)
    assert 400_000 < len(found.text) < 600_000
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
    assert found.replaced == 0


class TestTinyShakespeare:
    @pytest.fixture
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path))
        return tmp_path

    @pytest.fixture
    def small(self, serve, cache, monkeypatch):
        """The first lines of it, from a server of our own, which counts how often it is asked."""

        def answer(request):
            request.server.asked = getattr(request.server, "asked", 0) + 1
            request.send_response(200)
            request.end_headers()
            request.wfile.write(BODY)

        self.server, url = serve(answer)
        changed = {"url": url, "sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)}
        for name, value in changed.items():
            monkeypatch.setattr(TinyShakespeare, name, value)
        return corpora.build("tiny_shakespeare")

    def test_it_says_how_to_get_it(self, cache, said):
        corpus = corpora.build("tiny_shakespeare")
        assert not corpus.ready()
        assert said(corpus.read) == (
            "corpus 'tiny_shakespeare' is not here yet: seqgen data get tiny_shakespeare "
            "(or give a local file: data.path=FILE)"
        )

    def test_it_is_fetched_once(self, small, cache):
        small.fetch()
        small.fetch()
        assert self.server.asked == 1
        assert small.ready()
        assert (small.read().text, small.read().sha256) == (BODY.decode(), small.sha256)
        assert [path.name for path in cache.iterdir()] == ["tiny_shakespeare.txt"]

    def test_another_file_in_its_place_is_refused_and_fetched_again(self, small, cache, said):
        path = cache / "tiny_shakespeare.txt"
        path.write_bytes(b"\xff another")
        assert not small.ready()
        found = hashlib.sha256(b"\xff another").hexdigest()[:16]
        assert said(small.read) == (
            f"{path}: not what corpus 'tiny_shakespeare' is (SHA-256 {found}... instead of "
            f"{small.sha256[:16]}...); fetch it again: seqgen data get tiny_shakespeare"
        )
        small.fetch()
        assert small.ready()

    def test_a_folder_in_its_place_is_refused(self, small, cache, said):
        (cache / "tiny_shakespeare.txt").mkdir()
        assert not small.ready()
        assert "tiny_shakespeare.txt: this is a directory; a file is needed" in said(small.read)


SHA256 = {
    "unicode_names": "9c5daca8dab22ee0e877899b69bed1fc65febc379a6e86de792558e75d53004a",
    "unicode_categories": "dbfada8b97c413b70586a221c318a6abde22dd709139be4db409fc2ef3b97200",
    "hangul": "7019b01dca4810409da61d5cd97d6e82c4a40bffb4fedad405fe6156cd2a1afa",
    "dates": "cb33cf0e6a0bda8ef84b456d450d5ab4f3b6a2608d301ee8e5f83179a9b5ecce",
}


@pytest.mark.parametrize("name", SHA256)
def test_it_is_the_same_in_every_python(name):
    """So what is looked at below is right for ever if it is right once."""
    assert corpora.build(name).read().sha256 == SHA256[name]


def test_categories_are_those_of_characters_with_a_name_of_their_own():
    found = rows("unicode_categories")
    categories = dict(found)
    assert len(found) == len(categories) == 12_886
    assert found[:2] == [["SPACE", "Zs"], ["EXCLAMATION MARK", "Po"]]
    letters = ("LATIN CAPITAL LETTER A", "GREEK SMALL LETTER ALPHA", "DEVANAGARI VOWEL SIGN AA")
    assert [categories[name] for name in letters] == ["Lu", "Ll", "Mc"]
    families = ("CJK UNIFIED IDEOGRAPH-", "CJK COMPATIBILITY IDEOGRAPH-", "HANGUL SYLLABLE ")
    assert not any(name.startswith(families) for name in categories)
    assert len(set(categories.values())) == 26


def test_hangul_has_every_syllable_in_order():
    syllables = rows("hangul")
    normal = [unicodedata.normalize("NFD", chr(each)) for each in range(0xAC00, 0xD7A4)]
    assert [source for source, _ in syllables] == normal
    assert len({target for _, target in syllables}) == len(syllables) == 11_172
    assert [syllables[0][1], syllables[1][1], syllables[-1][1]] == ["GA", "GAG", "HIH"]


# The corpus `dates`: every row read again by a parser of its own.
DAYS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh "
    "twenty-eighth twenty-ninth thirtieth thirty-first"
)
NAMES = ("jan feb mar apr may jun jul aug sep oct nov dec", "sat sun mon tue wed thu fri", DAYS)
MONTHS, WEEKDAYS, SPOKEN = map(str.split, NAMES)
ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def iso(source):
    """The date that a source says, by the words and numbers in it."""
    text = source.lower()
    if re.fullmatch(r"\d{8}", text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if re.fullmatch(r"[\d/.-]+", text):
        parts = [int(part) for part in re.split(r"[/.-]", text)]
        year, month, day = parts if parts[0] > 31 else parts[::-1]
        return f"{year}-{month:02}-{day:02}"
    words = re.findall(r"[a-z]+-[a-z]+|[a-z]+|\d+", text)
    (year,) = [word for word in words if re.fullmatch(r"\d{4}", word)]
    (month,) = [MONTHS.index(word[:3]) + 1 for word in words if word[:3] in MONTHS]
    (day,) = [
        int(word) if word.isdigit() else SPOKEN.index(word) + 1
        for word in words
        if re.fullmatch(r"\d\d?", word) or word in SPOKEN
    ]
    return f"{year}-{month:02}-{day:02}"


def weekday(year, month, day):
    """By Zeller's congruence."""
    year, month = (year, month) if month > 2 else (year - 1, month + 12)
    return WEEKDAYS[
        (day + 13 * (month + 1) // 5 + year + year // 4 - year // 100 + year // 400) % 7
    ]


@pytest.fixture(scope="module")
def found():
    return rows("dates")


class TestDates:
    def test_each_source_says_its_target_and_comes_once(self, found):
        assert len(found) == 20_000
        assert found[:2] == [["16.11.1926", "1926-11-16"], ["29 sep., 2057", "2057-09-29"]]
        assert all(iso(source) == target for source, target in found)
        assert len({source.lower() for source, _ in found}) == 20_000

    def test_weekdays_are_the_right_ones(self, found):
        told = 0
        for source, target in found:
            words = re.findall(r"[a-z]+", source.lower())
            named = [word[:3] for word in words if word[:3] in WEEKDAYS and word not in SPOKEN]
            told += bool(named)
            assert not named or named == [weekday(*map(int, target.split("-")))], source
        assert told > 5_000

    def test_numerals_end_as_they_are_spoken(self, found):
        numerals = [re.search(r"(\d+)(ST|ND|RD|TH)\b", source.upper()) for source, _ in found]
        endings = {int(each[1]): each[2].lower() for each in numerals if each}
        assert endings == {day: ENDINGS.get(day, "th") for day in range(1, 32)}
        assert ORDINALS == SPOKEN

    def test_a_seed_and_a_count_make_other_rows(self, found):
        some, more = rows("dates", count=50, seed=3), rows("dates", count=60, seed=3)
        assert len(some) == 50
        assert more[:50] == some
        assert rows("dates", count=50, seed=4) != some
        assert rows("dates", count=1)[0] == found[0]

    def test_they_are_options_in_a_recipe_and_change_the_fingerprint(self):
        def fingerprint(**options):
            corpus = {"name": "dates", "count": 20, **options}
            return data.build({"name": "text", "corpus": corpus}, seed=1).fingerprint()

        small = fingerprint()
        assert list(small) == ["dates"]
        assert small == fingerprint(seed=1)
        assert small not in (fingerprint(seed=2), fingerprint(count=21))
        assert (Dates().count, Dates().seed) == (20_000, 1)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"count": 0}, "count: must be at least 1 and at most 1000000, but is 0"),
            ({"seed": -1}, "seed: must be at least 0 and less than 9223372036854775808, but is"),
            ({"seeds": 1}, "seeds: not an option of corpus 'dates'; did you mean 'seed'?"),
        ],
    )
    def test_options_are_checked(self, options, message):
        with pytest.raises(ValueError, match=re.escape(message)):
            corpora.check({"name": "dates", **options})
