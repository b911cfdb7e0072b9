"""What a finished run leaves for its report, where it reads sources."""

import json

import pytest

from seqgen.run import RunRequest, run

RECIPE = """\
data: {{name: pairs, path: {path}, split: [0.5, 0.25, 0.25], batch_size: 8}}
tokenizer: char
model:
  name: seq2seq
  encoder: {{name: recurrent, embedding: {{size: 4}}, cell: {{name: gru, hidden_size: 4}}}}
  attention: {attention}
  embedding: {{size: 4}}
  cell: {{name: gru, hidden_size: 4}}
metrics: [exact_match, character_error_rate]
evaluation: {{criterion: character_error_rate}}
train: {{max_steps: 1, validations: 1}}
generation: {{max_length: 5}}
threads: 1
"""


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """A function from an attention to a run with it, each made once."""
    made = {}

    def folder(attention):
        if attention not in made:
            here = tmp_path_factory.mktemp(attention)
            rows = (f"{'ab' * n}{letter}\t{letter}\n" for n in range(1, 4) for letter in "cdefghij")
            (here / "pairs.tsv").write_text("".join(rows))
            text = RECIPE.format(path=here / "pairs.tsv", attention=attention)
            (here / "recipe.yaml").write_text(text)
            request = RunRequest(str(here / "recipe.yaml"), (), here / "run")
            made[attention] = run(request, lambda plan: None)
        return made[attention]

    return folder


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_answers_are_those_of_the_last_part(folder_of):
    answers = read(folder_of("general"), "answers.json")
    result = read(folder_of("general"), "result.json")
    assert len(answers) == result["test"]["examples"] == 6
    right = sum(each["output"] in each["references"] for each in answers)
    assert result["test"]["metrics"]["exact_match"] == right / 6
    assert set(answers[0]) == {"source", "output", "references", "score", "finished"}


def test_the_result_says_which_way_is_better(folder_of):
    result = read(folder_of("general"), "result.json")
    assert result["better"] == {"exact_match": "higher", "character_error_rate": "lower"}


def test_attention_is_shown_with_the_end_of_the_source(folder_of):
    answers = {each["source"]: each for each in read(folder_of("general"), "answers.json")}
    shown = read(folder_of("general"), "attention.json")
    assert len(shown) == 6
    for each in shown:
        *letters, end = each["source"]
        assert end == "<eos>"
        source = "".join(letters)
        assert answers[source]["output"] == "".join(each["output"]).removesuffix("<eos>")
        assert len(each["weights"]) == len(each["output"])
        for row in each["weights"]:
            assert len(row) == len(each["source"])
            assert sum(row) == pytest.approx(1.0, abs=1e-5)


def test_a_model_that_does_not_look_back_shows_none(folder_of):
    folder = folder_of("none")
    assert not (folder / "attention.json").exists()
    assert (folder / "answers.json").exists()


def test_the_report_shows_what_was_left(folder_of):
    page = (folder_of("general") / "report.html").read_text(encoding="utf-8")
    for section in ("attention", "errors", "lengths", "samples"):
        assert f'<section id="{section}">' in page
    assert "This report is not complete" not in page
    assert "character error rate \u2193" in page


KINDS = {
    "labelled": (
        "".join(f"{letter * n}\t{letter.upper()}\n" for n in range(1, 13) for letter in "abc"),
        "labelled",
        "{name: classifier, encoder: {name: recurrent, cell: {name: gru, hidden_size: 8}}}",
        "[accuracy, macro_recall]",
    ),
    "tagged": (
        "".join(f"{a}\t{a.upper()}\n{b}\t{b.upper()}\n\n" for a in "abcdef" for b in "abcdef"),
        "tagged",
        "{name: tagger, encoder: {name: bidirectional, cell: {name: gru, hidden_size: 8}}}",
        "[tag_accuracy, tag_scores]",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_label_come_to_their_end(kind, place, train):
    rows, name, model, metrics = KINDS[kind]
    place.write("rows.tsv", rows)
    recipe = {
        "data": f"{{name: {name}, path: rows.tsv, batch_size: 4}}",
        "model": model,
        "metrics": metrics,
        "decoder": "{name: beam, beam_size: 3, n_best: 3}",
        "evaluation": f"{{criterion: {metrics[1:].split(',')[0]}}}",
        "train": "{lr: 3e-2, max_steps: 60, validations: 2}",
        "threads": "1",
    }
    place.write("kind.yaml", "".join(f"{key}: {value}\n" for key, value in recipe.items()))
    folder = train(recipe="kind.yaml")
    result, answers = read(folder, "result.json"), read(folder, "answers.json")
    assert result["test"]["examples"] == len(answers) > 2
    first = next(iter(result["test"]["metrics"].values()))
    assert first == 1.0, "so small a task is learned"
    for each in answers:
        assert each["references"] == [each["output"]]
        assert len(each["output"].split()) == len(each["references"][0].split())
        assert each["score"] <= 0
    assert not (folder / "attention.json").exists()
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert len(read(folder, "samples.json")) == 4 * min(5, result["valid"]["examples"])
