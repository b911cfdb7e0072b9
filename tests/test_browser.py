"""The page that generates: the texts of Python, what it shows, and what does not work there."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seqgen.browser import LONGEST, WORKING, check_works, generator_page, rounded
from seqgen.build import build_data
from seqgen.config import bundled_recipes
from seqgen.decoders import USUAL_TRUNCATIONS
from seqgen.decoders.noise import uniform
from seqgen.decoders.sampling import Multinomial
from seqgen.plugins import load_installed
from seqgen.recipe import read_recipe
from seqgen.trained import TrainedRun

HOSTILE = "</script><script>alert(1)</script>\x00\u202e\u2028<!--\"'&\\ "

WRITE = """([text, seed, length, temperature, truncation, value]) => {
  Object.assign(textField, { value: text });
  Object.assign(seedField, { value: seed });
  Object.assign(lengthField, { value: length });
  Object.assign(hotField, { value: temperature });
  cutFields.find((each) => each.value === truncation).checked = true;
  cuts[truncation].value = value;
  restart();
  while (step());
  return moments.filter((each) => !each.asked).map((each) => each.text).join("");
}"""


def write(page, text, seed=0, length=60, *, temperature=1.0, truncation="none", value=0):
    """The text that the page makes of these settings."""
    return page.evaluate(WRITE, [text, str(seed), length, temperature, truncation, value])


def in_python(run, text, seed=0, length=60, *, temperature=1.0, truncation="none", value=0):
    """The same from the run itself; `run` has the weights of the page."""
    cut = {"name": truncation, USUAL_TRUNCATIONS.get(truncation, ""): value}
    more = {} if truncation == "none" else {"truncations": [cut]}
    whole = run.generate(text, "multinomial", length, seed, temperature=temperature, **more)
    return whole[len(text) :] if run.built.data.continues else whole


@pytest.fixture
def opened(open_file, tmp_path):
    """A function that opens the page of a run: the page, and the run with its weights."""

    def open_it(folder, **how):
        run = TrainedRun.load(folder, "cpu")
        path = tmp_path / "generator.html"
        path.write_text(generator_page(run), encoding="utf-8")
        return open_file(path, **how), rounded(run)

    return open_it


@pytest.fixture(scope="module")
def language_model(run_once):
    """A run that writes the words of its text."""
    more = ("model.cell.hidden_size=32", "train.max_steps=80", "train.validate_every=80")
    return run_once("data.path=HERE/text.txt", *more)


def test_twenty_seeds_give_the_texts_of_python(opened, language_model):
    page, run = opened(language_model)
    same = 0
    for seed in range(20):
        same += write(page, "the ", seed, 1000) == in_python(run, "the ", seed, 1000)
    assert same >= 19


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0},
        {"temperature": 0.05},
        {"temperature": 2},
        {"truncation": "top_k", "value": 1},
        {"truncation": "top_k", "value": 5, "temperature": 1.5},
        {"truncation": "top_p", "value": 0.8},
        {"truncation": "top_p", "value": 1},
        {"truncation": "min_p", "value": 0.1, "temperature": 1.3},
        {"truncation": "min_p", "value": 0},
    ],
    ids=str,
)
def test_every_setting_gives_the_text_of_python(settings, opened, language_model):
    page, run = opened(language_model)
    seed = 2**63 - 1
    assert write(page, "", seed, **settings) == in_python(run, "", seed, **settings)


FEW = ("train.max_steps=3", "train.validate_every=3")
TWO = "[{name: lstm_cell, hidden_size: 8}, {name: gru_cell, hidden_size: 8}]"


@pytest.mark.parametrize(
    "overrides",
    [
        ["model.cell={name: gru, hidden_size: 12, layers: 2}", "model.head=tied"],
        ["model.cell={name: rnn, hidden_size: 9, nonlinearity: relu}", "model.embedding=one_hot"],
        [f"model.cell={{name: stack, residual: true, layer_norm: true, cells: {TWO}}}"],
        ["model.cell={name: lstm, hidden_size: 8}", "model.head=tied"],
        [
            *(
                "model.cell={name: rnn_cell, hidden_size: 8}",
                "model.head={name: linear, bias: false}",
            ),
            "data={name: lines, path: HERE/lines.txt, batch_size: 4}",
        ],
        ["model.cell={name: lstm, hidden_size: 8}", "model.embedding=one_hot", "model.head=tied"],
    ],
    ids=["gru", "relu", "stack", "tied", "lines", "one_hot"],
)
def test_every_part_of_a_language_model(overrides, opened, run_once):
    lines = "the cat\nsat on\na mat\nand saw\n" * 20
    path = [] if "data={" in overrides[-1] else ["data.path=HERE/text.txt"]
    page, run = opened(run_once(*path, *FEW, *overrides, files={"lines.txt": lines}))
    for seed in range(5):
        assert write(page, "th", seed) == in_python(run, "th", seed)


LSTMS = "{name: recurrent, cell: {name: lstm, hidden_size: 6, layers: 2}}"
GRUS = "{name: bidirectional, layers: 2, cell: {name: gru_cell, hidden_size: 8}}"


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        [f"model.encoder={LSTMS}", "model.attention=additive", "model.input_feeding=true"],
        [f"model.encoder={GRUS}", "model.attention=dot", "model.bridge=zeros"],
        [
            *("model.encoder={name: recurrent, cell: {name: gru, hidden_size: 16}}",),
            *("model.attention=none", "model.bridge=copy", "data.source_changes=[lower, NFD]"),
        ],
        ["tokenizers={target: word}", "generation.max_length_ratio=0.5"],
    ],
    ids=["general", "additive", "dot", "none", "word"],
)
def test_answers_and_attention_are_those_of_python(
    overrides, opened, run_once, pairs_run, few_words
):
    words = few_words(20, seed=7)
    more = ("data.path=HERE/pairs.tsv", "train.max_steps=5", *overrides)
    pairs = dict.fromkeys(few_words(60))
    folder = run_once(*more, recipe="pairs.yaml", pairs=pairs) if overrides else pairs_run
    page, run = opened(folder)
    found = [each for [each] in run.continuations(words, run.decoder("greedy"), 12)]
    aligned = run.alignments(found)
    assert bool(aligned) == ("model.attention=none" not in overrides)
    for place, (word, each) in enumerate(zip(words, found, strict=True)):
        assert write(page, word, length=12, temperature=0) == each.text
        if aligned:
            shares = page.evaluate("moments.map((each) => Array.from(each.shares))")
            assert torch.tensor(shares).allclose(torch.tensor(aligned[place].weights), atol=1e-3)
        if place < 5:
            assert write(page, word, 3, 12) == in_python(run, word, 3, 12)


def test_random_numbers_are_those_of_python(opened, language_model):
    page, _ = opened(language_model)
    for seed in (0, 1, 12345678901234567890 % 2**63, 2**63 - 1):
        drawn = page.evaluate("(seed) => [0, 1, 2, 999].map(noiseOf(seed))", str(seed))
        steps = torch.tensor([[0], [1], [2], [999]])
        assert drawn == uniform(seed, torch.zeros(1, dtype=torch.long), steps).squeeze(1).tolist()


def test_ties_and_thresholds_are_those_of_python(opened, language_model):
    page, _ = opened(language_model)
    rows = torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1], [0.2] * 5, [0.6, 0.3, 0.1, 1e-9, 1e-12]])
    point = [uniform(seed, torch.zeros(1, dtype=torch.long), 0).item() for seed in range(30)]
    for name, value in [("top_k", 2), ("top_p", 0.5), ("top_p", 0.6), ("min_p", 0.5), ("min_p", 1)]:
        cut = {"name": name, USUAL_TRUNCATIONS[name]: value}
        for row in rows.log():
            drawn = page.evaluate(
                """([scores, truncation, value, points]) => points.map((point) => {
                  const settings = { temperature: 1, truncation, value };
                  return choose(Float64Array.from(scores), settings, point).token;
                })""",
                [row.tolist(), name, value, point],
            )
            samplers = (Multinomial(seed, truncations=(cut,)) for seed in range(30))
            ids = torch.zeros(1, dtype=torch.long)
            assert drawn == [int(each.choose(row[None], ids, 0)) for each in samplers]


def test_it_knows_the_parts_that_the_table_has(opened, language_model):
    page, _ = opened(language_model)
    tables = {
        **{"model": "models", "data kind": "readings", "embedding": "embeddings", "cell": "cells"},
        **{"head": "heads", "encoder": "encoders", "bridge": "bridges", "attention": "attentions"},
    }
    for kind, table in tables.items():
        assert sorted(page.evaluate(f"Object.keys({table})")) == sorted(WORKING[kind])
    assert page.evaluate("Object.keys(truncations)") == ["none", *USUAL_TRUNCATIONS]


def test_weights_are_rounded_and_those_of_the_run_stay(language_model):
    run = TrainedRun.load(language_model, "cpu")
    before = {name: each.clone() for name, each in run.built.model.state_dict().items()}
    after = rounded(run).built.model.state_dict()
    for name, each in run.built.model.state_dict().items():
        assert each.equal(before[name])
        assert after[name].equal(each.half().float())
    assert any(not after[name].equal(each) for name, each in before.items())


def test_a_weight_beyond_float16_is_refused(language_model):
    run = TrainedRun.load(language_model, "cpu")
    with torch.no_grad():
        run.built.model.head.project.bias[0] = 1e6
    with pytest.raises(ValueError, match=r"head\.project\.bias have numbers beyond float16"):
        generator_page(run)


@pytest.mark.parametrize(
    ("recipe", "overrides", "said"),
    [
        ("tiny", ["model.cell=sru"], "the cell 'sru' does not work in a browser; these do: gru, "),
        (
            *("tiny", ["model.cell={name: stack, cells: [{name: zoneout, cell: lstm}]}"]),
            "the cell 'zoneout' does",
        ),
        ("tiny", ["model.head=adaptive_softmax"], "the head 'adaptive_softmax' does not work"),
        (
            "tiny",
            ["tokenizer=byte"],
            "the tokenizer 'byte' does not work in a browser; these do: char",
        ),
        ("pairs", ["model.encoder=label"], "the encoder 'label' does not work in a browser"),
        ("pairs", ["tokenizers={source: word}"], "the tokenizer 'word' does not work in a browser"),
        ("pairs", ["tokenizers={target: byte}"], "the tokenizer of outputs 'byte' does not work"),
        ("pairs", ["data.columns=[source, target, features]"], "sources with features do not work"),
        ("classify_names", [], "the model 'classifier' does not work in a browser; these do: lang"),
    ],
    ids=lambda each: "".join(each)[:30] if isinstance(each, list) else None,
)
def test_what_does_not_work_is_refused_by_its_name(recipe, overrides, said, place, language_model):
    load_installed()
    place.pairs(["a"])
    path = bundled_recipes().get(recipe) or Path(f"{recipe}.yaml")
    read = read_recipe(path, overrides)
    run = TrainedRun.load(language_model, "cpu")
    other = replace(run, built=replace(run.built, recipe=read, data=build_data(read)))
    with pytest.raises(ValueError, match=re.escape(said)):
        check_works(other)


def test_the_page(golden, well_made, language_model, pairs_run):
    for name, folder in (("language_model", language_model), ("seq2seq", pairs_run)):
        page = generator_page(TrainedRun.load(folder, "cpu"), f"{name} & more")
        page = re.sub(r'(<script type="application/json" id="document">)[^<]*', r"\1", page)
        golden(f"pages/generator_{name}.html", page)
        assert "http" not in page
        assert well_made(page).ids.count("heat") == (name == "seq2seq")


def test_the_page_of_the_demo_is_small(language_model):
    run = TrainedRun.load(language_model, "cpu")
    size = len(generator_page(run)) - 8 / 3 * run.built.parameters
    demo = read_recipe(bundled_recipes()["char_lstm"])
    parameters = sum(each.numel() for each in demo.model(vocab_size=128).parameters())
    assert size + 8 / 3 * parameters < 2_500_000


def test_no_text_acts_on_the_page(opened, run_once, well_made):
    files = {"odd.txt": HOSTILE * 40}
    overrides = ("data.path=HERE/odd.txt", "decoder={name: top_p, p: 0.95}", *FEW)
    folder = run_once(*overrides, files=files, out="<i>\u202e")
    text = generator_page(TrainedRun.load(folder, "cpu"))
    read = well_made(text)
    assert [tag for tag, _ in read.tags].count("script") == 3
    assert not {"\u202e", "\u2028", "\x00"} & set(text)
    page, run = opened(folder)
    assert page.input_value("#prompt") == "the "
    assert page.evaluate("[settings().truncation, settings().value]") == ["top_p", 0.95]
    assert write(page, HOSTILE, length=300) == in_python(run, HOSTILE, length=300)
    page.evaluate("show()")
    assert not {"\u202e", "\u2028", "\x00"} & set(page.inner_text("body"))


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("kind", ["language_model", "pairs_run"])
def test_the_page_in_a_browser(width, scheme, kind, opened, request):
    folder = request.getfixturevalue(kind)
    page, _ = opened(folder, width=width, scheme=scheme)
    height = "document.documentElement.scrollHeight"
    before = page.evaluate(height)
    page.fill("#prompt", "the " if kind == "language_model" else "abc")
    page.fill("#length", "40")
    page.locator("#temperature").fill("0.5")
    page.get_by_label("top-p").check(force=True)
    assert page.inner_text("#title") == "What may come next"
    page.get_by_label("Pace").select_option("at once")
    page.get_by_role("button", name="Generate").click()
    page.wait_for_function("!running")
    assert page.inner_text("#title").startswith("How ")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(height) == before  # nothing jumps

    # What the page says is what Python does.
    call = page.text_content("#python").replace("run.generate(", "text = run.generate(")
    names = {}
    exec(call, names)
    prompt = "the " if kind == "language_model" else ""
    assert names["text"] == prompt + page.evaluate(
        "moments.filter((each) => !each.asked).map((each) => each.text).join('')"
    )


def test_what_is_behind_a_character(opened, language_model):
    page, _ = opened(language_model)
    page.get_by_role("button", name="Step").click()
    page.get_by_role("button", name="Step").click()
    shown = page.locator("#text > i")
    assert shown.count() == len("the ") + 2
    drawn = page.evaluate("[moments.at(-1).point, labelOf(moments.at(-1).token)]")
    assert page.inner_text("#title") == f"How {drawn[1]} was drawn"
    assert page.inner_text("#drawn").startswith(f"{drawn[0]:.4f} falls on {drawn[1]}, from ")
    assert page.locator("#odds .chosen code").inner_text() == drawn[1]

    page.locator("#text").focus()
    page.keyboard.press("Home")
    assert page.inner_text("#title") == "Part of the prompt"
    shown.nth(4).click()
    assert page.evaluate("view") == 4
    page.keyboard.press("ArrowRight")
    assert page.evaluate("view") == 5

    page.get_by_role("slider", name="Unit of memory").press("ArrowRight")
    assert page.inner_text("#unit").startswith("memory 0: ")
    page.keyboard.press("ArrowRight")
    tinted = "(all) => all.filter((each) => each.style.background).length"
    assert shown.evaluate_all(tinted) == 6
    page.keyboard.press("Escape")
    assert shown.evaluate_all(tinted) == 0

    page.fill("#prompt", "the ☃")
    assert "unknown to it: ☃" in page.inner_text("#said")
    page.get_by_role("button", name="Another seed").click()
    page.get_by_role("button", name="Reset").click()
    assert page.inner_text("#title") == "What may come next"
    assert page.evaluate("limit()") <= LONGEST


def test_the_page_on_pages_names_every_part_that_works():
    text = (Path(__file__).parents[1] / "docs" / "page.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", text[text.index("## What works") :]))
    assert {*USUAL_TRUNCATIONS}.union(*WORKING.values()) <= named
