"""The corpus `dates`: every row read again by a parser of its own."""

import hashlib
import re
from datetime import date

import pytest

from seqgen.data.base import data
from seqgen.data.corpora import corpora
from seqgen.data.dates import ORDINALS, Dates

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


def rows(**options):
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
    return rows()


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
    some, more = rows(count=50, seed=3), rows(count=60, seed=3)
    assert len(some) == 50
    assert more[:50] == some
    assert rows(count=50, seed=4) != some
    assert rows(count=1)[0] == found[0]


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
