"""The command as a whole: its help, wrong command lines, defects, and how it ends."""

import sys
import typing
import warnings

import pytest

from seqgen.cli.main import app, main
from seqgen.cli.recipes import data_app, recipes_app

VERBS = ("run", "generate", "evaluate", "list", "validate", "schema", "check", "new", "data")


STRANGE = ("-1", str(2**64), "1" + "0" * 99, "9" * 5000, "-1e300", "nan", ".nan", "'3'", "true", "")
NUMBERS = [
    (verb, option)
    for verb, options in {
        "generate": ("--seed", "--max-length", "--samples", "--n-best"),
        "compare": ("--seed", "--most"),
        "check": ("--seconds",),
        "verify-resume": ("--at",),
    }.items()
    for option in options
]


def parts_of(annotation):
    """All types that an annotation is made of."""
    for each in typing.get_args(annotation):
        yield each
        yield from parts_of(each)


class TestHelp:
    def test_help_lists_all_verbs(self, command):
        told = command("--help").out
        assert all(f" {verb} " in told for verb in VERBS)
        assert "--version" in told

    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize("width", [40, 120])
    def test_every_verb_says_what_it_does(self, verb, width, command, monkeypatch):
        monkeypatch.setenv("COLUMNS", str(width))
        ended = command(verb, "--help" if width > 40 else "-h")
        assert (ended.code, ended.err) == (0, "")
        assert f"Usage: seqgen {verb}" in ended.out
        assert max(len(line) for line in ended.out.splitlines()) <= width

    def test_version(self, command):
        from seqgen import __version__

        assert command("--version") == (0, f"seqgen {__version__}\n", "")


class TestAWrongCommandLine:
    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["rnu"], "rnu"),
            (["run"], "recipe"),
            (["run", "tiny.yaml", "--nonsense"], "--nonsense"),
            (["--nonsense"], "--nonsense"),
            (["generate"], "run"),
            (["generate", "x", "--samples", "many"], "--samples"),
            (["generate", "x", "--samples", "0"], "--samples"),
            (["generate", "x", "--max-length", "-1"], "--max-length"),
            (["generate", "x", "--seed", "-1"], "--seed"),
            (["evaluate", "x", "--split", "train"], "'valid', 'test'"),
            (["run", "tiny.yaml", "--resume", "--overwrite"], "exclude one another"),
            (["generate", "x", "--max-length"], "--max-length"),
            (["schema", "too", "many"], "too"),
            (["data", "gte"], "gte"),
        ],
    )
    def test_a_wrong_command_line_is_one_line_and_code_2(self, words, told, command):
        ended = command(*words)
        assert ended.code == 2
        assert told in ended.err.lower()
        assert ended.err.count("\n") == 1
        assert ended.out == ""

    @pytest.mark.parametrize("value", STRANGE, ids=lambda value: value[:12])
    @pytest.mark.parametrize(("verb", "option"), NUMBERS)
    def test_a_number_has_the_range_that_recipes_have(self, verb, option, value, command):
        ended = command(verb, "nowhere", option, value)
        digits = "malformed at character 1: an integer of 5000 digits; at most 100 are read"
        wanted = digits if len(value) > 100 else "must be " if value else "the value is empty"
        assert ended.err.startswith(f"seqgen {verb}: Invalid value for '{option}': {wanted}")
        assert (ended.code, ended.err.count("\n")) == (2, 1)

    def test_no_option_reads_numbers_in_another_way(self):
        for each in (
            *app.registered_commands,
            *data_app.registered_commands,
            *recipes_app.registered_commands,
        ):
            for annotation in typing.get_type_hints(each.callback, include_extras=True).values():
                if {int, float} & {annotation, *parts_of(annotation)}:
                    assert annotation.__metadata__[0].parser is not None, each.name

    def test_no_words_at_all_get_the_help(self, command):
        ended = command()
        assert ended.code == 2
        assert "Usage: seqgen" in ended.out
        assert ended.err == ""


class TestHowItEnds:
    def test_a_defect_ends_with_a_traceback_and_code_1(self, command, monkeypatch, place):
        monkeypatch.setattr("seqgen.config.check_options", lambda *any: 1 / 0)
        ended = command("validate", "tiny.yaml")
        assert ended.code == 1
        assert "Traceback" in ended.err
        assert ended.err.endswith(
            "this is a defect of seqgen; please report it with the lines above\n"
        )

    def test_a_warning_is_shown_once_and_control_c_is_no_defect(self, command, monkeypatch, place):
        def warn(*any):
            for text in ("one", "two", "one"):
                warnings.warn(text, stacklevel=1)
            raise KeyboardInterrupt

        monkeypatch.setattr("seqgen.config.check_options", warn)
        said = "warning: one\nwarning: two\ninterrupted\n"
        assert command("validate", "tiny.yaml") == (130, "", said)
        assert command("validate", "tiny.yaml") == (130, "", said)

    def test_too_little_memory_is_no_defect(self, command, monkeypatch, place):
        def need(*any):
            raise MemoryError

        monkeypatch.setattr("seqgen.config.check_options", need)
        said = "there is not enough memory for this\n"
        assert command("validate", "tiny.yaml") == (7, "", said)

    def test_control_c_during_an_import_ends_at_once(self, spawn, place):
        """A library that swallows every exception while it is imported."""
        place.write(
            "swallows.py",
            "import signal\n"
            "try:\n    signal.raise_signal(signal.SIGINT)\n    open('on', 'w')\n"
            "except BaseException:\n    pass\n",
        )
        process = spawn("list", "--plugin", "swallows.py")
        assert process.communicate() == ("", "interrupted\n")
        assert process.returncode == 130
        assert not (place.folder / "on").exists()

    def test_a_closed_pipe_is_no_error(self, monkeypatch, tmp_path):
        """`seqgen --version | true`, in this process."""
        with (tmp_path / "out").open("w") as out:
            monkeypatch.setattr(sys, "argv", ["seqgen", "--version"])
            monkeypatch.setattr(sys, "stdout", Gone(out))
            with pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == 0


class Gone:
    """A stream that nobody reads."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self, file):
        self.file = file

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError

    def isatty(self):
        return False

    def fileno(self):
        return self.file.fileno()
