"""What `seqgen generate RUN` answers, and how: prompts, lines, or a person who types.

Who types gets a prompt, where a line is a text, or a command such as `/temperature 0.5`.
"""

from __future__ import annotations

import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from seqgen.cli import source_lines
from seqgen.cli.generation import (
    DecoderOptions,
    LineGenerator,
    Wanted,
    answer_prompts,
    tracing_to,
    waiting_lines,
)
from seqgen.cli.output import echo
from seqgen.cli.source_lines import STANDARD_INPUT, SourceLines, json_text
from seqgen.decoders import Decoder, PathDecoder, truncations
from seqgen.errors import RecipeError, SeqgenError, UsageError, visible
from seqgen.generate import Generated, GenerationOptions
from seqgen.machine import memory_for
from seqgen.options import Count, Seed, check_plain, options_of
from seqgen.registry import plain
from seqgen.streaming import TextStream
from seqgen.trained import NO_STREAM, TrainedRun
from seqgen.yaml_io import parse_value

HELP = """\
a line is {what}{again}
/temperature 0.5    an option of the decoder; any other as well
/top_p 0.9          a truncation of the draws, also /top_k 40 ...; off takes it away
/decoder NAME       another decoder (seqgen list decoders), also NAME KEY=VALUE
/seed 3             the draws begin anew, from this seed
/length 200         the most tokens of a text
/stop "\\n"          a text ends before this string; /stop off, /max_seconds 5, /keep_stop true
{carry}/reset              forget the text so far, and begin the draws anew
/options            what is set now
/quit               end, as Ctrl-D; Ctrl-C stops a text; // begins a line with a slash"""

CARRY = (
    "/carry on           a line goes on where the last text ended; off: each is a text of its own\n"
)


def show(pieces: Iterator[str]) -> None:
    """Write the pieces to standard output as they come; nothing in them acts on a terminal."""
    for piece in pieces:
        sys.stdout.write(visible(piece))
        sys.stdout.flush()


@dataclass
class Asked:
    """What `seqgen generate` is to do with a run. With `streaming` texts are shown as they come,
    where the decoder can; if that is `required`, it has to."""

    trained: TrainedRun
    options: DecoderOptions
    wanted: Wanted
    streaming: bool
    required: bool

    def answer(
        self, prompts: Sequence[str] | None, input_file: Path | None, *, at_terminal: bool
    ) -> None:
        """Answer the prompts, the lines of a file or of standard input, or a person; `at_terminal`
        says that one reads plain texts. Raises SeqgenError."""
        trained, wanted, decoder = self.trained, self.wanted, self.options.build(self.trained)
        if self.required and not decoder.streams:
            name = self.options.spec(trained)["name"]
            raise UsageError(f"--stream: the decoder '{name}' {NO_STREAM}; leave --stream away")
        if wanted.samples > 1 and not decoder.draws:
            same = "this decoder draws nothing at random, so all samples are the same"
            warnings.warn(f"--samples {wanted.samples}: {same}", stacklevel=1)
        given = prompts is not None or input_file is not None
        if at_terminal and not given and source_lines.is_terminal():
            Conversation(trained, self.options, wanted.max_length).run()
            return
        continues = trained.built.data.continues
        lines = None if prompts is not None else waiting_lines(input_file, continues)
        if lines is None and input_file is None and wanted.output is not None:
            raise UsageError("--output goes with --input FILE or --score FILE")
        if wanted.trace is not None and wanted.trace == wanted.output:
            raise UsageError("--trace and --output must be two files")
        if lines is None and input_file is None:
            self._prompts(prompts or trained.prompts, decoder)
        else:
            self._lines(lines, input_file, decoder)

    def _prompts(self, texts: Sequence[str], decoder: Decoder) -> None:
        wanted = self.wanted
        if self.required or (self.streaming and decoder.streams and len(texts) == 1):
            stream_prompts(self.trained, texts, decoder, wanted.max_length)
            return
        with tracing_to(wanted.trace, self.trained, self.options.spec(self.trained)) as ask:
            found = partial(ask, texts, decoder, wanted.max_length, wanted.samples)
            answer_prompts(self.trained, texts, found, wanted.as_json)

    def _lines(
        self, lines: Iterator[str] | None, input_file: Path | None, decoder: Decoder
    ) -> None:
        wanted, continues = self.wanted, self.trained.built.data.continues
        exact = continues and wanted.output is None and sys.stdout.isatty()
        several = wanted.n_best is not None or wanted.samples > 1
        best = source_lines.table if several else source_lines.best_line(continues, exact)
        form = source_lines.json_line if wanted.as_json else best
        with tracing_to(wanted.trace, self.trained, self.options.spec(self.trained)) as ask:
            answers = LineGenerator(
                self.trained, decoder, form, ask, wanted.max_length, wanted.samples
            )
            if lines is not None and self.required:
                answers.stream(lines, str if exact else source_lines.one_line)
            elif lines is not None:
                answers.standard_input(lines, wanted.output)
            elif input_file is not None:
                answers.file(input_file, wanted.output)


def stream_prompts(
    trained: TrainedRun, texts: Sequence[str], decoder: Decoder, max_length: int | None
) -> None:
    """Show for each prompt what `generation.answer_prompts` shows, as it comes."""
    built, found = trained.built, []
    try:
        for text in texts:
            built.data.prompts([text], built.tokenizers)
    except ValueError as error:
        raise RecipeError(f"--prompt: {error}") from None
    for number, text in enumerate(texts):
        if len(texts) > 1:
            echo(f"=== {visible(text)!r} 1 ===")
        before = text if built.data.continues else ""
        walking = cast(PathDecoder, decoder)
        pieces = built.generator().stream(text, walking, max_length, number)
        stream: TextStream[Generated] = TextStream(before, pieces)
        try:
            show(stream)
        finally:  # what comes next, the shell's prompt or why it ended, has its own line
            echo()
        found += [stream.output] if stream.output else []
    for remark in trained.remarks(texts, found):
        warnings.warn(remark, stacklevel=1)


@dataclass
class Conversation:
    """Answers what a person types, line by line, until Ctrl-D.

    The n-th text has the id of the n-th line of a file, so the first one is that of `--prompt`. A
    wrong line is one line on standard error, and the next one is asked for.
    """

    trained: TrainedRun
    options: DecoderOptions
    max_length: int | None = None
    carries: bool = False
    past: str = field(default="", init=False)
    """The last prompt and its text."""
    answered: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.decoder = self.options.build(self.trained)
        self.continues = self.trained.built.data.continues

    def run(self) -> None:
        with suppress(ImportError):  # Windows has none, and types without history
            import readline  # noqa: F401
        what = "prompt" if self.continues else "source"
        echo(f"a {what} a line; /help says what else, Ctrl-D ends", err=True)
        while True:
            try:
                line = input("> ")
                if line.strip() == "/quit":
                    return
                self.answer(line)
            except EOFError:
                echo(err=True)
                return
            except KeyboardInterrupt:  # no text is being made, so it is the line that is given up
                echo(err=True)
            except (SeqgenError, ValueError) as error:
                echo(" ".join(str(error).split("\n")), err=True)

    def answer(self, line: str) -> None:
        """Do what a line says. Raises SeqgenError or ValueError if it is wrong."""
        if line.startswith("/") and not line.startswith("//"):
            word, _, value = line[1:].strip().partition(" ")
            self._command(word, value.strip())
            return
        text = line[1:] if line.startswith("//") else line
        goes_on = self.continues and (self.carries or not text)
        lines = SourceLines(self.trained, STANDARD_INPUT)
        asked = lines.check(self.answered + 1, (self.past if goes_on else "") + text)
        for remark in lines.remarks():
            echo(f"warning: {remark}", err=True)
        if not asked.asked:
            echo()
            return
        before = text if self.continues else ""
        shown = list[str]()
        try:
            with memory_for("the text"):
                show(_noted(self._pieces(before, asked.text), shown))
        except KeyboardInterrupt:  # what has come stays
            pass
        finally:
            echo()
        self.answered += 1
        self.past = asked.text + "".join(shown)[len(before) :]

    def _pieces(self, before: str, prompt: str) -> Iterator[str]:
        """The text, all of it at once where the decoder cannot stream."""
        number = self.answered
        if self.decoder.streams:
            walking = cast(PathDecoder, self.decoder)
            generator = self.trained.built.generator()
            pieces = generator.stream(prompt, walking, self.max_length, number)
            stream: TextStream[Generated] = TextStream(before, pieces)
            yield from stream
            output = stream.output
        else:
            asked = ([prompt], self.decoder, self.max_length, 1, [number])
            [[output, *_]] = self.trained.continuations(*asked)
            yield before + output.text
        for remark in self.trained.remarks([], [output] if output else []):
            echo(f"\nwarning: {remark}", end="", err=True)

    def _command(self, word: str, value: str) -> None:
        own = {
            "help": self._help,
            "options": self._show_options,
            "reset": self._reset,
            "seed": self._seed,
            "length": self._length,
            "carry": self._carry,
            "decoder": self._decoder,
        }
        if word in own:
            own[word](value)
        elif word in options_of(GenerationOptions):
            off = {"stop": (), "stop_tokens": (), "keep_stop": False}.get(word)
            given = off if value == "off" else _parsed(word, value)
            self.trained = self.trained.generating(**{word: given})
        elif word in truncations.names():
            self._truncate(word, value)
        elif word:
            _parsed(word, value)
            self._set(word, value, f"{word}={value}")
        else:
            raise ValueError("/: no command (/help lists them)")

    def _help(self, value: str) -> None:
        again = "; an empty one goes on with the last text" if self.continues else ""
        what = "a text to continue" if self.continues else "a source"
        echo(HELP.format(what=what, again=again, carry=CARRY if self.continues else ""))

    def _show_options(self, value: str) -> None:
        built = self.trained.built
        generation = {**plain(built.recipe.generation)}
        if self.max_length is not None:
            generation["max_length"] = self.max_length
        echo(f"decoder {json_text(self.options.spec(self.trained))}", end="")
        seed = built.recipe.seed if self.options.seed is None else self.options.seed
        echo(f"seed {seed}")
        echo(f"generation {json_text(generation)}", end="")

    def _reset(self, value: str) -> None:
        self.past, self.answered = "", 0

    def _seed(self, value: str) -> None:
        seed = _checked("seed", Seed, value)
        self._change(self.options._replace(seed=seed))
        self.answered = 0

    def _length(self, value: str) -> None:
        self.max_length = _checked("length", Count, value)

    def _carry(self, value: str) -> None:
        if not self.continues:
            raise ValueError("/carry: each source is answered by itself")
        if value not in ("on", "off", ""):
            raise ValueError(f"/carry: must be on or off, but is {value}")
        self.carries = value != "off"

    def _decoder(self, value: str) -> None:
        """Another one, with its own defaults but for what is given, or the recipe's."""
        words: list[str | None] = [*shlex.split(value)]
        name, *settings = words or [None]
        options = self.options._replace(name=name, n_best=None)
        try:
            self._change(options._replace(settings=[each for each in settings if each]))
        except RecipeError as error:
            said = re.sub(r"^(--decoder [^ :]*|--set [^:]*): ", "", str(error))
            raise ValueError(f"/decoder {value}: {said}") from None

    def _truncate(self, word: str, value: str) -> None:
        """A truncation among those of the decoder; the option of a decoder that is short for it."""
        spec = self.options.spec(self.trained)
        key = next(iter(truncations.entry(word).options))
        if value != "off":
            _parsed(word, value)
        if spec["name"] == word and value != "off":
            change = f"{key}={value}"
        else:
            kept = [each for each in spec.get("truncations") or () if each["name"] != word]
            if value != "off":
                kept.append({"name": word, key: _parsed(word, value)})
            change = f"truncations={json_text(kept).strip()}"
        self._set(word, value, change)

    def _set(self, word: str, value: str, setting: str) -> None:
        """Change an option of the decoder, as `--set` does. Raises ValueError."""
        try:
            self._change(self.options._replace(settings=[*self.options.settings, setting]))
        except RecipeError as error:
            said = str(error).rpartition(f"{setting}: ")[2].replace("--decoder", "/decoder NAME")
            said = re.sub(rf"^({word}|truncations(\.\d+)*)[:.] ?", "", said)
            raise ValueError(f"/{word} {value}: {said}") from None

    def _change(self, options: DecoderOptions) -> None:
        """Take other options. Raises RecipeError, and keeps those before, if they are wrong."""
        self.decoder = options.build(self.trained)
        self.options = options


def _noted(pieces: Iterator[str], into: list[str]) -> Iterator[str]:
    for piece in pieces:
        into.append(piece)
        yield piece


def _parsed(word: str, value: str) -> Any:
    if not value:
        raise ValueError(f"/{word}: no value (/help shows some)")
    if word.startswith("stop") and value[0] not in "\"'[":  # YAML would read 5 or # otherwise
        return value
    try:
        return parse_value(value)
    except ValueError as error:
        raise ValueError(f"/{word} {value}: {error}") from None


def _checked(word: str, kind: Any, value: str) -> Any:
    try:
        return check_plain(kind, _parsed(word, value))
    except ValueError as error:
        raise ValueError(f"/{word}: {str(error).removeprefix(f'/{word}: ')}") from None
