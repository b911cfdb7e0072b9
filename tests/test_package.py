"""The package as a whole: what importing it costs, and what it offers."""

import subprocess
import sys
from importlib.metadata import entry_points, metadata

import seqgen

HELPS = [
    ["--version"],
    ["--help"],
    *([verb, "--help"] for verb in ("run", "generate", "evaluate", "list", "validate", "schema")),
    *([verb, "--help"] for verb in ("check", "new")),
    ["data", "--help"],
    ["data", "get", "--help"],
]
HEAVY = ("torch", "numpy", "matplotlib", "pydantic", "sentencepiece", "torchtext")


def loaded(code):
    """The heavy packages that are loaded once `code` has run in a new process, and its output."""
    probe = f"{code}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=600
    )
    assert done.stderr == ""
    return done.stdout


def test_importing_it_loads_nothing_heavy():
    assert loaded("import seqgen; seqgen.load; print(seqgen.__version__)").endswith("[]\n")


def test_what_it_offers():
    assert seqgen.__all__ == ["__version__", "load"]
    assert seqgen.__version__.count(".") == 2


def test_the_distribution_has_a_name_of_its_own():
    about = metadata("seqgen-toolkit")
    assert about["Name"] == "seqgen-toolkit"
    assert about["Version"] == seqgen.__version__
    [script] = entry_points(group="console_scripts", name="seqgen")
    assert script.value == "seqgen.cli.main:main"


def test_python_dash_m_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "seqgen", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert done.stdout == f"seqgen {seqgen.__version__}\n"
    assert done.stderr == ""


def test_help_of_every_verb_version_and_completion_load_no_torch():
    code = f"""
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
    lines = loaded(code).splitlines()
    assert lines[-2:] == ["cells", "['pydantic']"], "pydantic is typer's own"
    verbs = {line.split()[2] for line in lines if "Usage: seqgen" in line}
    assert verbs >= {"run", "generate", "evaluate", "list", "validate", "schema", "data"}
    assert verbs >= {"check", "new"}
