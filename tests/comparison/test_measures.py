"""What measures say of outputs, and which columns there are."""

import math
from dataclasses import replace

import pytest
import torch

import seqgen
from seqgen.comparison.document import Measure, Value
from seqgen.comparison.measures import (
    COMPARED,
    MEASURES,
    Measurer,
    all_measures,
    averaged,
    by_seed,
    columns,
    drawn,
    drawn_by_position,
    lengths,
    scores,
    training_text,
    unlikeness,
    variety,
)
from seqgen.decoders import Drawing, Multinomial
from seqgen.metrics import MORE_DIVERSE, Metric, WordErrorRate, diversity, metrics
from seqgen.tokenizers import tokenizers


def values(**named):
    return {name: Value(value=value) for name, value in named.items()}


class Plain(Metric):
    better = "lower"

    def measure_all(self, answers):
        raise NotImplementedError


class TestColumns:
    def test_each_measure_comes_once_metrics_first_and_explains_itself(self):
        found = all_measures({"word_error_rate": WordErrorRate()})
        names = [each.id for each in found]
        first = ["word_error_rate", "unlikeness", "log_prob_per_token", "log_prob_per_sequence"]
        assert names[:4] == first
        assert len(set(names)) == len(names)
        assert all(each.title and each.about.endswith(".") for each in found)
        assert not any("{" in f"{each.title}{each.about}" for each in found)
        groups = list(dict.fromkeys(each.group for each in found))
        assert groups == ["quality", "score", "diversity", "length", "work"]

    def test_metrics_explain_themselves(self):
        built = {name: metrics.build(name) for name in metrics.names()}
        for each in all_measures(built)[: len(built)]:
            assert each.group == "quality"
            assert each.unit in {"share", "points"}, each.id
            assert ". Formula: " in each.about, each.id
        rate, plain, *_ = all_measures({"word_error_rate": WordErrorRate(), "mine": Plain()})
        assert rate.title == "word error rate"
        assert rate.about == (
            "The share of words whose output equals no reference; each answer is one "
            "word. Formula: wrong / words."
        )
        assert (plain.about, plain.unit) == ("", "")

    def test_every_name_that_diversity_gives_is_described(self, letters):
        found = {each.id: each for each in MEASURES if each.group == "diversity"}
        assert {name: each.better for name, each in found.items()} == dict(MORE_DIVERSE)
        assert list(found) == list(MORE_DIVERSE)
        training = training_text(["a"], "words", letters)
        given = diversity([["a", "b", "c", "d"], ["a", "b", "c", "e"]], training)
        assert set(given) <= set(found)
        titles = [found[name].title for name in ("distinct_2", "entropy_3")]
        assert titles == ["distinct-2", "entropy of 3-grams"]

    def test_they_are_what_some_system_has_in_the_order_of_the_measures(self):
        known = [Measure(name, name, "score", None, "", "") for name in ("one", "two", "three")]
        systems = [values(three=1.0), values(one=2.0, other=3.0)]
        assert list(columns(known, systems)) == ["one", "three"]

    @pytest.mark.parametrize(("second", "kept"), [(0.0, False), (0.1, True)])
    def test_one_that_says_nothing_is_left_out(self, second, kept):
        systems = [values(impossible=0.0), values(impossible=second)]
        assert ("impossible" in columns(MEASURES, systems)) == kept
        assert "impossible" in columns(MEASURES, systems, "impossible")


def test_values_of_seeds_and_their_mean(output, produced):
    """Of one without a value the mean is over the others."""
    outputs = [output("x", -4.0)], [output("y z", -6.0)], [output("x", [-math.inf, -1.0])]
    found = by_seed(produced("a", *outputs), lambda own: scores([each for [each] in own]))
    assert found["log_prob_per_token"].value == -2
    first, second, third = found["log_prob_per_token"].by_seed
    assert (first, second, math.isnan(third)) == (-2, -2, True)
    third = pytest.approx(1 / 3)
    assert found["impossible"] == Value(value=third, by_seed=[0, 0, 1])
    assert math.isnan(averaged([math.nan]).value)


INF = math.inf
TOKEN, SEQUENCE, OUT = "log_prob_per_token", "log_prob_per_sequence", "impossible"


@pytest.mark.parametrize(
    ("outputs", "wanted"),
    [
        # 3 tokens with the end, -3 in all, and 1 token, -2: 5 nats over 4 tokens, over 2 outputs.
        ([("a b", [-1.0, -1.5, -0.5]), ("", [-2.0])], {TOKEN: -1.25, SEQUENCE: -2.5}),
        # Impossible outputs are counted apart, and of them alone nothing else is said.
        ([("a", [-1.0, -INF]), ("b", [-1.0, -2.0])], {TOKEN: -1.5, SEQUENCE: -3, OUT: 0.5}),
        ([("a", [-INF, -1.0])], {OUT: 1}),
        # Outputs without tokens have no value per token.
        ([("", 0.0, False)], {SEQUENCE: 0}),
    ],
)
def test_the_log_probabilities_of_outputs(outputs, wanted, output):
    assert scores([output(*each) for each in outputs]) == {OUT: 0, **wanted}
    assert scores([]) == {}
    assert output("a b", [-1.0, -1.5, -0.5]).log_prob == pytest.approx(-3)


def test_lengths_are_without_end_tokens_and_relative_to_references(output):
    for text, tokens in (("a b", 2), ("", 0)):
        assert output(text).length == output(text, finished=False).length == tokens
    # 2 + 4 + 0 + 1 = 7 tokens, where references have 2 * (3 + 1) = 8.
    outputs = [[output("a b"), output("a b c d")], [output(""), output("a", finished=False)]]
    ratio = pytest.approx(7 / 8)
    wanted = {"mean_length": 1.75, "length_ratio": ratio, "finished": 0.75}
    assert lengths(outputs, [3, 1], ends=True) == wanted
    # What is not known is left out.
    assert lengths([[output("a b", finished=False)]], [], ends=False) == {"mean_length": 2}
    assert lengths([[output("")]], [0], ends=True) == {"mean_length": 0, "finished": 1}
    assert lengths([], [], ends=True) == {}


@pytest.fixture
def letters():
    tokenizer = tokenizers.build("char")
    tokenizer.fit(["abcdefghijklmnop "])
    return tokenizer


class TestVariety:
    @pytest.mark.parametrize(
        ("unit", "units"), [("words", ["ab", "ab", "c"]), ("characters", list("ab ab  c"))]
    )
    def test_words_characters_and_tokens_without_the_end(self, unit, units, output):
        assert list(output("ab ab  c").units(unit)) == units
        assert list(output("ab ab  c").units("tokens")) == ["ab", "ab", "c"]

    def test_all_outputs_of_a_seed_are_looked_at_together(self, output):
        found = variety([output(text) for text in ("a b", "a c", "a b")], "words")
        # Of 6 words 3 are different, of 3 pairs of words 2.
        assert (found["distinct_1"], found["distinct_2"]) == (0.5, pytest.approx(2 / 3))
        assert "copied" not in found

    @pytest.mark.parametrize(
        ("unit", "copied", "longest", "text"),
        [
            ("words", 0.8, 8, "a b c d e f g h"),
            ("characters", 15 / 19, 15, "a b c d e f g h"),
            ("tokens", 0.8, 8, "abcdefgh"),
        ],
    )
    def test_copies_are_found_in_the_unit_of_the_outputs(
        self, unit, copied, longest, text, output, letters
    ):
        training = training_text([text], unit, letters)
        found = variety([output("a b c d e f g h i j")], unit, training)
        assert found["copied"] == pytest.approx(copied)
        assert found["longest_copy"] == longest

    def test_a_word_that_is_cut_off_does_not_hide_a_loop(self, output):
        circle = "round and round we go " * 4
        cut = [output(f"{circle}rou", finished=False), output(f"{circle}rou")]
        assert variety(cut, "words")["looping"] == 0.5
        assert variety(cut[:1], "tokens")["looping"] == 0
        assert variety([output("rou", finished=False)], "words")["looping"] == 0


SAME = (-1.0, 1 / 3, 0.4, 0.5)
APART = (-2.0, 0.5, 0.8, 1.0)
DISTANCES = (math.log(2), math.log(0.5 / (1 / 3)), math.log(0.8 / 0.4), math.log(2))


@pytest.mark.parametrize(
    ("texts", "totals", "wanted", "distance"),
    [
        # Words: 2 different of 6, 2 pairs of 5, 2 triples of 4; -6 nats over 6 tokens.
        (["a b a b a b"], [-6.0], APART, sum(DISTANCES) / 4),
        (["a b a b a b"], [-6.0], SAME, 0),
        # The second text says nothing else than the first, but each says nothing twice.
        (["a b c", "a b c"], [-3.0, -6.0], (-1.0, 1.0, 1.0, 1.0), math.log(2) / 8),
        # What has no ratio is a hundredfold away.
        (["a b c"], [0.0], (-1.0, 1.0, 1.0, 1.0), math.log(100) / 4),
        # A statistic is lacking: of short outputs, of references, of no outputs.
        (["a b"], [-3.0], (-1.0, 1.0, 1.0, 1.0), None),
        (["a b c"], [-3.0], (), None),
        ([], [], (-1.0, 1.0, 1.0, 1.0), None),
    ],
)
def test_the_distance_of_statistics(texts, totals, wanted, distance, output):
    pairs = zip(texts, totals, strict=True)
    outputs = [[output(text, total, finished=False) for text, total in pairs]]
    references = values(**dict(zip(COMPARED, wanted, strict=False)))
    found = unlikeness(outputs if texts else [], references, "words")
    assert found == ({} if distance is None else {"unlikeness": pytest.approx(distance)})


class TestMeasurer:
    """All values of a system, and of the references."""

    @pytest.fixture
    def text(self, finished_run):
        return seqgen.load(finished_run).built

    def test_all_measures_of_a_system_with_sources(self, pairs_run, output, produced):
        built = seqgen.load(pairs_run).built
        references = [output("a b c", [-1.0] * 4), output("a b", [-1.0] * 3)]
        measurer = Measurer(built, "words", False, references)
        two = [["a b c", "a b c"], ["a", "a"]]  # all outputs of an input count
        system = produced("s", two, two, rows=24)
        found = {name: each.value for name, each in measurer.measure(system).items()}
        wanted = {"length_ratio": 4 / 5, "distinct_1": 3 / 8, "finished": 1}
        assert {name: found[name] for name in wanted} == pytest.approx(wanted)
        assert found["rows_per_input"] == 6
        assert not {"unlikeness", "copied"} & found.keys()
        assert measurer.of_references["log_prob_per_token"] == Value(value=-1)
        assert measurer.of_references["mean_length"] == Value(value=2.5)

    @pytest.mark.parametrize(("per_token", "distance"), [(-2.0, 0), (-4.0, math.log(2) / 4)])
    def test_running_text_is_compared_with_references(
        self, per_token, distance, text, output, produced
    ):
        reference = output("a b c", [per_token] * 3, finished=False)
        system = produced("s", [output("a b c", -6.0, finished=False)])
        found = Measurer(text, "words", False, [reference]).measure(system)
        assert found["unlikeness"].value == pytest.approx(distance)
        assert "finished" not in found

    def test_without_references_nothing_is_compared_with_them(self, text, output, produced):
        measurer = Measurer(text, "words", False, [])
        found = measurer.measure(produced("s", [output("a b c", finished=False)]))
        assert measurer.of_references == {}
        assert not {"unlikeness", "length_ratio"} & found.keys()

    def test_copies_are_looked_for_in_the_training_text_of_the_run(self, text, output, produced):
        training = text.data.training_texts()["text"][0]
        copied = output(" ".join(training.split()[1:11]), finished=False)
        found = Measurer(text, "words", True, []).measure(produced("s", [copied]))
        assert found["copied"].value == 1


def drawing(*sums):
    made = Drawing(Multinomial())
    made.sums = [torch.tensor(each, dtype=torch.float64) for each in sums]
    return made


def test_what_is_drawn_from_is_averaged_over_tokens_and_seeds(produced):
    one = drawing([2, 1.0, 0.2, 3.0], [2, 3.0, 0.0, 1.0])
    other = drawing([1, 0.5, 0.5, 2.0])
    found = replace(produced("top_k", ["a"], ["b"]), drawn=[one, other])
    assert drawn(found)["kl_to_model"] == Value(value=0.75, by_seed=[1.0, 0.5])
    assert drawn(found)["mass_cut"].by_seed == pytest.approx([0.05, 0.5])
    first, second = drawn_by_position(found)
    assert (first.position, first.kl_to_model, first.drawn_entropy) == pytest.approx(
        (1, 0.5, 5 / 3)
    )
    assert (second.position, second.kl_to_model, second.mass_cut) == pytest.approx((2, 1.5, 0.0))
    assert drawn(produced("beam", ["a"])) == {}
    assert drawn_by_position(produced("beam", ["a"])) == []


def test_places_of_long_outputs_are_taken_together(produced):
    every = drawing(*([1, step, 0.0, 0.0] for step in range(30)))
    found = drawn_by_position(replace(produced("top_k", ["a"]), drawn=[every]))
    assert [each.position for each in found] == [2.0 + 3 * place for place in range(10)]
    assert [each.kl_to_model for each in found] == [1.0 + 3 * place for place in range(10)]
