"""What `import seqgen` offers: `train` and `load`, and the run that they return, with its tables,
its figures, and comparisons of decoders. In a notebook all of these show themselves."""

from __future__ import annotations

import json
import signal
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch

from seqgen import comparison, reports
from seqgen.browser import generator_page
from seqgen.cli.displays import Display
from seqgen.comparison import Comparison, Document, PlanSource, Results
from seqgen.conclusion import read_result
from seqgen.config import ConfigFile, Override, path_of, read_override
from seqgen.data import TextFile
from seqgen.errors import StoppedError, UsageError
from seqgen.evaluate import RowScore, score_texts
from seqgen.files import write_file
from seqgen.options import check_value
from seqgen.registry import plain
from seqgen.reports import charts
from seqgen.run import RunRequest, run_directory
from seqgen.run import run as run_recipe
from seqgen.text_state import TextState
from seqgen.trained import TrainedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Attention", "Compared", "Run", "load", "train"]

Spec = str | Mapping[str, Any]
"""A part: its name, or a mapping with its name and options."""
Rows = list[dict[str, Any]]
"""A table, for `pandas.DataFrame`: a mapping for each row, all with the same keys."""


def train(
    recipe: str | Path | Mapping[str, Any],
    *overrides: str | Mapping[str, Any],
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    plugins: Sequence[str | Path] = (),
    device: str | None = None,
    progress: bool = True,
) -> Run:
    """Train a recipe, as `seqgen run` does, and load the run.

    `recipe` is a path, the name of one that comes with seqgen, its content as a mapping, or with
    `resume` a run directory. Overrides are `"model.cell.hidden_size=128"`, or mappings such as
    `{"model.cell.hidden_size": 128}`. The run goes to `out`, by default `runs/<recipe name>`.

    Ctrl-C, or an interruption of a notebook's kernel, is a KeyboardInterrupt after a checkpoint was
    written; the same call with `resume=True` goes on, and ends with the same weights as if nothing
    had happened. The program's threads, signal handlers and random state are as before.

    Raises the errors of `seqgen.errors`; nothing is written before recipe and data are checked.
    """
    if resume and overwrite:
        raise UsageError("`resume` and `overwrite` exclude one another")
    given = recipe if isinstance(recipe, Mapping) else str(recipe)
    plugins = [plugins] if isinstance(plugins, str) else plugins  # which is a sequence, too
    changes = [change for each in overrides for change in _changes(each)]
    if device is not None:
        changes.append(Override(f"device={device}", ("device",), device))
    folder = None if out is None else Path(out)
    request = RunRequest(given, changes, folder, resume, overwrite, plugins=plugins)
    directory = run_directory(request)
    words = given if isinstance(given, str) else str(directory.recipe)
    command = ("seqgen", "run", words, *(change.text for change in changes))
    request = RunRequest(given, changes, folder, resume, overwrite, command, plugins)
    with _random_state_kept(), Display() as display:
        watch = [display.event] if progress else []
        try:
            run_recipe(request, display.announce if progress else _ignore, watch)
        except StoppedError as error:
            if error.signal_number != signal.SIGINT:
                raise
            raise KeyboardInterrupt(f"{error}; resume=True goes on from there") from None
        if progress:
            display.conclude(read_result(directory), directory.folder)
        used = [*plugins, *directory.record().get("plugins", ())]
        return Run.load(directory.folder, device or "auto", plugins=used)


def load(folder: str | Path, device: str = "auto", plugins: Sequence[str | Path] = ()) -> Run:
    """Load a run directory: its recipe, tokenizers and best weights.

    `plugins` are the Python files to import first. No other is: a run that was trained with
    plugins must be given them. Raises the errors of `seqgen.errors`.
    """
    plugins = [plugins] if isinstance(plugins, str) else plugins
    with _random_state_kept():
        return Run.load(folder, device, plugins=plugins)


def _random_state_kept() -> AbstractContextManager[None]:
    """A context after which torch draws, on all devices, as if it had drawn nothing in it."""
    return torch.random.fork_rng(range(torch.cuda.device_count()))


def _ignore(_: object) -> None:
    pass


def _warn(remarks: Sequence[str]) -> None:
    for remark in remarks:
        warnings.warn(remark, stacklevel=3)


def _strategy(given: Spec) -> Mapping[str, Any]:
    """A decoder as a strategy of a plan, if it is none yet."""
    return given if isinstance(given, Mapping) and "decoder" in given else {"decoder": given}


def _changes(given: str | Mapping[str, Any], deeper: int = 0) -> list[Override]:
    """`key=value`, or a mapping of dotted keys to values, as overrides. Of its mappings down to the
    depth `deeper` each value is one. Raises RecipeError."""
    if not isinstance(given, Mapping):
        return [read_override(str(given))]
    found: list[Override] = []
    for key, each in given.items():
        if deeper and isinstance(each, Mapping):
            inner = {f"{key}.{name}": value for name, value in each.items()}
            found += _changes(inner, deeper - 1)
        else:
            value = plain(each)
            text = f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
            found.append(Override(text, path_of(str(key)), value))
    return found


class Run(TrainedRun):
    """A trained run. In a notebook it shows its figures, learning curves and a few samples.

    Tables are lists of mappings, as `pandas.DataFrame` takes them.
    """

    def __repr__(self) -> str:
        return f"Run({str(self.directory.folder)!r}, {self.built.parameters:,} parameters)"

    def _repr_html_(self) -> str:
        folder = self.directory.folder
        return reports.run_card(reports.read_run(folder), folder.resolve().name)

    def curves(self) -> Rows:
        """What was logged in training, a row for each step at which there was something: the `loss`
        in nats per token and what belongs to it, and the figures of validations. Metrics are called
        `metrics.NAME`. What a row lacks is None."""
        files = reports.read_run(self.directory.folder)
        rows: dict[float, dict[str, Any]] = {}
        for event in (*files.train, *files.valid):
            metrics = {f"metrics.{name}": value for name, value in event.metrics.items()}
            best = {"best": event.best} if event.event == "valid" else {}
            rows.setdefault(event.step or 0, {}).update(event.measures | metrics | best)
        names = dict.fromkeys(name for row in rows.values() for name in row)
        return [{name: rows[step].get(name) for name in names} for step in sorted(rows)]

    def figures(self) -> dict[str, Figure]:
        """The learning curves as a figure of matplotlib, to be saved or changed."""
        curves = charts.curves_of(reports.read_run(self.directory.folder))
        with charts.style(charts.FILE):
            return {"learning curves": charts.learning_curves(curves)(charts.FILE)}

    def page(self, path: str | Path | None = None) -> Path:
        """Write the run as one HTML file that generates in a browser, by default NAME-page.html in
        the current folder, as `seqgen page` does; returns where it is. Raises ValueError if a part
        does not work there, SetupError."""
        name = self.directory.folder.resolve().name
        where = Path(path or f"{name}-page.html")
        write_file(where, generator_page(self, name))
        return where

    @overload
    def generate(
        self,
        prompt: str | None = None,
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        *,
        state: TextState | None = None,
        **options: Any,
    ) -> str: ...

    @overload
    def generate(
        self,
        prompt: list[str] | tuple[str, ...],
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        *,
        state: TextState | None = None,
        **options: Any,
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | list[str] | tuple[str, ...] | None = None,
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        *,
        state: TextState | None = None,
        **options: Any,
    ) -> str | list[str]:
        """The text for a prompt or a source, as `seqgen generate` shows it; of a list of them, a
        list of texts, in which a random decoder draws for each by its place."""
        if not isinstance(prompt, list | tuple):
            return super().generate(prompt, decoder, max_length, seed, state=state, **options)
        for place, each in enumerate(prompt):
            check_value(str, each, ("prompt", place))
        begun = self if state is None else self.after(state)
        run, _, chosen = begun._asked("", decoder, max_length, seed, options)
        found = [best for best, *_ in run.continuations(prompt, chosen, max_length)]
        _warn(self.remarks(prompt, found))
        return [self.shown(each) for each in found]

    def score(self, rows: TextFile | str | Sequence[str], name: str = "the text") -> list[RowScore]:
        """How probable the model finds each text, teacher-forced: for each the `score` (the sum),
        the `log_probs` of its tokens, and how many tokens are `unknown`.

        `rows` are rows in the format of the run's data, `"source<tab>target"` say, or a text that
        has several of them. For a run on running text they are texts, each scored from its
        beginning. Errors call them `name`. Raises DataError, ValueError.
        """
        built = self.built
        if isinstance(rows, TextFile):
            return super().score(rows, name)
        if not (built.data.continues and not built.data.ends):
            whole = rows if isinstance(rows, str) else "".join(f"{row}\n" for row in rows)
            return super().score(TextFile.of(whole), name)
        texts = [rows] if isinstance(rows, str) else rows
        for place, each in enumerate(texts):
            check_value(str, each, ("rows", place))
        tokens = [
            torch.tensor([*built.data.output_tokens(each, built.tokenizers)], dtype=torch.long)
            for each in texts
        ]
        size = built.recipe.evaluation.batch_size
        with built.computing():
            return score_texts(built.model, tokens, built.device, size)

    def attention(
        self,
        source: str,
        decoder: str | None = None,
        max_length: int | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Attention:
        """The output for a source, and how much of each source token the model read for each of its
        tokens. Raises ValueError if the model has no attention."""
        run, given, chosen = self._asked(source, decoder, max_length, seed, options)
        [[best, *_]] = run.continuations([given], chosen, max_length)
        _warn(self.remarks([given], [best]))
        found = self.alignments([best])
        if not found:
            raise ValueError("the model of this run has no attention")
        return Attention(list(found[0].source), list(found[0].output), found[0].weights)

    def compare(
        self,
        *decoders: Spec,
        plan: str | Path | Mapping[str, Any] | None = None,
        others: Sequence[TrainedRun] = (),
        progress: bool = True,
        **options: Any,
    ) -> Compared:
        """Decode the same inputs in several ways, as `seqgen compare` does.

        `decoders` are names, mappings with a name and options, or strategies of a plan (with
        `decoder`, `grid` and `label`). Instead of them `plan` is a path, the name of a plan that
        comes with seqgen, or its content; by default the one for this kind of run. `options` are
        those of a plan, of its sections too: `inputs={"most": 50}, seeds=5`. `others` are runs to
        compare with. Raises the errors of `seqgen.errors`.
        """
        if plan is not None and decoders:
            raise UsageError("`plan` and decoders exclude one another")
        changes = _changes(options, deeper=1)
        if decoders:
            plan = {"strategies": [*map(_strategy, decoders)]}
        if isinstance(plan, Mapping):
            source = PlanSource(ConfigFile.of(plan, "plan", changes))
        else:
            usual = "language_model" if self.built.data.continues else "seq2seq"
            source = PlanSource.find(str(plan or usual), changes)
        runs = [self, *others]
        folders = [each.directory.folder for each in runs]
        names = [each.resolve().name for each in folders]
        names = names if len(set(names)) == len(names) else list(map(str, folders))
        checked, systems = source.expand(names)
        systems = comparison.applicable(systems, runs) if plan is None else systems
        with source.locating_errors(), Display() as display:
            if progress:
                display.begin()
            watch = display.compared if progress else _ignore
            job = Comparison(runs, names, systems, checked, watch)
            comparison.check_for_runs(job)
            return Compared(comparison.compare(job))


@dataclass(frozen=True, repr=False)
class Attention:
    """What an output read: for each of its tokens a row of `weights`, one for each of the source.

    `pandas.DataFrame(found.weights, found.output, found.source)` is the same as a table.
    """

    source: list[str]
    output: list[str]
    weights: list[list[float]]

    def __repr__(self) -> str:
        return f"Attention({len(self.source)} source tokens, {len(self.output)} output tokens)"

    def _repr_html_(self) -> str:
        return reports.render("attention_card.html", map=self)


@dataclass(frozen=True, repr=False)
class Compared:
    """A comparison of decoders, whose `document` is what compare.json holds.

    In a notebook it shows the recommendation, the leading figures and the trade-offs.
    """

    document: Document

    def __repr__(self) -> str:
        return f"Compared({len(self.document.systems)} strategies, take={self.take!r})"

    @cached_property
    def _results(self) -> Results:
        return Results(self.document)

    @property
    def take(self) -> str | None:
        """The strategy that is recommended, None where no measure says what is better."""
        return self.document.verdict.take

    def table(self) -> Rows:
        """A row for each strategy, the best first: its `strategy`, its `run`, its value by each
        measure (`document.measures` says what they are), and the ends of an interval where there is
        one, as `NAME.low` and `NAME.high`."""
        rows: Rows = []
        for system in self._results.systems:
            row: dict[str, Any] = {"strategy": system.label, "run": system.run}
            for name, found in self._results.values[system.label].items():
                row[name] = found.value
                if found.interval:
                    row[f"{name}.low"], row[f"{name}.high"] = found.interval
            rows.append(row)
        names = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in names} for row in rows]

    def outputs(self) -> Rows:
        """What each strategy made of some of the inputs, a row for each output."""
        return [
            {"input": each.input, "strategy": own.label, "text": own.text, "log_prob": own.log_prob}
            for each in self.document.outputs
            for own in each.by
        ]

    def figures(self) -> dict[str, Figure]:
        """All charts as figures of matplotlib, by their titles."""
        with charts.style(charts.FILE):
            found = comparison.every_chart(self._results)
            return {title: each.draw(charts.FILE) for title, each in found.items()}

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write `compare.json`, `compare.html` and `compare.md` into a folder, which is returned.
        Raises SetupError."""
        where = Path(folder)
        comparison.check_free(where, overwrite=overwrite)
        comparison.write(where, self.document)
        return where

    def _repr_html_(self) -> str:
        drawn = [each.chart().svg(charts.FILE) for each in comparison.trade_offs(self._results)]
        table = self._results.plain_table(self._results.leading())
        verdict = self.document.verdict
        return reports.render("comparison_card.html", verdict=verdict, table=table, charts=drawn)
