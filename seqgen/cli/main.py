"""The command `seqgen`: its verbs, and how it ends."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from functools import partial
from typing import Annotated, Any, NoReturn

import typer

from seqgen.cli import exchanging, inspecting, parts, recipes, sweeping, verbs
from seqgen.cli.output import echo, let_go, prepare_streams
from seqgen.errors import SeqgenError
from seqgen.version import __version__

ClickError = typer.BadParameter.__mro__[2]  # click's base class, which typer does not export

_INTERRUPTED = 130

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""A full or read-only disk is no defect of ours, whichever file it was that met it."""

app = typer.Typer(
    name="seqgen",
    help="Train, sample and compare recurrent sequence models from YAML recipes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(verbs.run)
app.command("generate")(verbs.generate)
app.command("state")(verbs.state)
app.command("evaluate")(verbs.evaluate)
app.command("compare")(verbs.compare)
app.command("inspect")(inspecting.inspect)
app.command("page")(inspecting.page)
app.command("export")(inspecting.export)
app.command("tokenizer")(exchanging.tokenizer)
app.command("import")(exchanging.import_vocabulary)
app.command("serve")(inspecting.serve)
app.command("sweep")(sweeping.sweep)
app.command("list")(parts.list_parts)
app.command("validate")(recipes.validate)
app.command("schema")(recipes.schema)
app.command("check")(parts.check)
app.command("verify-resume")(verbs.verify_resume)
app.command("new")(parts.new)
app.add_typer(recipes.recipes_app, name="recipes")
app.add_typer(recipes.data_app, name="data")


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"seqgen {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """Train, sample and compare recurrent sequence models from YAML recipes."""


def main() -> NoReturn:
    """Run a verb; every expected fault is one line on standard error and an exit code."""
    prepare_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    warnings.showwarning = partial(_show_warning, set())
    try:
        code = app(prog_name="seqgen", standalone_mode=False)
        sys.stdout.flush()
    except SeqgenError as error:
        _end(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        _end("interrupted", _INTERRUPTED)
    except (BrokenPipeError, SystemExit) as error:
        # Typer and Rich turn a closed pipe into an exit. That the reader went away is no error.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        let_go(sys.stdout)
        sys.exit(0)
    except Exception as error:
        if isinstance(error, ClickError):
            _end_usage(error)
        if isinstance(error, MemoryError):
            _end("there is not enough memory for this", 7)
        if isinstance(error, OSError):
            _end_unwritten(error)
        _end_defect(error)
    if code == _INTERRUPTED:  # Typer makes an exit of Ctrl-C
        _end("interrupted", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: Any) -> None:
    """Ctrl-C: a KeyboardInterrupt, but the end of the process if a module is being imported.

    Libraries swallow the exception while they are imported, and torch's C++ code aborts on it.
    """
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            _say("interrupted")
            os._exit(_INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt


def _end(message: str, code: int) -> NoReturn:
    _say(message)
    sys.exit(code)


def _end_unwritten(error: OSError) -> None:
    """End where it was standard output that could not be written, or a disk was full."""
    name = error.filename
    if name is None and error.errno is not None:
        try:  # the error does not say what it was about, but trying again does
            sys.stdout.write("\n")
            sys.stdout.flush()
        except OSError:
            name = "standard output"
            let_go(sys.stdout)
    if name == "standard output" or error.errno in _NO_ROOM:
        _end(f"{name or 'a file'}: cannot be written: {error.strerror}", 7)


def _end_usage(error: Any) -> NoReturn:
    """A wrong command line, as Typer found it."""
    message = error.format_message()
    if not message.strip():  # no verb was given, and the help has been printed
        sys.exit(2)
    from seqgen.cli.arguments import suggestion

    near = suggestion(error, sys.argv[1:])
    if near:  # better than what Typer knows
        for guess in (" (Possible options:", " Did you mean "):
            message = message.partition(guess)[0]
        message = message.rstrip(".") + near
    message = message.replace("Value error, ", "")  # pydantic's words, of which Typer makes use
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "seqgen"
    _end(f"{command}: {message} (see {command} --help)", 2)


def _end_defect(error: Exception) -> NoReturn:
    """End after an unexpected error: a plugin's fault if its code or an object of it is involved,
    else a defect of seqgen, with the traceback."""
    from seqgen.plugins import blamed, loaded_files

    place = blamed(error)
    if place:
        file, reason = place.rpartition(":")[0], f"{type(error).__name__}: {error}"
        _end(f"{place}: the plugin broke its contract: {reason} (seqgen check {file} says more)", 8)
    traceback.print_exc()
    files = "".join(f" seqgen check {file}" for file in loaded_files())
    blame = f", or of a plugin ({files.strip()} finds out)" if files else ""
    _end(f"this is a defect of seqgen{blame}; please report it with the lines above", 1)


def _say(message: str) -> None:
    """One line on standard error."""
    echo(" ".join(message.split("\n")), err=True)


def _show_warning(
    shown: set[str],
    message: Warning | str,
    category: type[Warning],
    *place: object,
    **more: object,
) -> None:
    """Our own warnings in one line, each once; those of libraries are for their authors."""
    text = f"warning: {message}"
    if category is UserWarning and text not in shown:
        shown.add(text)
        _say(text)
