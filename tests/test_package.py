"""The package as a whole: what importing it costs, and what it offers."""

import subprocess
import sys
from importlib.metadata import entry_points, metadata
from pathlib import Path

import pytest

import seqgen

VERBS = ("run", "generate", "evaluate", "serve", "list", "validate", "schema", "check", "new")
VERBS += ("data",)
HELPS = [
    ["--version"],
    ["--help"],
    *([verb, "--help"] for verb in VERBS),
    ["data", "get", "--help"],
]
HEAVY = ("torch", "numpy", "matplotlib", "pydantic", "sentencepiece", "torchtext", "fastapi")


def run_python(*words):
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def loaded(code):
    """The heavy packages that are loaded once `code` has run in a new process, and its output."""
    probe = f"import sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    return run_python("-c", f"{code}\n{probe}")


def test_importing_it_loads_nothing_heavy():
    assert loaded("import seqgen; print(seqgen.__version__)").endswith("[]\n")


def test_what_it_offers():
    assert seqgen.__all__ == ["Run", "__version__", "load", "train"]
    assert all(getattr(seqgen, name) for name in seqgen.__all__)
    assert set(seqgen.__all__) <= set(dir(seqgen))
    with pytest.raises(AttributeError, match="has no attribute 'tarin'"):
        seqgen.tarin  # noqa: B018
    assert seqgen.__version__.count(".") == 2
    assert (Path(seqgen.__file__).parent / "py.typed").is_file()


def test_the_distribution_has_a_name_of_its_own():
    about = metadata("seqgen-toolkit")
    assert (about["Name"], about["Version"]) == ("seqgen-toolkit", seqgen.__version__)
    [script] = entry_points(group="console_scripts", name="seqgen")
    assert script.value == "seqgen.cli.main:main"


def test_python_dash_m_is_the_command():
    assert run_python("-m", "seqgen", "--version") == f"seqgen {seqgen.__version__}\n"


CODE = f"""
import os, sys
from seqgen.cli.main import main

for words in {HELPS!r}:
    sys.argv = ["seqgen", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
os.environ.update(_SEQGEN_COMPLETE="complete_bash", COMP_WORDS="seqgen list cel", COMP_CWORD="2")
sys.argv = ["seqgen"]
try:
    main()
except SystemExit:
    pass
"""


def test_help_of_every_verb_version_and_completion_load_no_torch():
    lines = loaded(CODE).splitlines()
    assert lines[-2:] == ["cells", "['pydantic']"], "pydantic is typer's own"
    assert {line.split()[2] for line in lines if "Usage: seqgen" in line} >= set(VERBS)
