"""The runner: the outputs of the run by every search, on its own, and what it refuses."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seqgen.decoders import USUAL_TRUNCATIONS
from seqgen.decoders.noise import uniform as torch_uniform
from seqgen.decoders.sampling import Multinomial
from seqgen.export import runner as runners

SEARCHES = [
    ({"name": "greedy"}, {"name": "greedy"}),
    ({"name": "beam", "beam_size": 4}, {"name": "beam", "beam_size": 4}),
    *(
        (each, each)
        for each in (
            {"name": "beam", "beam_size": 3, "length_normalisation": "power", "alpha": 0.7},
            {"name": "beam", "beam_size": 5, "length_normalisation": "gnmt", "word_reward": 0.3},
            {"name": "beam", "beam_size": 3, "word_reward": -0.2},
            {"name": "beam", "beam_size": 1},
        )
    ),
    ({"name": "multinomial", "temperature": 0.7}, {"name": "sample", "temperature": 0.7}),
    (
        {
            "name": "multinomial",
            "truncations": [{"name": "top_k", "k": 5}, {"name": "top_p", "p": 0.8}],
        },
        {"name": "sample", "truncations": [("top_k", 5), ("top_p", 0.8)]},
    ),
    (
        {"name": "min_p", "p": 0.2, "temperature": 1.5, "temperature_last": True},
        {
            "name": "sample",
            "truncations": [("min_p", 0.2)],
            "temperature": 1.5,
            "temperature_last": True,
        },
    ),
]


@pytest.mark.parametrize(("ours", "theirs"), SEARCHES, ids=str)
@pytest.mark.parametrize("kind", ["language_model", "translator"])
def test_outputs_are_those_of_the_run(ours, theirs, kind, request, few_words):
    made = request.getfixturevalue(kind)
    inputs = ["the ", "", "a cat", "ça ☃"] if kind == "language_model" else few_words(12, 9)
    most = 25 if kind == "language_model" else None
    found = made.run.continuations(inputs, made.run.decoder(ours, seed=3), most)
    seed = {"seed": 3} if theirs["name"] == "sample" else {}
    for place, (text, [one]) in enumerate(zip(inputs, found, strict=True)):
        other = made.runner.generate(text, place, most, **theirs, **seed)
        assert other.tokens == one.hypothesis.tokens
        assert other.text == made.run.shown(one)
        assert other.finished == one.hypothesis.finished
        assert other.score == pytest.approx(one.hypothesis.score, abs=1e-4)
        assert other.rank == pytest.approx(one.hypothesis.ranking_score, abs=1e-4)


def test_n_best_are_those_of_the_run(translator):
    spec = {"beam_size": 4, "n_best": 3, "length_normalisation": "power"}
    decoder = translator.run.decoder({"name": "beam", **spec})
    [found] = translator.run.continuations(["abcd"], decoder)
    again = translator.runner.beam(translator.runner.start("abcd"), **spec)
    assert [each.tokens for each in again] == [each.hypothesis.tokens for each in found]


def test_without_more_it_is_the_decoder_of_the_recipe(language_model, translator):
    for made, text in ((language_model, "the "), (translator, "abc")):
        assert made.runner.generate(text).text == made.run.generate(text)


def test_random_numbers_and_draws_are_those_of_seqgen():
    ids = torch.tensor([0, 7, 1 << 33])
    for seed in (0, 1, 2**63 - 1):
        for step in (0, 5, 999):
            drawn = [runners.uniform(seed, place, step) for place in ids.tolist()]
            assert drawn == torch_uniform(seed, ids, step).tolist()
    rows = torch.tensor([[0.1, 0.3, 0.3, 0.2, 0.1], [0.2] * 5, [0.6, 0.3, 0.1, 1e-9, 1e-12]]).log()
    cuts = [
        ("top_k", 2),
        ("top_p", 0.5),
        ("top_p", 0.6),
        ("top_p", 1),
        ("min_p", 0.5),
        ("min_p", 1),
    ]
    for name, value in cuts:
        spec = {"name": name, USUAL_TRUNCATIONS[name]: value}
        for seed in range(20):
            theirs = Multinomial(seed, truncations=(spec,)).choose(rows, torch.zeros(3).long(), 0)
            draw = runners.Draw(0, seed, truncations=[(name, value)])
            assert [draw(row, 0) for row in rows.numpy()] == theirs.tolist()
    for temperature in (0, 1e-4, 30.0, float("inf")):
        for last in (False, True):
            options = {"temperature": temperature, "temperature_last": last}
            theirs = Multinomial(4, **options).choose(rows, torch.zeros(3).long(), 2)
            assert [
                runners.Draw(0, 4, **options)(row, 2) for row in rows.numpy()
            ] == theirs.tolist()


def test_it_needs_nothing_of_seqgen():
    tree = ast.parse(Path(runners.__file__).read_text("utf-8"))
    names = {
        (each.module if isinstance(each, ast.ImportFrom) else each.names[0].name).split(".")[0]
        for each in ast.walk(tree)
        if isinstance(each, ast.Import | ast.ImportFrom)
    }
    assert names - sys.stdlib_module_names == {"numpy", "onnxruntime"}


def test_it_runs_by_itself(language_model, tmp_path):
    """In its folder, without a module of this project or of torch that could be found."""
    run = language_model.run
    hidden = "import sys; sys.modules.update(seqgen=None, torch=None);"
    code = f"{hidden} sys.argv[1:] = ['the ', 'a']; import runpy;"
    path = str(language_model.folder / "runner.py")
    words = [sys.executable, "-c", f"{code} runpy.run_path({path!r}, run_name='__main__')"]
    ended = subprocess.run(words, capture_output=True, cwd=tmp_path, check=True)
    found = run.continuations(["the ", "a"])
    assert ended.stdout.decode() == "".join(f"{run.shown(each)}\n" for [each] in found)
    assert ended.stderr == b""


@pytest.fixture
def typed(monkeypatch, capsys, language_model):
    """A function that runs the command line of the runner: what it prints, or says at its end."""

    def call(*words, folder=language_model.folder):
        monkeypatch.setattr(sys, "argv", ["runner.py", "--folder", str(folder), *words])
        try:
            runners.main()
        except SystemExit as ended:
            return str(ended.code)
        return capsys.readouterr().out

    return call


def test_the_command_line(typed, language_model):
    run, tokens = language_model.run, language_model.runner.encode("the ")
    sampled = ["--temperature", "0.5", "--top-k", "9", "--seed", "2"]
    cut = {"temperature": 0.5, "truncations": [{"name": "top_k", "k": 9}]}
    drawn = run.generate("the ", "multinomial", 20, 2, **cut)
    assert typed("the ", "--max-length", "20", *sampled) == f"{drawn}\n"
    beam = run.generate("the ", "beam", 8, beam_size=3)
    score, text = typed("the ", "--beam", "3", "--max-length", "8", "--scores").split("\t")
    assert text == f"{beam}\n"
    assert float(score) < 0
    given = " ".join(map(str, tokens))
    ids = typed("--ids", "--greedy", "--max-length", "3", given).split()
    assert len(ids) == 3
    assert language_model.runner.decode([*tokens, *map(int, ids)]) == run.generate(
        "the ", "greedy", 3
    )
    assert typed("the ", "--seed", "5") == f"{run.generate('the ', seed=5)}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ids", "the"], "runner: invalid literal"),
        (["--ids", "9999"], "runner: token ids are from 0 to "),
        (["--ids", ""], "runner: a prompt needs a token at least"),
        (["a", "--beam", "0"], "runner: --beam must be at least 1"),
        (["a", "--beam", "2", "--top-p", "0.5"], "runner: options of beams and of samples"),
        (["a", "--alpha", "0.5"], "runner: options of beams and of samples"),
        (["a", "--top-p", "1.5"], "runner: --top-p cannot be 1.5"),
        (["a", "--sample", "--top-k", "0"], "runner: --top-k cannot be 0"),
        (["a", "--sample", "--temperature", "nan"], "runner: --temperature must be at least 0"),
    ],
)
def test_it_refuses(words, said, typed):
    found = typed(*words)
    assert found.startswith(said)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("meta.json", None, "meta.json: damaged: [Errno 2]"),
        ("meta.json", b"{", "meta.json: damaged: "),
        ("meta.json", b"[]", "meta.json: damaged: "),
        ("meta.json", b"{}", "meta.json: damaged: it has no 'vocab_size'"),
        ("meta.json", {"format": 2}, ": has format 2, but this runner reads 1"),
        ("meta.json", {"decoder": {"name": "exact"}}, "no decoder 'exact' here"),
        ("step.onnx", b"nothing", "step.onnx: "),
        ("step.onnx", None, "step.onnx: "),
    ],
)
def test_what_is_damaged_is_named(name, content, said, typed, language_model, tmp_path):
    for path in language_model.folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    elif isinstance(content, dict):
        meta = json.loads((tmp_path / name).read_text("utf-8"))
        (tmp_path / name).write_text(json.dumps({**meta, **content}), "utf-8")
    else:
        (tmp_path / name).write_bytes(content)
    found = typed("a", folder=tmp_path)
    assert said in found
    assert found.startswith("runner: ")
    assert "\n" not in found


def test_the_page_has_a_loop_that_works(translator, monkeypatch):
    page = Path(__file__).parent.parent.parent / "docs" / "export.md"
    [block] = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
    monkeypatch.chdir(translator.folder.parent)
    found = {}
    block = block.replace("g2p-onnx", "onnx").replace('"abandon"', '"abcd"')
    exec(compile(block, "export.md", "exec"), found)
    assert found["text"] == translator.run.generate("abcd", "greedy")


def test_scores_of_nan_are_refused(language_model, monkeypatch):
    class Broken:
        def run(self, names, feed):
            return [np.full((1, 1, language_model.runner.vocab), np.nan), *feed.values()]

    monkeypatch.setattr(language_model.runner, "stepper", Broken())
    with pytest.raises(ValueError, match="scores are NaN"):
        language_model.runner.generate("a")
