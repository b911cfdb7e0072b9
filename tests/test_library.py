"""What `import seqgen` offers: training from a program, and what its runs show and compare."""

import importlib
import json
import logging
import math
import os
import random
import re
import runpy
import shutil
import signal
import sys
import threading
import warnings
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from test_run import outcome

import seqgen
from seqgen.cells import LSTM, cells
from seqgen.cli.displays import Display
from seqgen.errors import RecipeError, SetupError, StoppedError, UsageError
from seqgen.library import Attention, Run
from seqgen.run_directory import RunDirectory


@pytest.fixture(scope="module")
def run(finished_run):
    return seqgen.load(finished_run)


@pytest.fixture(scope="module")
def answering(pairs_run):
    return seqgen.load(pairs_run)


@pytest.fixture(scope="module")
def compared(run):
    grid = {"decoder": "multinomial", "grid": {"temperature": [0.5, 1.0, 2.0]}}
    few = {"inputs": {"most": 6}, "seeds": 2, "max_length": 8, "significance": {"resamples": 20}}
    return run.compare("greedy", grid, **few, speed={"repeats": 0}, progress=False)


class TestTraining:
    def test_the_weights_are_those_of_the_command(self, place, finished_run, capfd):
        before = Path("tiny.yaml").read_text(encoding="utf-8")
        made = seqgen.train("tiny.yaml", "train.validate_every=4", out="made", progress=False)
        assert capfd.readouterr() == ("", "")
        assert outcome(made.directory.folder) == outcome(finished_run)
        assert Path("tiny.yaml").read_text(encoding="utf-8") == before
        assert made.generate("the ") == seqgen.load(finished_run).generate("the ")

    @pytest.mark.parametrize("how", [{}, {"data.path": Path("text.txt")}], ids=["as is", "changed"])
    def test_a_recipe_may_be_a_mapping(self, how, place, finished_run):
        recipe = yaml.safe_load(Path("tiny.yaml").read_text(encoding="utf-8"))
        recipe["train"]["lr"] = 1e-2  # which YAML takes for a string
        recipe["samples"]["temperatures"] = (0, 0.8)
        made = seqgen.train(recipe, how, progress=False)
        assert made.directory.folder == Path("runs/recipe")
        assert outcome(made.directory.folder) == outcome(finished_run)

    def test_the_name_of_a_recipe_that_comes_with_seqgen(self, place, said):
        wrong = said(seqgen.train, "char_lstm", "model.cell.layers=0")
        assert wrong.startswith("override model.cell.layers=0: model.cell.layers: must be")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model.cell": "lsmt"}, 'override model.cell="lsmt": model.cell: no cell named'),
            ("model.cell=lsmt", "override model.cell=lsmt: model.cell: no cell named 'lsmt'"),
            ("device", "override device: must be of the form key=value"),
            (5, "override 5: must be of the form key=value"),
            ({"threads.x.y": 1}, "override threads.x.y=1: no such key"),
        ],
    )
    def test_a_wrong_override_is_named(self, change, message, place, said):
        assert said(seqgen.train, "tiny.yaml", change, kind=RecipeError).startswith(message)

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (["model", "cell"], "lsmt", "recipe: model.cell: no cell named 'lsmt'; did you mean"),
            (["model", "cell"], {"name": "lstm", "hidden_size": 0}, "recipe: model.cell.hidden_"),
            (["train", "max_step"], 3, "recipe: train.max_step: not an option of"),
            (["lr"], 3, "recipe: lr: not an option of a recipe; did you mean 'train.lr'?"),
            ([1], 3, "recipe: 1: not an option of a recipe"),
            (["train"], None, "recipe: train: "),
        ],
    )
    def test_an_error_in_a_mapping_has_the_path(self, path, value, message, place, said):
        recipe = yaml.safe_load(Path("tiny.yaml").read_text(encoding="utf-8"))
        recipe["train"]["lr"] = 0.1
        inner = recipe
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        assert said(seqgen.train, recipe, kind=RecipeError).startswith(message)
        assert not Path("runs").exists()

    def test_a_mapping_that_holds_itself(self, place, said):
        recipe = {}
        recipe["model"] = recipe
        assert said(seqgen.train, recipe) == "recipe: too deeply nested"

    def test_the_folder_is_taken(self, place, copied_run):
        with pytest.raises(SetupError, match="has a run already"):
            seqgen.train("tiny.yaml", out=copied_run, progress=False)
        with pytest.raises(UsageError, match="exclude one another"):
            seqgen.train("tiny.yaml", out=copied_run, resume=True, overwrite=True)

    def test_the_record_says_how_to_run_it_again(self, place):
        folder = seqgen.train("tiny.yaml", {"seed": 2}, out="a", progress=False).directory.folder
        assert RunDirectory(folder).record()["command"] == ["seqgen", "run", "tiny.yaml", "seed=2"]

    def test_an_interruption_leaves_a_checkpoint_to_go_on_from(self, place, finished_run):
        shown = Display.event

        def stop(display, event):
            if event["event"] == "train" and event["step"] == 6:
                os.kill(os.getpid(), signal.SIGINT)
            shown(display, event)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Display, "event", stop)
            with pytest.raises(KeyboardInterrupt, match="stopped at step 6; resume=True goes on"):
                seqgen.train("tiny.yaml", out="stopped")
        half = seqgen.load("stopped")
        assert "not finished" in half._repr_html_()
        assert half.curves()[-1]["step"] == 6
        whole = seqgen.train("tiny.yaml", out="stopped", resume=True, progress=False)
        assert outcome(whole.directory.folder) == outcome(finished_run)
        again = seqgen.train("stopped", resume=True, progress=False)
        assert again.directory.folder == Path("stopped")

    def test_a_termination_stays_one(self, place):
        def stop(display, event):
            os.kill(os.getpid(), signal.SIGTERM)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Display, "event", stop)
            with pytest.raises(StoppedError, match="stopped at"):
                seqgen.train("tiny.yaml", out="stopped")

    def test_a_program_is_as_it_was(self, place, capsys):
        def around():
            handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
            torch_is = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
            drawn = torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1:3]
            names = sorted(each.name for each in threading.enumerate())
            logs = logging.root.level, list(logging.root.handlers)
            python_is = sys.stdout, sys.stderr, sys.excepthook, Path.cwd(), warnings.filters[:]
            return handlers, torch_is, repr(drawn), names, logs, python_is

        torch.manual_seed(5)
        before = around()
        more = ["threads=2", "model.dropout=0.1", "train.max_steps=2"]
        run = seqgen.train("tiny.yaml", *more, out="a")
        shown = capsys.readouterr().out
        assert shown.startswith("tiny\n  model ")
        assert shown.splitlines()[-1].startswith("report: a")
        assert around() == before
        seqgen.load("a")
        quick = {"inputs": {"prompts": ["the "]}, "speed": {"repeats": 0}, "max_length": 3}
        run.compare("greedy", "multinomial", **quick)
        assert "100%" not in capsys.readouterr().err
        assert around() == before

    def test_it_works_in_another_thread(self, place, finished_run):
        made = []
        call = {"target": lambda: made.append(seqgen.train("tiny.yaml", out="a"))}
        thread = threading.Thread(**call)
        thread.start()
        thread.join()
        assert outcome(made[0].directory.folder) == outcome(finished_run)

    def test_a_plugin_of_the_recipe_is_given_on(self, place, own_registries):
        place.write(
            "mine.py", 'from seqgen.cells import LSTM, cells\ncells.register("mine")(LSTM)\n'
        )
        change = {"plugins": ["mine.py"], "model.cell.name": "mine", "train.max_steps": 1}
        assert seqgen.train("tiny.yaml", change, out="a", progress=False).generate("the ")

    def test_one_plugin_need_not_be_in_a_list(self, said):
        assert said(seqgen.train, "char_lstm", plugins="no.py").endswith("/no.py: no such file")
        assert said(seqgen.train, "char_lstm", plugins=["no.py"]).endswith("/no.py: no such file")


class Element(HTMLParser):
    """Whether each element that is opened is closed; no scripts, no addresses."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag not in {"script", "link", "img", "iframe"}
        assert not {name for name, _ in attributes if name.startswith("on") or name == "src"}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_data(self, data):
        self.text += data


class TestShowing:
    def test_a_run_shows_figures_a_curve_and_samples(self, run):
        page = run._repr_html_()
        assert len(page) < 40_000
        text = Element(page).text
        assert "bits per character" in text
        assert page.count("<svg") == 1
        assert page.count('class="sample"') == 2
        assert repr(run) == f"Run({str(run.directory.folder)!r}, 2,189 parameters)"

    def test_texts_are_only_texts(self, copied_run):
        path = copied_run / "samples.json"
        samples = json.loads(path.read_bytes())
        samples[0]["text"] = "<script>alert(1)</script>\x1b"
        path.write_text(json.dumps(samples), encoding="utf-8")
        assert (
            "<script>alert(1)</script>\\x1b" in Element(seqgen.load(copied_run)._repr_html_()).text
        )

    def test_a_run_without_most_of_its_files_shows_the_rest(self, copied_run):
        run = seqgen.load(copied_run)
        for name in ("samples.json", "metrics.jsonl", "result.json", "manifest.json"):
            (copied_run / name).unlink()
            Element(run._repr_html_())
        assert run.curves() == []
        assert run.figures()["learning curves"].axes

    def test_the_curves_are_a_table(self, run):
        rows = run.curves()
        assert [row["step"] for row in rows] == [0, 3, 4, 6, 8, 9, 12]
        assert len({tuple(row) for row in rows}) == 1
        first, *_, last = rows
        assert first["loss"] is None
        assert first["nats_per_token"] > last["nats_per_token"]
        assert last["loss"] > 0
        assert (first["best"], rows[1]["best"]) == (True, None)

    def test_metrics_are_in_it(self, answering):
        assert answering.curves()[-1]["metrics.exact_match"] is not None

    def test_pandas_takes_the_tables(self, run, compared):
        pandas = pytest.importorskip("pandas", reason="needs the extra notebook")
        assert pandas.DataFrame(run.curves()).loss.notna().sum() == 4
        table = pandas.DataFrame(compared.table()).set_index("strategy")
        assert len(table) == 4
        assert table.rows_per_input.gt(0).all()

    def test_a_comparison_shows_and_saves_itself(self, compared, tmp_path):
        page = compared._repr_html_()
        assert len(page) < 60_000
        text = Element(page).text
        assert compared.take in text
        assert repr(compared) == f"Compared(4 strategies, take={compared.take!r})"
        first = compared.table()[0]
        assert first["run"] == "run"
        assert first["unlikeness"] > 0
        assert len(compared.outputs()) == 4 * 6
        figures = compared.figures()
        assert any(title.startswith("temperature of multinomial") for title in figures)
        folder = compared.save(tmp_path / "made")
        assert (folder / "compare.html").is_file()
        with pytest.raises(SetupError, match="has a comparison already"):
            compared.save(folder)
        compared.save(folder, overwrite=True)


class TestComparing:
    @pytest.mark.parametrize(
        ("decoders", "options", "message"),
        [
            (["gready"], {}, "plan: strategies.0.decoder: no decoder named 'gready'; did you"),
            ([{"name": "beam", "beam_size": 0}], {}, "plan: strategies.0.decoder.beam_size: "),
            (["greedy", "greedy"], {}, "plan: strategies.1: 'greedy' decodes as strategies.0 does"),
            (["greedy"], {"inputs": {"mots": 1}}, "override inputs.mots=1: inputs.mots: not an"),
            (["greedy"], {"plan": "seq2seq"}, "`plan` and decoders exclude one another"),
            ([], {"plan": "seq"}, "seq: no such plan"),
            ([], {"plan": {"strategies": []}}, "plan: strategies: must be at least 1 long"),
            (["greedy"], {"others": ["run"], "quality": "x"}, "override quality="),
        ],
    )
    def test_what_is_wrong_is_one_line(self, decoders, options, message, run, said):
        others = [run for _ in options.pop("others", ())]
        options = {"inputs": {"prompts": ["the "]}, **options, "others": others}
        kind = (RecipeError, UsageError)
        assert said(run.compare, *decoders, kind=kind, **options).startswith(message)

    def test_the_usual_plan_is_that_of_the_kind(self, answering):
        few = {"inputs": {"most": 2}, "seeds": 1, "best_of": {"inputs": 0}, "traced": 0}
        found = answering.compare(**few, speed={"repeats": 0}, progress=False)
        assert "exact_match" in found.table()[0]

    def test_several_runs(self, run, copied_run):
        other = seqgen.load(copied_run)
        quick = {"inputs": {"prompts": ["the "]}, "speed": {"repeats": 0}, "max_length": 3}
        found = run.compare("greedy", others=[other], **quick, progress=False)
        assert {row["run"] for row in found.table()} == {"run", "copied"}


class TestAnswers:
    def test_a_list_of_prompts_gives_a_list_of_texts(self, answering, run):
        assert answering.generate(["abc", "e"]) == [
            answering.generate(each) for each in ("abc", "e")
        ]
        assert run.generate(("the ",), seed=3) == [run.generate("the ", seed=3)]
        with pytest.warns(UserWarning, match="unknown to the model"):
            run.generate(["Ω"], max_length=1)
        state = run.state("the cat ")
        assert run.generate(["sat"], state=state) == [run.generate("sat", state=state)]

    def test_scores_of_rows(self, answering, said):
        rows = ["abc\tABC", "e\tE"]
        found = answering.score(rows)
        assert found == answering.score("".join(f"{row}\n" for row in rows))
        assert [len(each.log_probs) for each in found] == [4, 2]
        assert said(answering.score, ["abc"]).startswith("the text:1: ")

    def test_scores_of_running_text(self, run, said):
        assert (
            said(run.score, ["the cat", 3], kind=ValueError) == "rows.1: must be a string, but is 3"
        )
        likely, unlikely = run.score(["the cat sat", "tca eht tas"])
        assert likely.score > unlikely.score
        assert likely.score == pytest.approx(math.fsum(likely.log_probs))
        assert run.score("the cat sat")[0].score == pytest.approx(likely.score)
        [strange] = run.score("Ω")
        assert (strange.unknown, strange.score > float("-inf")) == (1, True)
        assert run.score(["", "the cat sat"]) == [(0.0, (), 0), run.score("the cat sat")[0]]

    def test_attention_is_tokens_and_a_matrix(self, answering, run):
        found = answering.attention("abcd")
        assert found.source == [*"abcd", "<eos>"]
        assert "".join(found.output).startswith(answering.generate("abcd"))
        assert {len(row) for row in found.weights} == {5}
        assert sum(found.weights[0]) == pytest.approx(1, abs=1e-5)
        assert Element(found._repr_html_()).text.count("a") >= 1
        assert isinstance(found, Attention)
        assert repr(found).startswith("Attention(5 source tokens")
        with pytest.raises(ValueError, match="has no attention"):
            run.attention("the ")

    def test_what_changes_a_run_leaves_it_one(self, run):
        for other in (run.generating(stop="a"), run.after(run.state("the "))):
            assert type(other) is Run


class TestParts:
    def test_options_and_sizes_together(self):
        made = cells.build("lstm", input_size=3, hidden_size=4, layers=2)
        assert isinstance(made, LSTM)
        outputs, _ = made(torch.zeros(2, 5, 3))
        assert outputs.shape == (2, 5, 4)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"hidden_sise": 4}, "hidden_sise: not an option of cell 'lstm'"),
            ({"hidden_size": 0}, "hidden_size: must be"),
        ],
    )
    def test_what_is_wrong(self, options, message, said):
        found = said(cells.build, "lstm", input_size=3, **options, kind=ValueError)
        assert found.startswith(message)


DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "library.md").read_text(encoding="utf-8")
BLOCKS = re.compile(r"```python\n(.*?)```", re.DOTALL)
PUBLIC = {
    module: re.findall(r"`(\w+)`", names)
    for module, names in re.findall(r"^\| `(seqgen[\w.]*)` \| (.*) \|$", PAGE, re.M)
}
SMALLER = {  # what the page says in place of what trains and compares in a moment
    "recipes/char_lstm.yaml": "tiny.yaml",
    '"corpus": "python_docs"': '"path": "text.txt"',
    '"max_steps": 2000': '"max_steps": 3',
    '"most": 50': '"most": 4',
    "max_length=100,": 'max_length=9, speed={"repeats": 0}, traced=0,',
}


@pytest.mark.filterwarnings("ignore:.*unknown to the model:UserWarning")
def test_the_page_does_what_it_says(place, finished_run, pairs_run):
    pytest.importorskip("pandas", reason="needs the extra notebook")
    shutil.copytree(finished_run, "runs/char_lstm")
    shutil.copytree(pairs_run, "runs/date_seq2seq")
    space = {}
    page = PAGE
    for said, smaller in SMALLER.items():
        assert said in page
        page = page.replace(said, smaller)
    for block in BLOCKS.findall(page):
        exec(compile(block, "library.md", "exec"), space)
    assert Path("curves.pdf").is_file()
    assert Path("runs/compare/mine/compare.html").is_file()


def test_the_example_is_a_program(capsys):
    found = runpy.run_path(str(DOCS / "examples" / "library.py"))["main"](steps=3)
    assert "nats per token" in capsys.readouterr().out
    assert {name: len(words) for name, words in found.items()} == {
        "beam": 4,
        "top_p": 1,
        "daring": 1,
    }


@pytest.mark.parametrize("module", PUBLIC)
def test_the_public_names_are_those_of_the_table(module):
    room = importlib.import_module(module)
    assert all(getattr(room, name) is not None for name in PUBLIC[module])
    if "__all__" in vars(room):
        assert sorted(PUBLIC[module]) == sorted(room.__all__)


def test_every_room_that_says_what_is_public_is_in_the_table():
    for path in Path(seqgen.__file__).parent.rglob("*.py"):
        if re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.M):
            parts = path.relative_to(Path(seqgen.__file__).parent.parent).with_suffix("").parts
            assert ".".join(parts).removesuffix(".__init__") in PUBLIC


def test_what_the_pages_import_is_public():
    found = set()
    for path in [*DOCS.rglob("*.md"), *DOCS.glob("plugins/*.py"), *DOCS.glob("examples/*.py")]:
        text = path.read_text(encoding="utf-8")
        for code in BLOCKS.findall(text) if path.suffix == ".md" else [text]:
            for module, names in re.findall(r"^from (seqgen[\w.]*) import (.+)$", code, re.M):
                found |= {(module, name) for name in names.split(", ")}
    assert len(found) > 40
    assert {pair for pair in found if pair[1] not in PUBLIC.get(pair[0], ())} == set()


NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
FEW = {"steps": 3, "text_steps": 3, "rows": 400, "inputs": 20}


def test_the_notebooks_can_be_read_without_being_run():
    names = ["attention", "character_rnn", "comparing_decoders", "temperature"]
    assert [path.stem for path in NOTEBOOKS] == names
    for path in NOTEBOOKS:
        assert path.stat().st_size < 250_000
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"image/png|/home/|/tmp/|/root/|iopub|\\u001b|stderr|widget-view", text
        )
        notebook = json.loads(text)
        cells_of = {"code": [], "markdown": []}
        for cell in notebook["cells"]:
            cells_of[cell["cell_type"]].append(cell)
            assert len(cell["source"]) <= 30
        assert "## Exercise" in "".join(cells_of["markdown"][-1]["source"])
        assert sum("What to see" in "".join(cell["source"]) for cell in cells_of["markdown"]) >= 4
        assert sum(bool(cell["outputs"]) for cell in cells_of["code"]) >= 5
        assert [cell["execution_count"] for cell in cells_of["code"]] == [
            *range(1, len(cells_of["code"]) + 1)
        ]


@pytest.mark.filterwarnings("ignore")  # of what runs the notebooks, in this process
def test_the_notebooks_run(tmp_path, monkeypatch):
    """All in one kernel, which forgets its names in between, with models that learn nothing."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    for needed in ("ipykernel", "pandas"):
        pytest.importorskip(needed, reason="needs the extra notebook")
    nbformat = pytest.importorskip("nbformat")
    whole = nbformat.v4.new_notebook()
    for path in NOTEBOOKS:
        whole.cells.append(nbformat.v4.new_code_cell("%reset -f"))
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if "parameters" in cell.metadata.get("tags", ()):
                cell.source = re.sub(
                    r"^(\w+) = \d+",
                    lambda found: f"{found[1]} = {FEW[found[1]]}",
                    cell.source,
                    flags=re.M,
                )
        whole.cells += [cell for cell in notebook.cells if cell.cell_type == "code"]
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(whole, timeout=600, kernel_name="python3", resources=where).execute()
