"""How sharp the tests of the core are: of operators swapped at random, how many does a test notice?

    python benchmarks/mutants.py --count 300 --seed 1

Each mutant is one swapped operator, number or truth value in a file of the core. The tests of the
core run once, to see which lines each of them reaches. A mutant then runs in a fork of this
process, through the tests of its room that reach its statement; where that is executed on import,
through those that reach anything in the module, and all of the module's own file. A failure, an
error, or a test that takes ten times as long as it did kills it. Prints the mutants that lived,
and the count. No file is changed, so a process that a test starts runs the code as it is.
Needs fork (Linux, macOS).
"""

from __future__ import annotations

import argparse
import ast
import gc
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from itertools import zip_longest
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import hypothesis
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "seqgen"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from house import CORE  # noqa: E402

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def sites(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int]]:
    """What can be swapped: the node, its field, and the place in it if it is a list."""
    fields = ("annotation", "returns")
    types = [getattr(node, field, None) for node in ast.walk(tree) for field in fields]
    passed = {each for found in types if found for each in ast.walk(found)}
    for node in ast.walk(tree):
        if node in passed:
            continue
        for field in ("op", "ops"):
            value = getattr(node, field, None)
            for place, each in enumerate(value if isinstance(value, list) else [value]):
                if type(each) in SWAPS:
                    yield node, field, place
        if isinstance(node, ast.Constant) and type(node.value) in (int, bool):
            yield node, "value", 0


def swap(node: ast.AST, field: str, place: int) -> None:
    """Change it in place."""
    value = getattr(node, field)
    if isinstance(value, list):
        value[place] = SWAPS[type(value[place])]()
    elif isinstance(node, ast.Constant):
        node.value = not value if isinstance(value, bool) else value + 1
    else:
        setattr(node, field, SWAPS[type(value)]())


def statement_lines(tree: ast.Module, node: ast.AST) -> range:
    """The lines of the statement around a node, without its body; none if import executes it."""
    parents = {child: each for each in ast.walk(tree) for child in ast.iter_child_nodes(each)}
    while not isinstance(node, ast.stmt):
        node = parents[node]
    above, body = parents[node], getattr(node, "body", None)
    while above is not tree and not isinstance(above, FUNCTIONS):
        above = parents[above]
    last = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
    return range(node.lineno, last + 1) if above is not tree else range(0)


class Recorder:
    """A pytest plugin that notes how long tests take, and which lines they and fixtures reach."""

    def __init__(self) -> None:
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=["seqgen"])
        self.context = ""
        self.seconds: dict[str, float] = {}
        self.users: dict[str, set[str]] = defaultdict(set)  # of each fixture
        self.failed: set[str] = set()
        self.coverage.start()

    def _within(self, context: str) -> Generator[None, object, object]:
        before, self.context = self.context, context
        self.coverage.switch_context(context)
        result = yield
        self.context = before
        self.coverage.switch_context(before)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Function) -> Generator[None, object, object]:
        start = time.process_time()
        for fixture in item.fixturenames:
            self.users[f"fixture {fixture}"].add(item.nodeid)
        result = yield from self._within(item.nodeid)
        self.seconds[item.nodeid] = time.process_time() - start
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef
    ) -> Generator[None, object, object]:
        shared = fixturedef.scope != "function"
        name = f"fixture {fixturedef.argname}" if shared else self.context
        return (yield from self._within(name))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def recorded(self) -> Recorded:
        """What was noted; tests that fail as things are can tell nothing, and are left out."""
        self.coverage.stop()
        data = self.coverage.get_data()
        good = self.seconds.keys() - self.failed
        lines = {
            path: {
                line: good & set().union(*(self.users.get(each, {each}) for each in contexts))
                for line, contexts in data.contexts_by_lineno(path).items()
            }
            for path in data.measured_files()
        }
        return Recorded({name: self.seconds[name] for name in good}, lines, self.failed)


@dataclass
class Recorded:
    """The seconds of each test, the tests that reach each line of a file, and those that fail."""

    seconds: dict[str, float]
    lines: dict[str, dict[int, set[str]]]
    failed: set[str]

    def noticing(self, path: Path, statement: range) -> dict[str, float]:
        """The tests of the room that may notice a change: the module's own first, then by files,
        the quick ones first, each with its seconds."""
        *rooms, name = path.relative_to(PACKAGE).with_suffix("").parts
        own = "/".join(("tests", *rooms, f"test_{name}.py"))
        room = f"tests/{rooms[0]}/" if rooms else own
        reached = self.lines.get(str(path), {})
        tests = set().union(*(reached.get(line, ()) for line in statement or reached))
        if not statement:
            tests |= {each for each in self.seconds if file_of(each) == own}
        files = Counter()
        for each in tests:
            files[file_of(each)] += self.seconds[each]
        found = [(file_of(each), self.seconds[each], each) for each in tests]
        found.sort(key=lambda each: (each[0] != own, files[each[0]], each))
        return {name: seconds for file, seconds, name in found if file.startswith(room)}


def file_of(test: str) -> str:
    """The file in a test's id."""
    return test.partition("::")[0]


class Loop:
    """A pytest plugin that calls a function with the tests, instead of running them."""

    def __init__(self, action: Callable[[pytest.Session], None]) -> None:
        self.action = action

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.action(session)
        return True


def collect(files: Iterable[str], action: Callable[[pytest.Session], None]) -> None:
    """Collect some files with pytest, and call `action`, if there is no error."""
    options = "-q -s -p no:cacheprovider --hypothesis-profile=mutants --hypothesis-seed=1"
    warned = "ignore::pytest.PytestAssertRewriteWarning"  # hypothesis is loaded before
    pytest.main([*options.split(), "-W", warned, *files], [Loop(action)])


def run(session: pytest.Session, tests: dict[str, float] | None = None) -> int:
    """Run collected tests until one fails, each within its time; by default all, to the end."""
    items = {each.nodeid: each for each in session.items}
    chosen = [items[name] for name in tests or items if name in items]
    for item, following in zip_longest(chosen, chosen[1:]):
        if tests:
            signal.setitimer(signal.ITIMER_PROF, 10 + 10 * tests[item.nodeid])
        try:
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        except (KeyboardInterrupt, pytest.exit.Exception):  # which no test lets through unchanged
            return 1
        if tests and session.testsfailed:
            return 1
    return 0


def in_fork(action: Callable[[], int], seconds: float) -> bool:
    """Whether `action` returns 0, and not 1, in a copy of this process, which is silent."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            status = action()
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            if status == 2 << 8:
                raise RuntimeError("this script fails in a fork")
            return status == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def record(session: pytest.Session) -> Recorded:
    """Run all tests, and note what they take and reach."""
    with tempfile.NamedTemporaryFile() as kept:

        def action() -> int:
            recorder = Recorder()
            session.config.pluginmanager.register(recorder)
            run(session)
            Path(kept.name).write_bytes(pickle.dumps(recorder.recorded()))
            return 0

        in_fork(action, 7200)
        return pickle.loads(Path(kept.name).read_bytes())


def codes(code: CodeType) -> Iterator[tuple[tuple[object, ...], CodeType]]:
    """All code in a module's, by what tells a function from others."""
    yield (code.co_qualname, code.co_firstlineno, code.co_freevars), code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes(each)


def change_functions(path: Path, code: CodeType) -> None:
    """Give all functions of a loaded module the code of a changed one."""
    changed = dict(codes(code))
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename == str(path):
            key, _ = next(codes(each.__code__))
            each.__code__ = changed[key]


def change_module(path: Path, code: CodeType) -> None:
    """Forget the package and its tests; when they are imported anew, a file has another code."""
    for name in list(sys.modules):
        if name.split(".")[0] in {"seqgen", "tests", "conftest"}:
            del sys.modules[name]
    load = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, name: str) -> CodeType | None:
        return code if self.path == str(path) else load(self, name)

    SourceFileLoader.get_code = get_code


def lives(
    session: pytest.Session, tests: dict[str, float], path: Path, code: CodeType, loaded: bool
) -> bool:
    """Whether tests pass with another code of a file: of its functions, or else of all of it."""

    def with_functions() -> int:
        change_functions(path, code)
        return run(session, tests)

    def with_module() -> int:
        change_module(path, code)
        collect(dict.fromkeys(map(file_of, tests)), lambda own: os._exit(run(own, tests)))
        return 1

    return not tests or in_fork(with_functions if loaded else with_module, 1800)


def main() -> None:
    """Draw, swap, test, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    os.chdir(ROOT)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background lacks
    hypothesis.settings.register_profile("mutants", database=None, deadline=None)
    files = [path for room in CORE for path in (f"tests/{room}", f"tests/test_{room}.py")]
    collect(filter(os.path.exists, files), lambda session: count(session, options))


def count(session: pytest.Session, options: argparse.Namespace) -> None:
    """Try as many mutants as were asked for."""
    every = [
        (path, at)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") in CORE
        for at, _ in enumerate(sites(ast.parse(path.read_text(encoding="utf-8"))))
    ]
    drawn = random.Random(options.seed).sample(every, min(options.count, len(every)))
    recorded, killed = record(session), 0
    for name in sorted(recorded.failed):
        print(f"left out, as it fails without a change: {name}")
    for number, (path, at) in enumerate(drawn, 1):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        node, field, place = list(sites(tree))[at]
        swap(node, field, place)
        code = compile(tree, path, "exec", dont_inherit=True)
        statement = statement_lines(tree, node)
        if lives(session, recorded.noticing(path, statement), path, code, bool(statement)):
            line = getattr(node, "lineno", 0)
            print(f"lives: {path.relative_to(ROOT)}:{line}: {ast.unparse(node)}", flush=True)
        else:
            killed += 1
        if number % 25 == 0 or number == len(drawn):
            print(f"{killed} of {number} killed (seed {options.seed})", flush=True)


if __name__ == "__main__":
    main()
