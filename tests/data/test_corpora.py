"""The named corpora: what is in them, and what is said when one is not here."""

import hashlib
import re
import threading
import unicodedata
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pydoc_data.topics import topics

import pytest

from seqgen.data import Corpus, Dates, corpora, data
from seqgen.data.corpora import ORDINALS, TinyShakespeare, jamo
from seqgen.errors import DataError

BODY = b"First Citizen:\nBefore we proceed any further, hear me speak.\n"


def test_the_registry_lists_them():
    assert corpora.names() == (
        "dates",
        "hangul",
        "punctuation",
        "python_docs",
        "python_library",
        "tiny_shakespeare",
        "unicode_categories",
        "unicode_names",
    )
    for name in corpora.names():
        made = corpora.build(name)
        assert isinstance(made, Corpus)
        assert made.name == name
        assert 20 < len(corpora.entry(name).summary) < 100
    assert list(corpora.entry("dates").options) == ["count", "seed"]
    assert list(corpora.entry("punctuation").options) == ["corpus"]


class TestFromPython:
    @pytest.mark.parametrize("name", ["dates", "hangul", "punctuation", "python_docs"])
    def test_is_always_ready(self, name):
        corpus = corpora.build(name)
        corpus.fetch()
        assert corpus.ready()

    def test_python_docs(self):
        found = corpora.build("python_docs").read()
        assert found.text.startswith(topics[min(topics)] + "\n\n")
        assert len(found.text) == sum(map(len, topics.values())) + 2 * (len(topics) - 1)
        assert 400_000 < len(found.text) < 600_000
        assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest()
        assert found.replaced == 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked = 0
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def small(server, cache, monkeypatch):
    """`tiny_shakespeare` as the first lines of it, from a server of our own."""
    monkeypatch.setattr(TinyShakespeare, "url", f"http://127.0.0.1:{server.server_port}/input.txt")
    monkeypatch.setattr(TinyShakespeare, "sha256", hashlib.sha256(BODY).hexdigest())
    monkeypatch.setattr(TinyShakespeare, "size", len(BODY))
    return corpora.build("tiny_shakespeare")


class TestTinyShakespeare:
    def test_says_how_to_get_it(self, cache):
        corpus = corpora.build("tiny_shakespeare")
        assert not corpus.ready()
        with pytest.raises(DataError) as caught:
            corpus.read()
        assert str(caught.value) == (
            "corpus 'tiny_shakespeare' is not here yet: seqgen data get tiny_shakespeare "
            "(or give a local file: data.path=FILE)"
        )

    def test_is_fetched_once(self, small, server, cache):
        small.fetch()
        small.fetch()
        assert server.asked == 1
        assert small.ready()
        assert small.read().text == BODY.decode()
        assert small.read().sha256 == small.sha256
        assert [path.name for path in cache.iterdir()] == ["tiny_shakespeare.txt"]

    def test_another_file_in_its_place_is_refused_and_fetched_again(self, small, cache):
        path = cache / "tiny_shakespeare.txt"
        path.write_bytes(b"\xff another")
        assert not small.ready()
        found = hashlib.sha256(b"\xff another").hexdigest()[:16]
        with pytest.raises(DataError) as caught:
            small.read()
        assert str(caught.value) == (
            f"{path}: not what corpus 'tiny_shakespeare' is (SHA-256 {found}... instead of "
            f"{small.sha256[:16]}...); fetch it again: seqgen data get tiny_shakespeare"
        )
        small.fetch()
        assert small.ready()

    def test_what_cannot_be_read_is_said(self, small, cache):
        (cache / "tiny_shakespeare.txt").mkdir()
        assert not small.ready()
        with pytest.raises(DataError, match="cannot be read: Is a directory"):
            small.read()


# The corpora made of Unicode 3.2: what is in them, and that it never changes.


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


# The corpus `dates`: every row read again by a parser of its own.


MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sat", "sun", "mon", "tue", "wed", "thu", "fri"]
DAY_NAMES = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth twenty-first "
    "twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth twenty-seventh "
    "twenty-eighth twenty-ninth thirtieth thirty-first"
)
SPOKEN = DAY_NAMES.split()
WRITTEN_OUT = [
    ["16.11.1926", "1926-11-16"],
    ["29 sep., 2057", "2057-09-29"],
    ["1945/10/2", "1945-10-02"],
    ["Monday, March 29 1976", "1976-03-29"],
]
ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}


def rows_dates(**options):
    return [line.split("\t") for line in Dates(**options).read().text.splitlines()]


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
    return rows_dates()


class TestTheDefault:
    def test_is_the_same_in_every_python(self, found):
        text = Dates().read().text
        assert len(found) == 20_000
        assert found[:4] == WRITTEN_OUT
        wanted = "cb33cf0e6a0bda8ef84b456d450d5ab4f3b6a2608d301ee8e5f83179a9b5ecce"
        assert hashlib.sha256(text.encode()).hexdigest() == wanted == Dates().read().sha256

    def test_each_source_says_its_target_and_stands_once(self, found):
        assert all(iso(source) == target for source, target in found)
        assert len({source.lower() for source, _ in found}) == 20_000

    def test_targets_are_dates_of_two_centuries(self, found):
        days = [date.fromisoformat(target) for _, target in found]
        assert {day.year for day in days} == set(range(1900, 2100))
        assert {day.day for day in days} == set(range(1, 32))
        assert len(set(days)) > 15_000

    def test_weekdays_are_the_right_ones(self, found):
        told = 0
        for source, target in found:
            words = re.findall(r"[a-z]+", source.lower())
            named = [word[:3] for word in words if word[:3] in WEEKDAYS and word not in SPOKEN]
            if named:
                told += 1
                assert named == [weekday(*map(int, target.split("-")))], source
        assert told > 5_000

    def test_numerals_end_as_they_are_spoken(self, found):
        numerals = [re.search(r"(\d+)(ST|ND|RD|TH)\b", source.upper()) for source, _ in found]
        endings = {int(each[1]): each[2].lower() for each in numerals if each}
        assert endings == {day: ENDINGS.get(day, "th") for day in range(1, 32)}

    @pytest.mark.parametrize(
        "form",
        [
            r"\d\d?/\d\d?/\d{4}",
            r"\d\d?\.\d\d?\.\d{4}",
            r"\d{4}-\d\d-\d\d",
            r"\d{8}",
            r"the \d\d?(st|nd|rd|th) of [A-Z][a-z]+,? \d{4}",
            r"[A-Z][a-z]+day, [A-Z][a-z]+ \d\d?, \d{4}",
            r"[A-Z][a-z]{2} \d\d? [A-Z][a-z]+ \d{4}",
            r"[A-Z]{3,}\.? \d\d? \d{4}",
            r"[a-z]+ the [a-z-]+,? \d{4}",
            r"[A-Z][a-z-]+ of [A-Z][a-z]+ \d{4}",
            r".* Sept\. .*",
            r"\d{4}, [A-Z][a-z]+ \d\d?",
            r"\d\d?-[A-Z][a-z]{2,3}-\d{4}",
            r".* \d{4}, a [A-Z][a-z]+day",
        ],
    )
    def test_many_forms_are_among_them(self, found, form):
        assert sum(bool(re.fullmatch(form, source)) for source, _ in found) > 20


def test_days_in_words():
    assert ORDINALS == SPOKEN


def test_a_seed_and_a_count_make_other_rows(found):
    some, more = rows_dates(count=50, seed=3), rows_dates(count=60, seed=3)
    assert len(some) == 50
    assert more[:50] == some
    assert rows_dates(count=50, seed=4) != some
    assert rows_dates(count=1)[0] == found[0]


def test_are_options_in_a_recipe_and_change_the_fingerprint():
    def fingerprint(corpus):
        return data.build({"name": "text", "corpus": corpus}, seed=1).fingerprint()

    small = fingerprint({"name": "dates", "count": 20})
    assert list(small) == ["dates"]
    assert small == fingerprint({"name": "dates", "count": 20, "seed": 1})
    assert small != fingerprint({"name": "dates", "count": 20, "seed": 2})
    assert small != fingerprint({"name": "dates", "count": 21})
    assert fingerprint("dates") == fingerprint({"name": "dates", "count": 20_000})


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"count": 0}, "count: must be at least 1 and at most 1000000, but is 0"),
        ({"seed": -1}, "seed: must be at least 0 and less than 9223372036854775808, but is -1"),
        ({"seeds": 1}, "seeds: not an option of corpus 'dates'; did you mean 'seed'?"),
    ],
)
def test_options_are_checked(options, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        corpora.check({"name": "dates", **options})
