"""The conclusion of a run: its samples, and what it leaves for the report."""

import json
import math
from functools import partial

import pytest

import seqgen
from seqgen.conclusion import final_samples, samples_as_text, samples_at_validation
from seqgen.generate import SampleOptions


@pytest.fixture(scope="module")
def built(finished_run):
    return seqgen.load(finished_run).built


@pytest.fixture(scope="module")
def samples(built):
    options = built.recipe.samples
    return final_samples(built.generator(), options, options.prompts, seed=1)


def read(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


class TestSamples:
    def test_each_prompt_at_each_temperature(self, samples, built):
        assert [each["temperature"] for each in samples] == [0.0, 0.8]
        for each in samples:
            assert each["prompt"] == "the "
            assert "".join(each["pieces"]) == each["text"]
            assert len(each["log_probs"]) == len(each["pieces"]) == built.recipe.samples.length
            assert all(log_prob <= 0 for log_prob in each["log_probs"])
            assert not each["finished"]

    def test_the_first_tokens_are_the_most_probable_ones(self, samples):
        greedy, warm = (each["first"] for each in samples)
        assert [each["probability"] for each in greedy[:2]] == [1.0, 0.0]
        probabilities = [each["probability"] for each in warm]
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0 < sum(probabilities) <= 1 + 1e-9
        assert greedy[0]["token"] == samples[0]["pieces"][0] == warm[0]["token"]

    def test_the_run_has_written_the_same_ones(self, samples, finished_run):
        assert read(finished_run, "samples.json") == samples
        text = (finished_run / "samples.txt").read_text(encoding="utf-8")
        assert text == samples_as_text(samples)
        greedy, warm = (f"the {each['text']}" for each in samples)
        assert text == f"=== greedy ===\n{greedy}\n\n=== temperature 0.8 ===\n{warm}\n"

    def test_an_infinite_temperature_is_even_and_is_written_in_words(self, built):
        options = SampleOptions(("the ",), 5, (math.inf, 0.0))
        endless, greedy = final_samples(built.generator(), options, options.prompts, seed=1)
        assert (endless["temperature"], greedy["temperature"]) == ("inf", 0.0)
        shares = {each["probability"] for each in endless["first"]}
        assert len(shares) == 1  # of those that may come
        assert samples_as_text([endless]).startswith("=== temperature inf ===\n")

    def test_each_validation_draws_the_same_random_numbers(self, built):
        one, two = (
            samples_at_validation(
                built.generator(), built.recipe.decoder(seed=3, vocab_size=20), ["the ", "cat"], 20
            )
            for _ in range(2)
        )
        assert one == two
        assert [each["prompt"] for each in one] == ["the "]
        assert len(one[0]["text"]) == 20

    def test_prompts_that_the_tokenizer_refuses_are_an_error_of_the_recipe(self, place, refusal):
        place.recipe('prompts: ["the "]', "prompts: [日]")
        told = refusal(3, "run", "tiny.yaml", "tokenizer={unk: error}")
        where = "tiny.yaml:13:20: samples.prompts"
        assert told.startswith(f"{where}: `text` must be of characters in the vocabulary")


class TestARunThatReadsSources:
    @pytest.fixture
    def run_pairs(self, run_once):
        rows = [f"{'ab' * n}{letter}\t{letter}" for n in range(1, 4) for letter in "cdefghij"]
        rate = "character_error_rate"
        options = ["data.path=HERE/pairs.tsv", "data.split=[0.5,0.25,0.25]", "train.max_steps=1"]
        options += [f"metrics=[exact_match,{rate}]", f"evaluation.criterion={rate}"]
        return partial(run_once, *options, recipe="pairs.yaml", pairs=rows)

    def test_with_attention(self, run_pairs):
        folder = run_pairs(report=True)
        answers, result = read(folder, "answers.json"), read(folder, "result.json")
        assert len(answers) == result["test"]["examples"] == 6, "of the last part"
        right = sum(each["output"] in each["references"] for each in answers)
        assert result["test"]["metrics"]["exact_match"] == right / 6
        assert set(answers[0]) == {"source", "output", "references", "score", "finished"}
        assert result["better"] == {"exact_match": "higher", "character_error_rate": "lower"}

        output_of = {each["source"]: each["output"] for each in answers}
        shown = read(folder, "attention.json")
        assert len(shown) == 6
        for each in shown:
            *letters, end = each["source"]
            assert end == "<eos>"
            output = "".join(each["output"]).removesuffix("<eos>")
            assert output == output_of["".join(letters)]
            assert len(each["weights"]) == len(each["output"])
            for row in each["weights"]:
                assert len(row) == len(each["source"])
                assert sum(row) == pytest.approx(1.0, abs=1e-5)

        page = (folder / "report.html").read_text(encoding="utf-8")
        for section in ("attention", "errors", "lengths", "samples"):
            assert f'<section id="{section}">' in page
        assert "This report is not complete" not in page
        assert "character error rate \u2193" in page

    def test_without_attention_none_is_shown(self, run_pairs):
        folder = run_pairs("model.attention=none")
        assert not (folder / "attention.json").exists()
        assert (folder / "answers.json").exists()
        events = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        valid = next(event for event in map(json.loads, events) if event["event"] == "valid")
        assert len({each["prompt"] for each in valid["samples"]}) == 3, "several are watched"
        assert not any(each["continues"] for each in valid["samples"])


KINDS = {
    "labelled": (
        "".join(f"{letter * n}\t{letter.upper()}\n" for n in range(1, 13) for letter in "abc"),
        "{name: classifier, encoder: {name: recurrent, cell: {name: gru, hidden_size: 8}}}",
        "accuracy",
        "macro_recall",
    ),
    "tagged": (
        "".join(f"{a}\t{a.upper()}\n{b}\t{b.upper()}\n\n" for a in "abcdef" for b in "abcdef"),
        "{name: tagger, encoder: {name: bidirectional, cell: {name: gru, hidden_size: 8}}}",
        "tag_accuracy",
        "tag_scores",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_label_come_to_their_end(kind, place, train):
    rows, model, metric, other = KINDS[kind]
    place.write("rows.tsv", rows)
    recipe = {
        "data": f"{{name: {kind}, path: rows.tsv, batch_size: 4}}",
        "model": model,
        "metrics": f"[{metric}, {other}]",
        "decoder": "{name: beam, beam_size: 3, n_best: 3}",
        "evaluation": f"{{criterion: {metric}}}",
        "train": "{lr: 3e-2, max_steps: 60, validations: 2}",
        "threads": "1",
    }
    place.write("kind.yaml", "".join(f"{key}: {value}\n" for key, value in recipe.items()))
    folder = train(recipe="kind.yaml", report=True)
    result, answers = read(folder, "result.json"), read(folder, "answers.json")
    assert result["test"]["examples"] == len(answers) > 2
    assert result["test"]["metrics"][metric] == 1.0, "so small a task is learned"
    for each in answers:
        assert each["references"] == [each["output"]]
        assert each["score"] <= 0
    assert not (folder / "attention.json").exists()
    assert "</html>" in (folder / "report.html").read_text(encoding="utf-8")
    assert len(read(folder, "samples.json")) == 4 * min(5, result["valid"]["examples"])
