"""The verbs that show runs to others: `page`, a run as a page that generates by itself, `export`,
models for other programs, `inspect`, what the units of a state do while a text is read, and
`serve`, runs behind HTTP."""

from __future__ import annotations

import json
import warnings
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from seqgen.cli import arguments
from seqgen.cli.arguments import AsJson, Device, PluginFiles, RunFolder
from seqgen.cli.output import echo, line_file
from seqgen.errors import SetupError, UsageError


def page(
    run: RunFolder,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; by default RUN-page.html here.")
    ] = None,
    plugins: PluginFiles = None,
) -> None:
    """Write a run as one page that generates by itself, with its weights in it and no server.

    It shows the probabilities of each next character, the state as it changes, and what an encoder
    to decoder looks at. The same seed gives the same text as here, with weights rounded to float16.
    """
    with arguments.importing():
        from seqgen.browser import generator_page
        from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, "cpu", plugins=plugins or [])
    path = out or Path(f"{trained.directory.folder.resolve().name}-page.html")
    with line_file(path) as write:
        try:
            write(generator_page(trained))
        except ValueError as error:
            raise UsageError(f"page: {error}") from None
    if str(path) != "-":
        echo(f"page: {path}")


class Target(StrEnum):
    """What runs an exported model."""

    onnx = "onnx"
    torch = "torch"


def export(
    run: RunFolder,
    to: Annotated[Target, typer.Option(help="ONNX with a runner, or torch.export.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A new folder; by default RUN-onnx here.")
    ] = None,
    plugins: PluginFiles = None,
) -> None:
    """Write a run's models for onnxruntime, with a runner that needs no seqgen, or for torch.

    What is written gives the scores of the run to within 1e-5, which is checked first. The runner
    is greedy, samples with the same random numbers as here, or keeps beams.
    """
    with arguments.importing():
        from seqgen import export as exports
        from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, "cpu", plugins=plugins or [])
    folder = out or Path(f"{trained.directory.folder.resolve().name}-{to.value}")
    try:
        remarks = exports.export(trained, to.value, folder)
    except ValueError as error:
        raise UsageError(f"export: {error}") from None
    for each in remarks:
        warnings.warn(each, stacklevel=1)
    echo(f"{to.value}: {folder}")


def serve(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Run directories; each is a model by the name of its folder.",
            autocompletion=arguments.runs,
        ),
    ],
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 is for everyone.")
    ] = "127.0.0.1",
    port: Annotated[int, arguments.number("Port", "0 is any that is free.")] = 8000,
    double: Annotated[
        bool, typer.Option("--double", help="Compute in float64, where batches decide nothing.")
    ] = False,
    max_tokens: Annotated[int, arguments.number("Size", "The most tokens of an output.")] = 2048,
    max_prompt: Annotated[
        int, arguments.number("Size", "The most characters of a prompt or row.")
    ] = 50_000,
    max_outputs: Annotated[
        int, arguments.number("Size", "The most outputs of a request, all its prompts together.")
    ] = 16,
    max_body: Annotated[int, arguments.number("Size", "The most bytes of a request.")] = 1_000_000,
    rows: Annotated[int, arguments.number("Size", "How many outputs grow at once.")] = 256,
    queue: Annotated[int, arguments.number("Size", "How many requests wait at most.")] = 1000,
    seconds: Annotated[
        float,
        arguments.number("PositiveFloat", "A request takes no longer.", metavar="SECONDS"),
    ] = 60.0,
    grace: Annotated[
        int, arguments.number("Size", "What runs at the end may take so long.", metavar="SECONDS")
    ] = 10,
    device: Device = "auto",
    plugins: PluginFiles = None,
) -> None:
    """Serve runs by HTTP: /v1/completions for OpenAI's clients, /generate, /score, /metrics.

    Requests are decoded together, each with the text that it would have alone. Ctrl-C or SIGTERM
    ends the server when what runs is done. It needs the extra serve.
    """
    if max_outputs > rows:
        raise UsageError("--max-outputs must be at most --rows")
    with arguments.importing():
        try:
            from seqgen import serving
        except ImportError as error:
            if (error.name or "").startswith("seqgen"):
                raise
            needed = f"seqgen serve needs {error.name}: pip install 'seqgen-toolkit[serve]'"
            raise SetupError(needed) from None
        from seqgen.machine import double_precision
        from seqgen.trained import TrainedRun

    names = [each.resolve().name for each in runs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{name}: two runs have this name, by which clients ask for a model")
    limits = serving.ServerLimits(
        max_body, max_prompt, max_tokens, max_outputs, rows, queue, seconds, grace
    )
    loaded = [TrainedRun.load(each, device, plugins=plugins or []) for each in runs]
    with double_precision() if double else nullcontext():
        if double:
            loaded = [each.in_double_precision() for each in loaded]
        with serving.listen(host, port) as listening:
            at = f"[{host}]" if ":" in host else host
            echo(f"{', '.join(names)}: http://{at}:{listening.getsockname()[1]}/v1, Ctrl-C ends")
            serving.serve(listening, dict(zip(names, loaded, strict=True)), limits)


def inspect(
    run: RunFolder,
    text: Annotated[
        Path, typer.Option(metavar="FILE", help="A text to read; - is standard input.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page; by default RUN-units.html here.")
    ] = None,
    device: Device = "auto",
    plugins: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Show what each unit of a language model's state does while it reads a text.

    Finds the units that follow properties of the text (position in the line, inside quotes, ...)
    and what the model loses without them. The page shows the text tinted by each of them.
    """
    with arguments.importing():
        from seqgen.cli.source_lines import read_lines
        from seqgen.reports import unit_page
        from seqgen.trained import TrainedRun

    trained = TrainedRun.load(run, device, plugins=plugins or [])
    title = trained.directory.folder.resolve().name
    page = out or Path(f"{title}-units.html")
    if str(page) == "-":
        raise UsageError("--out must be a file: standard output has the figures")
    if page == text:
        raise UsageError("--text and --out must be two files")
    file, name = read_lines(text)
    with line_file(page) as write:  # before the work, since it may not be writable
        try:
            found = trained.inspect(file.text, name)
        except ValueError as error:
            raise UsageError(f"inspect: {error}") from None
        write(unit_page(title, found))
    figures = found.figures()
    echo(json.dumps(figures, indent=2) if as_json else f"{_units_table(figures)}\npage: {page}")


def _units_table(figures: dict[str, Any]) -> str:
    """A unit and a property a line, and how much the loss rises without the unit."""
    lines = [f"{'property':26} {'unit':16} {'r':>6} {'p':>7} {'bits/char without it':>21}"]
    lines += [
        f"{each['property']:26} {each['name']:16} {each['r']:6.3f} {each['p']:7.4f} "
        f"{each['bits_per_char']:+21.4f}"
        for each in figures["followers"]
    ]
    loss = f"{figures['nats_per_token']:.4f} nats/token, {figures['bits_per_char']:.4f} bits/char"
    return "\n".join([*lines, f"{figures['units']} units, {figures['tokens']} tokens, {loss}"])
