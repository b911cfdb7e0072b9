import pytest

from seqgen.reports.answers import (
    CHARACTERS,
    CLASSES,
    PHONEMES,
    TAGS,
    WORDS,
    Answer,
    Unit,
    compare,
    letters,
    output_unit,
    source_unit,
)


def answer(source: str, output: str, *references: str) -> Answer:
    return Answer(source, output, references, -1.0, True)


@pytest.mark.parametrize(
    ("unit", "output", "references", "nearest", "edits", "size"),
    [
        (CHARACTERS, "cat", ("cats", "dog"), "cats", 1, 4),
        (CHARACTERS, "", ("", "a"), "", 0, 0),
        (WORDS, "the cat sat", ("the hat sat down", "a cat"), "the hat sat down", 2, 4),
        (CHARACTERS, "ab", ("a", "abc"), "abc", 1, 3),  # of equals the longest
        (CLASSES, "Greek", ("Dutch",), "Dutch", 1, 1),
        (TAGS, "NOUN VERB", ("VERB NOUN",), "VERB NOUN", 2, 2),
        (TAGS, "NOUN", ("NOUN VERB DET",), "NOUN VERB DET", 2, 3),
    ],
)
def test_an_answer_is_compared_with_its_nearest_reference(
    unit: Unit, output: str, references: tuple[str, ...], nearest: str, edits: int, size: int
) -> None:
    found = compare(answer("s", output, *references), unit)
    assert (found.reference, found.edits, found.size) == (nearest, edits, size)


def test_marks_and_joiners_stay_with_their_letter() -> None:
    assert letters("e\u0301a\u0303\u0330 \U0001f468\u200d\U0001f469x") == [
        "e\u0301",
        "a\u0303\u0330",
        " ",
        "\U0001f468\u200d\U0001f469",
        "x",
    ]
    assert letters("\u0301") == ["\u0301"]


@pytest.mark.parametrize(
    ("metrics", "references", "unit"),
    [
        (("exact_match", "accuracy"), ("a b c",), CLASSES),
        (("tag_scores",), ("NOUN",), TAGS),
        (("exact_match", "phoneme_error_rate"), ("t",), PHONEMES),
        (("phoneme_error_rate", "bleu"), ("a",), WORDS),
        (("exact_match", "character_error_rate"), ("a b c",), CHARACTERS),
        (("exact_match",), ("2000-01-01", "1984-05-03", "a b"), CHARACTERS),
        (("exact_match",), ("a b", "c d e", "f"), WORDS),
        ((), (), CHARACTERS),
    ],
)
def test_what_outputs_are_made_of(
    metrics: tuple[str, ...], references: tuple[str, ...], unit: Unit
) -> None:
    answers = [answer("s", "o", reference) for reference in references]
    assert output_unit(answers, {"metrics": dict.fromkeys(metrics, 0.5)}) is unit


def test_sources_are_counted_in_characters_unless_they_are_sentences() -> None:
    words = [answer("the third of May, 1984", "o", "r"), answer("one", "o", "r")]
    assert source_unit(words[:1], CHARACTERS) is WORDS
    assert source_unit(words[1:], CHARACTERS) is CHARACTERS
    assert source_unit(words[1:], TAGS) is WORDS
