"""Several processes that train one model: the same weights as one, and an end that all have."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.distributed import TCPStore

from seqgen.cli.main import main
from seqgen.run import RunRequest, run
from seqgen.training import Checkpoints, joined

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, so that torch is there")

TIMES = {"seconds", "recent_seconds", "tokens_per_second", "started", "command"}

PAIRS = """\
data: {name: pairs, path: pairs.tsv, batch_size: 8}
model:
  name: seq2seq
  encoder: {name: bidirectional, embedding: {size: 6}, cell: {name: gru, hidden_size: 8}}
  attention: additive
  embedding: {size: 6}
  cell: {name: lstm_cell, hidden_size: 8}
generation: {max_length: 5}
train: {lr: 1e-2, max_steps: 12, validate_every: 6, log_every: 1}
threads: 1
"""
TWELVE = ["data.batch_size=12"]
STEPS = ["train.max_steps=50", "train.validate_every=25", "train.log_every=1"]


@pytest.fixture
def recipes(place, few_words):
    """tiny.yaml, and pairs.yaml with pairs of many lengths."""
    rows = "".join(f"{word}\t{word.upper() * (len(word) % 3 + 1)}\n" for word in few_words(120))
    place.write("pairs.tsv", rows)
    place.write("pairs.yaml", PAIRS)


@pytest.fixture
def start(place, recipes, fork):
    """A function that starts so many processes as torchrun would: copies of this one, which do what
    `seqgen run ...` does. What each says goes to its `said0`, `said1`, ..."""
    stores = []

    def call(count, action, *words):
        stores.append(TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False))

        def work(rank):
            found = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count}
            found |= {"LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1"}
            found |= {"MASTER_PORT": stores[-1].port, "TORCHELASTIC_USE_AGENT_STORE": True}
            os.environ.update({key: str(value) for key, value in found.items()})
            with (place.folder / f"said{rank}").open("w") as sys.stderr:
                action(*words)

        return [fork(lambda rank=rank: work(rank)) for rank in range(count)]

    return call


def command(*words):
    """The command line, which writes a report."""
    sys.argv = ["seqgen", "run", *words]
    with open(os.devnull, "w") as sys.stdout:  # noqa: PTH123
        main()


def program(recipe, out, *options):
    """A program that calls the library."""
    with joined() as processes:
        request = RunRequest(recipe, options, Path(out), report=False)
        run(request, lambda plan: None, processes=processes)


@pytest.fixture
def said(place):
    """A function that gives all that the processes said."""
    return lambda: "".join(path.read_text() for path in sorted(place.folder.glob("said?")))


def last(folder, name):
    return load_file(Checkpoints(Path(folder) / "checkpoints").find("last") / name)


def events(folder):
    """The log without what a clock decides."""
    lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def apart(one, other):
    """The largest difference of two sets of tensors."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name]).abs().max()) for name in one)


EQUAL = {
    "lanes in two processes": (2, ["tiny.yaml"], []),
    "lanes in two parts": (1, ["tiny.yaml"], ["train.accumulate=2"]),
    "lanes in two processes of two parts": (2, ["tiny.yaml"], ["train.accumulate=2"]),
    "windows in two processes": (2, ["tiny.yaml", "data.windows=random"], []),
    "pairs in two processes": (2, ["pairs.yaml", *TWELVE], []),
    "pairs in three parts": (1, ["pairs.yaml", *TWELVE], ["train.accumulate=3"]),
    "pairs by tokens in three processes": (
        *(3, ["pairs.yaml", "data.batch_tokens=60"], ["train.accumulate=2"]),
    ),
    "an average and a rate that looks": (
        *(2, ["tiny.yaml", "train.average=exponential", "train.schedule=plateau"], []),
    ),
}


@pytest.mark.parametrize("case", EQUAL)
def test_the_weights_are_those_of_one_process_that_reads_whole_batches(case, start, train):
    """To 1e-5 after 50 steps, although rounding differs; rows of pairs differ in length."""
    count, [recipe, *options], divided = EQUAL[case]
    steps = [*options, *STEPS]
    train(*steps, recipe=recipe, out="whole")
    processes = start(count, program, recipe, "parts", *steps, *divided)
    assert [each.wait() for each in processes] == [0] * count
    assert apart(last("whole", "model.safetensors"), last("parts", "model.safetensors")) < 1e-5
    for one, other in zip(events("whole"), events("parts"), strict=True):
        assert other["step"] == one["step"]
        for key in {"loss", "nats_per_token", "gradient_norm", "tokens", "learning_rate"} & set(
            one
        ):
            assert other[key] == pytest.approx(one[key], rel=1e-3), key


def test_a_batch_with_fewer_rows_than_processes(start, said):
    """One pair of each length, so most batches have a row for one process only."""
    Path("pairs.tsv").write_text("".join(f"{'a' * size}\t{'b' * size}\n" for size in range(1, 9)))
    options = ["data.batch_tokens=1", "data.split=[1,0,0]", "train.accumulate=2"]
    codes = [each.wait() for each in start(3, program, "pairs.yaml", "run", *options)]
    assert (codes, said()) == ([0] * 3, "")


def test_stopping_changes_no_byte(start, said):
    """Each process has random numbers and a carried state of its own, which the checkpoint has."""
    options = ["model.dropout=0.3", "train.max_steps=40", "train.log_every=1"]
    processes = start(2, command, "tiny.yaml", *options, "--out", "run")
    wait_for_step("run", 5)
    processes[1].send_signal(signal.SIGINT)  # who has it tells the other
    assert [each.wait() for each in processes] == [130, 130]
    again = "go on with: torchrun --nproc-per-node 2 -m seqgen run run --resume"
    assert re.fullmatch(rf"stopped at step \d+; {again}\n", said())
    assert 5 <= events("run")[-1]["step"] < 40
    assert start(1, command, "run", "--resume")[0].wait() == 5
    assert "it needs as many processes as wrote it: that is 2, but there are 1" in said()
    assert [each.wait() for each in start(2, command, "run", "--resume")] == [0, 0]
    assert [each.wait() for each in start(2, program, "tiny.yaml", "whole", *options)] == [0, 0]
    for name in ("model.safetensors", "training.safetensors"):
        assert apart(last("whole", name), last("run", name)) == 0
    assert events("whole") == events("run")


def wait_for_step(folder, step):
    path = Path(folder) / "metrics.jsonl"
    for _ in range(60_000):
        if path.exists() and f'"train", "step": {step},' in path.read_text():
            return
        time.sleep(0.01)
    pytest.fail(f"the run has not come to step {step} in ten minutes")


@pytest.mark.parametrize("victim", [0, 2])
def test_a_process_that_dies_ends_all_with_one_line(victim, start, said):
    endless = ["train.max_steps=1000000", "train.log_every=1", "data.batch_size=6"]
    processes = start(3, command, "tiny.yaml", *endless, "--out", "run")
    wait_for_step("run", 5)
    processes[victim].send_signal(signal.SIGKILL)
    codes = [each.wait() for each in processes]
    assert codes == [-9 if rank == victim else 7 for rank in range(3)]
    line = "another process of this run has ended, or is out of reach: .*"
    assert re.fullmatch(f"{line}\n", said()), said()


def test_processes_with_other_data_do_not_train(start, said):
    """Two machines may have files of one name with other contents."""
    for rank in range(2):
        Path(f"text{rank}.txt").write_text(Path("text.txt").read_text()[rank:])

    def work():
        command("tiny.yaml", f"data.path=text{os.environ['RANK']}.txt", "--out", "run")

    assert [each.wait() for each in start(2, work)] == [7, 7]
    assert said().startswith("the processes do not train the same: data is {'text0.txt': ")
    assert not Path("run").exists()


REFUSED = [
    (["train.lrr=1"], 3, "train.lrr: not an option"),
    (["data.path=nowhere.txt"], 4, "nowhere.txt: "),
    (["data.batch_size=5"], 3, "be divisible by 2 (2 processes, train.accumulate 1), but is 5"),
    (["train.accumulate=3"], 3, "data.batch_size: must be divisible by 6"),
    (["train.lr=1e30", "train.clip_norm=null"], 6, "no step was taken"),
]


@pytest.mark.parametrize(("words", "code", "line"), REFUSED, ids=str)
def test_an_error_of_all_is_one_line(words, code, line, start, said):
    codes = [each.wait() for each in start(2, command, "tiny.yaml", *words, "--out", "run")]
    assert codes == [code, code]
    assert line in said()
    assert said().count("\n") == 1, said()
