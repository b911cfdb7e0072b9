"""Recipes and the command line: what no verb takes, whichever reads it."""

import pytest

# Files that are no recipe and no plan, and what is said of each.
NO_FILE_OF_OPTIONS = {
    "depth 3000": ("a: " + "[" * 3000, "nested more than 32 deep"),
    "300 KB": ("a: 1\n" * 60_000, "64 KiB"),
    "only comments": ("# a\n# b\n", "is empty"),
    "a scalar": ("hello", "must hold a mapping"),
    "NUL": ("a: x\0", "U+0000"),
    "UTF-16": ("a: 1".encode("utf-16"), "this is UTF-16"),
    "an unknown key behind a byte order mark": ("\ufeffnmae: x", "nmae"),
}
READERS = {
    "run": ("run", "bad.yaml"),
    "validate": ("validate", "bad.yaml"),
    "validate a plan": ("validate", "--plan", "bad.yaml"),
}


@pytest.mark.parametrize("fault", NO_FILE_OF_OPTIONS)
@pytest.mark.parametrize("reader", READERS)
def test_every_verb_refuses_it_with_its_line(reader, fault, place, refused):
    content, says = NO_FILE_OF_OPTIONS[fault]
    place.write("bad.yaml", content)
    line = refused(3, says, *READERS[reader])
    assert line.startswith("bad.yaml:1:") or line.startswith("bad.yaml:2:")


# Values that are numbers, and yet none that the option may have; more are in tests/test_recipe.py.
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("decoder={name: beam, beam_size: 0}", "at least 1"),
        ("decoder={name: top_p, p: 0}", "greater than 0 and at most 1"),
        ("decoder={name: top_k, k: 0}", "at least 1"),
        ("decoder={name: min_p, p: 2}", "at most 1"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_a_number_out_of_its_range_is_named_with_the_range(verb, override, says, refused):
    assert refused(3, says, verb, "tiny.yaml", override).startswith(f"override {override}: ")


RECURRENT = "encoder: {name: recurrent, cell: {name: gru, hidden_size: 4}}"
MODELS = {
    "language_model": "{name: language_model, cell: {name: gru, hidden_size: 4}}",
    "seq2seq": f"{{name: seq2seq, {RECURRENT}, cell: {{name: gru, hidden_size: 4}}}}",
    "classifier": f"{{name: classifier, {RECURRENT}}}",
}


@pytest.mark.parametrize(
    ("data", "model", "says"),
    [
        ("{name: text, path: text.txt}", "seq2seq", "'seq2seq' needs a `source`"),
        ("{name: lines, path: text.txt}", "classifier", "'classifier' needs a `source`"),
        ("{name: labelled, corpus: unicode_categories}", "language_model", "reads no sources"),
    ],
)
def test_a_model_that_does_not_suit_the_data_is_named(data, model, says, refused, place):
    place.write("text.txt", "one line\nand another\n" * 500)
    place.write("odd.yaml", f"data: {data}\nmodel: {MODELS[model]}\ntrain: {{max_steps: 1}}\n")
    refused(3, says, "run", "odd.yaml")
