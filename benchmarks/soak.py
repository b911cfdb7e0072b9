"""Kills, wrong recipes, damaged runs, random decoders and many steps: nothing may be lost.

    make soak                     everything, 30 minutes at most on two cores
    make soak SCALE=0.05          two minutes of it
    python benchmarks/soak.py --only runs --seed 1 --case 417      one case again

Each case follows from the seed, the stage and its number. Files of a lost case are kept in the
folder that `--keep` names.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parent.parent
LANES = (("kills", "outputs"), ("recipes", "runs", "steps"))
"""The stages; those of a lane run one after the other, the lanes beside each other."""
COUNTS = {"kills": 50, "recipes": 10_000, "runs": 2_000, "outputs": 2_000, "steps": 150_000}
WHAT = {
    "kills": "kills of six kinds of run, resumed until done, equal to the byte",
    "recipes": "mutated recipes, overrides and plans: a line, nothing written",
    "runs": "damaged run directories: output, or a line",
    "outputs": "random decoders in random constraints: alone as in a batch, streamed as whole",
    "steps": "steps of a tiny model:",
}
SECONDS = 30
"""How long one case may take before it counts as a hang."""

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dogs", "run", "far", "café"]
TEXT = """\
data: {name: text, path: text.txt, batch_size: 4, window: 16}
model:
  name: language_model
  embedding: {size: 8}
  cell: {name: lstm, hidden_size: 16}
  dropout: 0.1
train: {lr: 1e-2, max_steps: 600, validate_every: 60, log_every: 7}
decoder: {name: multinomial, temperature: 0.8}
samples: {prompts: ["the "], length: 20, temperatures: [0, 0.8]}
threads: 1
"""
PAIRS = """\
data: {name: pairs, path: pairs.tsv, batch_size: 16}
model:
  name: seq2seq
  encoder: {name: bidirectional, embedding: {size: 8}, cell: {name: gru, hidden_size: 8}}
  attention: general
  embedding: {size: 8}
  cell: {name: gru, hidden_size: 8}
metrics: [exact_match]
train: {lr: 2e-2, max_steps: 250, validations: 5, log_every: 7}
generation: {max_length: 12}
threads: 1
"""
LABELLED = """\
data: {name: labelled, path: labels.tsv, batch_size: 16}
model:
  name: classifier
  encoder: {name: recurrent, embedding: {size: 8}, cell: {name: gru, hidden_size: 8}}
  dropout: 0.2
metrics: [accuracy]
train: {lr: 1e-2, max_steps: 400, validations: 5, log_every: 7}
threads: 1
"""
RECIPES = {
    "text": TEXT,
    "pairs": PAIRS,
    "labelled": LABELLED,
    "sampled_pieces": TEXT.replace(
        "model:",
        "tokenizer: {name: sentencepiece, vocab_size: 284, sampling_alpha: 0.2}\nmodel:",
    ),
    "average": TEXT.replace("lr: 1e-2,", "lr: 1e-2, average: {name: exponential, decay: 0.99},"),
    "masks": TEXT.replace(
        "{name: lstm, hidden_size: 16}",
        "{name: variational_dropout, dropout: 0.3, cell: {name: lstm_cell, hidden_size: 16}}",
    ).replace("max_steps: 600", "max_steps: 300"),
}
PLAN = """\
strategies:
  - decoder: greedy
  - decoder: multinomial
    grid: {temperature: [0.3, 1.0]}
  - decoder: {name: beam, beam_size: 4, constraints: [{name: no_repeat_ngram, size: 2}]}
inputs: {split: test, most: 5}
max_length: 20
seeds: 2
"""
NASTY = (
    *("1e300", "-1", "0", ".nan", ".inf", "-.inf", str(2**64), "9" * 5000, "1e-400", "0.5", "null"),
    *("~", "true", "no", "''", "[]", "{}", "[[]]", "{name: lstm}", "[1, two, {}]", "'\\ud800'"),
    *('"\\uD800"', '"\\0"', "é" * 300, "/dev/zero", "/dev/null", "/", ".", "pipe", "link", "&a 1"),
    *("*a", "!!python/object/apply:os.abort []", "!x 1", "<<: {}", "|", ">", "%YAML 1.1", "---"),
    *("[" * 4000, "{a: " * 50, "1_000", "0x10", "12:30", "2001-01-01", "=", "@", "`", "\t"),
    *("a: b: c", "${HOME}", "~/x", "text.txt", "[red]x[/y]", "\x1b[31m", "x" * 70_000),
)  # fmt: skip


class Outcome(NamedTuple):
    """What came of a stage."""

    tried: int
    lost: int
    seconds: float
    note: str


class TooLongError(BaseException):
    """No except clause for errors of parts may swallow this one."""


def texts(folder: Path) -> None:
    """Write the data of all recipes and the recipes."""
    draw = random.Random(1)
    (folder / "text.txt").write_text(" ".join(draw.choice(WORDS) for _ in range(2000)))
    rows = {"".join(draw.choices("abcde", k=draw.randint(1, 5))) for _ in range(400)}
    for name, change in (("pairs", str.upper), ("labels", lambda word: word[0])):
        lines = [f"{word}\t{change(word)}\n" for word in sorted(rows)]
        (folder / f"{name}.tsv").write_text("".join(lines))
    for name, recipe in RECIPES.items():
        (folder / f"{name}.yaml").write_text(recipe)
    (folder / "plan.yaml").write_text(PLAN)


# What stays the same ---------------------------------------------------------------------------


def timeless(value: Any) -> Any:
    """Plain data without what a clock decides."""
    if isinstance(value, dict):
        gone = ("seconds", "tokens_per_second", "began", "started", "finished", "command", "time")
        return {k: timeless(each) for k, each in value.items() if not k.endswith(gone)}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def contents(folder: Path) -> dict[str, Any]:
    """What must be equal of two runs: all names, and what is in the files but for times."""
    found: dict[str, Any] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        if path.name == "checksums.json":  # of training.json, which has seconds in it
            found[name] = sorted(json.loads(path.read_text())["sha256"])
        elif path.suffix == ".json":
            found[name] = timeless(json.loads(path.read_text()))
        elif path.suffix == ".jsonl":
            found[name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
        elif path.suffix in {".html", ".pdf", ".png"}:
            found[name] = path.stat().st_size > 0
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class Kills:
    """Runs that are killed at random moments, and resumed until they are done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.references: dict[str, tuple[dict[str, Any], float, float]] = {}
        """Of each recipe what an undisturbed run left, how long it took, and with its folder."""

    def start(self, kind: str, out: Path, *more: str) -> subprocess.Popen[bytes]:
        """A run that has just made its folder."""
        with (self.folder / f"{kind}.err").open("wb") as sink:
            command = [sys.executable, "-m", "seqgen", "run", f"{kind}.yaml", "--out", str(out)]
            how = {"cwd": self.folder, "stdout": sink, "stderr": sink}
            process = subprocess.Popen([*command, *more], **how)
        while process.poll() is None and not out.exists():
            time.sleep(0.005)
        return process

    def reference(self, kind: str) -> tuple[dict[str, Any], float, float]:
        """That of `kind`, made when it is first asked for."""
        if kind not in self.references:
            out, begun = self.folder / "whole" / kind, time.monotonic()
            process = self.start(kind, out)
            there = time.monotonic()
            if process.wait():
                raise RuntimeError(f"{kind}: {(self.folder / f'{kind}.err').read_text()}")
            ended = time.monotonic()
            self.references[kind] = (contents(out), ended - begun, ended - there)
        return self.references[kind]

    def case(self, draw: random.Random, number: int) -> Iterator[str]:
        """At least one kill of a run; what is lost."""
        kind = list(RECIPES)[number % len(RECIPES)]
        wanted, whole, there = self.reference(kind)
        out, killed, code = self.folder / str(number) / kind, False, -9  # its name is in its files
        while code == -signal.SIGKILL:
            more = ["--resume"] if (out / "recipe.yaml").exists() else []
            process = self.start(kind, out, *more)
            # Half of the draws are for the end, when the report is made.
            share = draw.random() if draw.random() < 0.5 else 1 - 0.3 * draw.random()
            wait = draw.random() * whole if killed else share * there
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(120 if killed and draw.random() < 0.6 else wait)
            if process.poll() is None:
                process.kill()
                code, killed = process.wait(), True
            elif code == 0 and not killed:  # it was done before the kill: once more
                shutil.rmtree(out)
                code = -9
        if code:
            yield f"{kind}: exit {code}: {(self.folder / f'{kind}.err').read_text()[-2000:]}"
            return
        found = contents(out)
        for name in sorted(wanted.keys() | found.keys()):
            if name not in found or name not in wanted:
                yield f"{kind}: {name} is {'missing' if name in wanted else 'left behind'}"
            elif found[name] != wanted[name]:
                yield f"{kind}: {name} is another than without the kill"
        shutil.rmtree(out)


# In this process ---------------------------------------------------------------------------------


def called(*words: str) -> tuple[int, str, str]:
    """Exit code and output of the command line, in this process and within SECONDS."""
    from seqgen.cli.main import main

    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.TextIOWrapper(io.BytesIO(), "utf-8")
    faulthandler.dump_traceback_later(3 * SECONDS, exit=True, file=sys.__stderr__)
    signal.alarm(SECONDS)
    code: Any = 0
    try:
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(action="always", category=UserWarning),
        ):
            sys.argv = ["seqgen", *words]
            main()
    except SystemExit as ended:
        code = ended.code or 0
    except TooLongError as late:
        code = -1
        print(f"it took more than {SECONDS} s: {late}", file=err)
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
    texts = []
    for stream in (out, err):
        stream.seek(0)
        texts.append(stream.read())
    return code, *texts


def _alarm(number: int, frame: Any) -> None:
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    raise TooLongError(place)


def fault_of(code: int, err: str, allowed: set[int]) -> str:
    """What is wrong with an ending, if anything."""
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    if code not in allowed or "Traceback" in err:
        return f"exit {code}: {err[-1500:]}"
    if code and len(lines) != 1:
        return f"exit {code} with {len(lines)} lines: {err[-1500:]}"
    return ""


class Recipes:
    """Mutated recipes, overrides and plans, validated: a line and a code, and nothing written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to("link")
        os.chdir(folder)

    def case(self, draw: random.Random, number: int) -> Iterator[str]:
        """A recipe or a plan that is wrong here and there, or overrides; what is lost."""
        del number
        plan = draw.random() < 0.2
        text = PLAN if plan else draw.choice(list(RECIPES.values()))
        overrides = [self.override(draw, text) for _ in range(draw.choice([0, 0, 1, 1, 2]))]
        if not overrides or draw.random() < 0.6:
            content = text.encode()
            for _ in range(draw.choice([1, 1, 1, 2, 4])):
                content = mutated(draw, content)
        else:
            content = text.encode()
        path = self.folder / "mutated.yaml"
        path.write_bytes(content)
        before = listed(self.folder)
        words = ["validate", *(["--plan"] if plan else []), "mutated.yaml", *overrides]
        code, _, err = called(*words)
        fault = fault_of(code, err, {0, 2, 3, 4, 5, 7, 8})
        if fault or listed(self.folder) != before:
            yield f"{words[1:]}: {fault or 'it wrote something'}"

    @staticmethod
    def override(draw: random.Random, text: str) -> str:
        """One that may be right."""
        keys = sorted({word.strip("{},: ") for word in text.split() if word.endswith(":")} | {""})
        path = ".".join(draw.choice(keys) for _ in range(draw.randint(1, 3)))
        return draw.choice([f"{path}={draw.choice(NASTY)}", path, f"{path}=", draw.choice(NASTY)])


def mutated(draw: random.Random, content: bytes) -> bytes:
    """One thing about a file is changed."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    at, kind = draw.randrange(len(lines)), draw.randrange(10)
    line, (key, colon, _) = lines[at], lines[at].partition(": ")
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(draw.randrange(len(lines)), line)
    elif kind == 2:
        lines[at] = draw.choice(["  ", "\t", "- ", "? "]) + line
    elif kind == 3 and colon:
        lines[at] = f"{key}: {draw.choice(NASTY)}"
    elif kind == 4 and ": " in line:  # a value inside of braces
        parts = line.split(": ")
        where = draw.randrange(1, len(parts))
        rest = parts[where].partition(",")
        parts[where] = draw.choice(NASTY) + rest[1] + rest[2]
        lines[at] = ": ".join(parts)
    elif kind == 5 and len(line) > 1:  # a letter of a word
        place = draw.randrange(len(line))
        lines[at] = (
            line[:place] + draw.choice("abez_:{}[]#,'\"&*!|>%@ \0\x85\u2028") + line[place + 1 :]
        )
    elif kind == 6:
        lines[at] = line + draw.choice(NASTY)
    else:
        raw = bytearray("\n".join(lines).encode("utf-8", "surrogateescape"))
        place = draw.randrange(len(raw) + 1)
        if kind == 7:
            return bytes(raw[:place])
        if kind == 8:
            raw[place:place] = draw.randbytes(draw.randint(1, 9))
        elif place < len(raw):
            raw[place] ^= 1 << draw.randrange(8)
        return bytes(raw)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def listed(folder: Path) -> list[tuple[str, int, int]]:
    """All that lies below a folder, with size and time."""
    found = [(path, path.lstat()) for path in sorted(folder.rglob("*"))]
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in found]


class Runs:
    """Damaged run directories, read and resumed: output, or a line and exit code 5, 7 or 8."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.chdir(folder)
        self.whole = []
        for kind, size, file in (("text", 12, "text.txt"), ("pairs", 10, "pairs.tsv")):
            words = [f"train.max_steps={size}", f"data.path={folder / file}"]
            code, _, err = called("run", f"{kind}.yaml", "--out", f"whole-{kind}", *words)
            if code:
                raise RuntimeError(err)
            self.whole.append((kind, words, folder / f"whole-{kind}"))
        self.canary = folder / "canary.txt"

    def case(self, draw: random.Random, number: int) -> Iterator[str]:
        """A copy of a run, damaged and read; what is lost."""
        del number
        kind, words, whole = draw.choice(self.whole)
        self.canary.write_text("untouched")
        copy = self.folder / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(whole, copy)
        done = [self.damage(draw, copy) for _ in range(draw.choice([1, 1, 1, 2, 3]))]
        verbs = (
            ["generate", "damaged", "--prompt", "abc", "--max-length", "5"],
            ["evaluate", "damaged"],
            ["run", f"{kind}.yaml", "--out", "damaged", *words, "--resume"],
        )
        verb = draw.choice(verbs)
        code, _, err = called(*verb)
        edited = any(each.startswith("recipe.yaml") for each in done)  # by a person, so it seems
        # Other weights, behind checksums that fit them, may have scores that are no numbers.
        other = any("/model.safetensors" in each for each in done)
        fault = fault_of(code, err, {0, 5, 7, 8, *({3} if edited else ()), *({6} if other else ())})
        if self.canary.read_text() != "untouched":
            fault = "it wrote through a link"
        if fault:
            yield f"{verb} of {kind} after {done}: {fault}"

    def damage(self, draw: random.Random, copy: Path) -> str:
        """Do something to a file of the run; returns what."""
        paths = sorted(each for each in copy.rglob("*") if each.is_file() and not each.is_symlink())
        path = draw.choice(paths)
        before = hashlib.sha256(path.read_bytes()).hexdigest()
        content, kind = bytearray(path.read_bytes()), draw.randrange(11)
        if kind == 0 and content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del content[draw.randrange(len(content) + 1) :]
        elif kind == 2:
            content += draw.randbytes(9)
        elif kind == 3:
            content = bytearray(draw.choice(paths).read_bytes())
        elif kind == 4:
            content = bytearray(draw.choice(NASTY).encode("utf-8", "replace"))
        elif kind in {5, 6, 7} and path.suffix in {".json", ".jsonl", ""} and content:
            content = wrong_type(draw, content)
        else:
            path.unlink()
            does = ("folder", "pipe", "link", "gone")[kind % 4]
            if does == "folder":
                path.mkdir()
            elif does == "pipe":
                os.mkfifo(path)
            elif does == "link":
                path.symlink_to(draw.choice([self.canary, "link", "/dev/zero", "/dev/null"]))
            return f"{path.relative_to(copy)}: {does}"
        path.write_bytes(content)
        if draw.random() < 0.7:  # with right checksums, as if it had been written so
            after = hashlib.sha256(content).hexdigest()
            for other in (each for each in paths if each.suffix == ".json" and each.is_file()):
                text = other.read_bytes()
                other.write_bytes(text.replace(before.encode(), after.encode()))
        return f"{path.relative_to(copy)}: {kind}"


def wrong_type(draw: random.Random, content: bytearray) -> bytearray:
    """JSON in which one value, or one line, is of another type."""
    lines = content.decode("utf-8", "replace").splitlines() or [""]
    for whole in (content.decode("utf-8", "replace"), draw.choice(lines)):
        try:
            data = json.loads(whole)
        except ValueError:
            continue
        nasty = [None, -1, 1e308, 10**30, "x", [], {}, True, [[1]], {"a": 1}, float("nan")]
        owner: Any = {"": data}
        key: Any = ""
        while isinstance(owner[key], dict | list) and owner[key] and draw.random() < 0.85:
            owner = owner[key]
            key = draw.choice(list(owner) if isinstance(owner, dict) else range(len(owner)))
        if owner is data or data in ([], {}) or key != "":
            owner[key] = draw.choice(nasty)
        else:
            data = draw.choice(nasty)
        changed = json.dumps(data)
        old = content.decode("utf-8", "replace")
        return bytearray(old.replace(whole, changed, 1).encode())
    return bytearray(b"[" * 100_000)


def steps(folder: Path, count: int) -> Iterator[str]:
    """A tiny model for many steps; yields a sentence where memory grew, and prints its slope."""
    from seqgen.run import RunRequest, run

    os.chdir(folder)
    seen: list[tuple[int, float]] = []

    def watch(event: Any) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        seen.append((event.get("step", 0), pages * resource.getpagesize() / 2**20))

    changes = [f"train.max_steps={count}", "train.log_every=1000", "train.validate_every=10000"]
    changes += ["model.cell.hidden_size=4", "data.window=4"]
    run(RunRequest("text.yaml", changes, folder / "long"), lambda plan: None, [watch])
    later = [(step, size) for step, size in seen if step > count / 2]  # warm by then
    middle = sum(step for step, _ in later) / len(later)
    mean = sum(size for _, size in later) / len(later)
    slope = sum((s - middle) * (m - mean) for s, m in later) / sum(
        (s - middle) ** 2 for s, _ in later
    )
    note = f"{slope * 1e5:+.2f} MiB in 100,000 steps, {later[-1][1]:.0f} MiB at the end"
    print(f"NOTE {note}", flush=True)
    if slope * 1e5 > 4:
        yield f"memory grows: {note}"


# All of it ---------------------------------------------------------------------------------------


def stage(name: str, options: argparse.Namespace) -> None:
    """One stage, in this process; each lost case is a line `LOST number: what`."""
    keep = Path(options.keep).resolve()
    count = max(1, round(COUNTS[name] * options.scale))
    cases: dict[str, Callable[[Path], Any]] = {"kills": Kills, "recipes": Recipes, "runs": Runs}
    with tempfile.TemporaryDirectory(prefix=f"seqgen-soak-{name}-") as made:
        folder = Path(made).resolve()
        texts(folder)
        if name != "kills":
            from soak_outputs import Outputs

            import seqgen.build
            import seqgen.cli.main
            import seqgen.comparison
            import seqgen.run  # noqa: F401  once for all cases, and not in the time of the first

            cases["outputs"] = Outputs

            signal.signal(signal.SIGALRM, _alarm)
            resource.setrlimit(resource.RLIMIT_AS, (2**34, 2**34))  # not all of the machine's
        tried = cases[name](folder) if name in cases else None
        for number in range(count) if options.case is None else [options.case]:
            draw = random.Random(f"{options.seed}/{name}/{number}")
            for fault in tried.case(draw, number) if tried else steps(folder, max(count, 5000)):
                print(f"LOST {number}: {json.dumps(fault)}", flush=True)
                place = keep / f"{name}-{options.seed}-{number}"
                with contextlib.suppress(OSError, shutil.Error):
                    shutil.copytree(folder, place, symlinks=True, ignore=_no_case)
            if tried is None:
                break
        os.chdir(ROOT)
    print(f"DONE {count if options.case is None else 1}", flush=True)


def _no_case(folder: str, names: list[str]) -> set[str]:
    """Runs that were left whole, and pipes, which cannot be copied."""
    return {each for each in names if "whole" in each or (Path(folder) / each).is_fifo()}


def lane(names: Sequence[str], options: argparse.Namespace, found: dict[str, Outcome]) -> None:
    """Some stages, one after the other, each in a process that may crash."""
    words = [f"--{name}={getattr(options, name)}" for name in ("scale", "seed", "keep")]
    words += [] if options.case is None else [f"--case={options.case}"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    for name in (name for name in names if name in options.only):
        since = time.monotonic()
        process = subprocess.run(
            [sys.executable, __file__, f"--stage={name}", *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        lines = process.stdout.splitlines()
        lost = [line for line in lines if line.startswith("LOST ")]
        count = [int(line.split()[1]) for line in lines if line.startswith("DONE ")]
        if not count:
            lost.append(f"LOST the stage itself ended with {process.returncode}: {lines[-12:]}")
        print("".join(f"{name}: {line}\n" for line in lost), end="", flush=True)
        note = "".join(line.removeprefix("NOTE") for line in lines if line.startswith("NOTE"))
        cases = {line.split(":")[0] for line in lost}
        found[name] = Outcome(sum(count), len(cases), time.monotonic() - since, note)


def main() -> int:
    """Run the stages, print what came out; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="so much of the counts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=COUNTS, default=list(COUNTS))
    parser.add_argument("--case", type=int, help="one case of the one stage that --only names")
    parser.add_argument("--keep", default="soak", help="where lost cases go")
    parser.add_argument("--stage", choices=COUNTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        stage(options.stage, options)
        return 0
    found: dict[str, Outcome] = {}
    lanes = [threading.Thread(target=lane, args=(each, options, found)) for each in LANES]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    print(f"\n{'tried':>8} {'lost':>5} {'seconds':>8}  what (seed {options.seed})")
    for name, what in WHAT.items():
        if name in found:
            tried, lost, seconds, note = found[name]
            print(f"{tried:>8} {lost:>5} {seconds:>8.0f}  {what}{note}")
    if any(each.lost for each in found.values()):
        print(f"a case again: {sys.argv[0]} --only STAGE --seed {options.seed} --case NUMBER")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
