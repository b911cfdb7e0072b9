"""Checkpoints: what training remembers goes out and comes back, and nothing damaged is loaded."""

import copy
import hashlib
import json
import math
import os
import pickle
import shutil
from contextlib import suppress
from dataclasses import asdict

import pytest
import torch
from disk import Trap, contents, huge
from safetensors.torch import load_file, save_file
from torch import nn

from seqgen.errors import CheckpointError, SetupError
from seqgen.state import leaves
from seqgen.training import Checkpoints, averages, load_state, load_weights, optimizers, schedules
from seqgen.training.checkpoint import Counters, Moving, restore_training, training_state

OPTIONS = {
    "adamw": {"betas": [0.8, 0.99], "amsgrad": True},
    "sgd": {"momentum": 0.9},
    "rmsprop": {"centered": True, "momentum": 0.5},
}
ONLY_FOR_MATRICES = {"muon"}


class Carrying(nn.Linear):
    """A model whose state is a pair of a tensor and a pair."""

    def initial_state(self, rows):
        return torch.zeros(rows, 2), (torch.zeros(rows, 3), None)


STATE = (torch.rand(4, 2), (torch.rand(4, 3), None))


def fresh(name="adamw", seed=1, average="none"):
    """A small model and what moves it."""
    torch.manual_seed(seed)
    model = Carrying(3, 2, bias=name not in ONLY_FOR_MATRICES)
    parameters = list(model.parameters())
    options = {"name": name, **OPTIONS.get(name, {})}
    optimizer = optimizers.build(options, params=parameters, lr=0.1)
    average = averages.build(average, weights=parameters)
    return model, Moving(optimizer, schedules.build("plateau"), average)


def step(model, moving, progress=1.0):
    moving.optimizer.zero_grad()
    model(torch.rand(4, 3)).square().sum().backward()
    moving.optimizer.step()
    moving.average.update(progress)


def through_json(moving, counters=None, state=None, trained=()):
    """What a checkpoint makes of a training state: JSON, and tensors of their own."""
    taken = training_state(counters or Counters(), state, moving, trained)
    tensors = {key: tensor.clone() for key, tensor in taken.pop("tensors").items()}
    return json.loads(json.dumps(taken)), tensors


def same_weights(one, other):
    return all(map(torch.equal, one.parameters(), other.parameters()))


class TestTrainingState:
    @pytest.mark.parametrize("name", optimizers.names())
    def test_an_optimizer_goes_on_as_if_nothing_had_been(self, name):
        model, moving = fresh(name)
        for _ in range(3):
            step(model, moving)
        saved = through_json(moving, Counters(step=3))
        weights = copy.deepcopy(model.state_dict())
        step(model, moving)

        again, other = fresh(name, seed=7)
        again.load_state_dict(weights)
        counters, carried = restore_training(saved, again, other)
        assert (counters.step, carried) == (3, None)
        step(again, other)  # draws the same numbers, since the random stream is back too
        assert same_weights(model, again)

    @pytest.mark.parametrize(
        "counters", [Counters(7, 70, 1.5, 0.25, 5, 2, 0.5, 3, 0.75, "done"), Counters()]
    )
    def test_counters_schedule_and_carried_state_come_back(self, counters):
        (_, moving), (model, other) = fresh(), fresh()
        for loss in (3.0, 2.0, 2.0, 2.0):
            moving.schedule.observe(loss)
        saved = through_json(moving, counters, STATE)
        found, carried = restore_training(saved, model, other)
        assert asdict(found) == asdict(counters)
        assert counters.best == (math.inf if counters.step == 0 else 0.25)
        assert other.schedule.memory() == moving.schedule.memory()
        assert other.schedule.factor(0.5) == moving.schedule.factor(0.5) < 1
        assert carried[1][1] is None
        assert all(map(torch.equal, leaves(carried), leaves(STATE)))

    @pytest.mark.parametrize("name", averages.names())
    def test_the_weights_and_their_mean_come_back(self, name):
        model, moving = fresh(average=name)
        for _ in range(3):
            step(model, moving, 0.75)
        with moving.average.applied() as trained:
            saved = through_json(moving, trained=trained)
            kept = copy.deepcopy(model.state_dict())
        again, other = fresh(seed=7, average=name)
        again.load_state_dict(kept)
        restore_training(saved, again, other)
        for _ in range(2):
            assert same_weights(model, again)
            for pair in ((model, moving), (again, other)):
                torch.manual_seed(3)
                step(*pair)
        with moving.average.applied(), other.average.applied():
            assert same_weights(model, again)

    @pytest.mark.parametrize("before", ["none", "exponential"])
    def test_an_average_of_another_kind_begins_anew_with_the_weights(self, before):
        model, moving = fresh(average=before)
        for _ in range(5):
            step(model, moving)
        wanted = copy.deepcopy(model)
        with moving.average.applied() as trained:
            saved = through_json(moving, trained=trained)
            if before == "none":
                del saved[0]["average"]  # as from before there were averages
            average = averages.build("tail", weights=list(model.parameters()))
            later = Moving(moving.optimizer, moving.schedule, average)
            restore_training(saved, model, later)
        average.update(1.0)
        with average.applied():
            assert same_weights(model, wanted)

    @pytest.mark.parametrize(
        "damage",
        [
            *(lambda state, _, key=key: state.pop(key) for key in ("step", "schedule", "rows")),
            lambda state, _: state.pop("optimizer"),
            lambda state, _: state["optimizer"].update(groups=state["optimizer"]["groups"] * 2),
            lambda _, tensors: tensors.pop("random.cpu"),
            lambda _, tensors: tensors.pop("carried.1"),
            lambda _, tensors: tensors.update({"random.cpu": torch.zeros(3, dtype=torch.uint8)}),
            lambda _, tensors: tensors.update({"carried.0": torch.zeros(3, 2)}),
            lambda _, tensors: tensors.update({"trained.0": torch.zeros(5, 5)}),
            lambda state, _: state.update(best="0.5"),
            lambda state, _: state.update(best=True),
            lambda state, _: state["schedule"].update(factor=[1.0]),
            lambda state, _: state["schedule"].update(waited=2**60),
            lambda state, _: state["optimizer"]["groups"][0].update(initial_lr={}),
        ],
    )
    def test_what_does_not_fit_is_refused(self, damage):
        model, moving = fresh()
        step(model, moving)
        saved = through_json(moving, state=STATE)
        damage(*saved)
        with pytest.raises(CheckpointError, match="here: the training state does not fit this rec"):
            restore_training(saved, *fresh(), "here")

    def test_what_an_optimizer_counts_may_be_a_pair(self):
        (model, moving), (_, other) = fresh(), fresh()
        for each, pair in ((moving, (1, 2)), (other, (0, 0))):
            each.optimizer.param_groups[0]["pair"] = pair
        saved = through_json(moving)
        restore_training(saved, model, other)
        assert other.optimizer.param_groups[0]["pair"] == (1, 2)
        saved[0]["optimizer"]["groups"][0]["pair"].append(3)
        with pytest.raises(CheckpointError, match="pair` must be 2 long, but is 3"):
            restore_training(saved, model, other)

    def test_a_state_of_another_model_is_refused(self):
        class Other(nn.Linear):
            def initial_state(self, rows):
                return torch.zeros(rows, 2)

        _, moving = fresh()
        with pytest.raises(CheckpointError, match="does not fit this recipe"):
            restore_training(through_json(moving, state=STATE), Other(1, 1), moving)


FILES = ("model.safetensors", "training.safetensors", "training.json", "checksums.json")
files = pytest.mark.parametrize("name", FILES)


class Tied(nn.Module):
    """Two layers with one weight, and a buffer."""

    def __init__(self, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7)
        self.head.weight = self.embedding.weight
        self.register_buffer("count", torch.tensor(seed))


def save(folder, step=3, names=("best", "last"), model=None):
    checkpoints = Checkpoints(folder)
    state = {"step": step, "note": "é", "tensors": {"random": torch.arange(step, step + 5)}}
    checkpoints.save(model or Tied(), state, names)
    return checkpoints.find(names[-1])


@pytest.fixture
def checkpoint(memory_folder):
    return save(memory_folder / "c")


def load_all(folder, model=None):
    load_weights(folder, model or Tied(seed=2))
    return load_state(folder)


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        load_all(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reseal(folder):
    """Make the checksums right again: the damage looks as if it had been written so."""
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES[:3]}
    (folder / "checksums.json").write_text(json.dumps({"format": 1, "sha256": sums}))


def names_in(folder):
    return {path.name for path in folder.iterdir()}


class TestSaving:
    def test_what_is_saved_comes_back_and_a_tied_weight_once(self, checkpoint):
        assert checkpoint.name == "step-00000003"
        assert names_in(checkpoint) == set(FILES)
        plain, tensors = load_all(checkpoint, model := Tied(seed=2))
        wanted = Tied().state_dict()
        assert all(torch.equal(wanted[key], each) for key, each in model.state_dict().items())
        assert plain == {"step": 3, "note": "é"}
        assert tensors["random"].tolist() == [3, 4, 5, 6, 7]
        names = set(load_file(checkpoint / "model.safetensors"))
        assert len(names & {"embedding.weight", "head.weight"}) == 1
        assert len(names) == 3
        assert model.head.weight is model.embedding.weight

    def test_the_same_bytes_each_time(self, memory_folder):
        one, other = (save(memory_folder / name) for name in "ab")
        assert all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)

    def test_a_tensor_may_lie_in_memory_as_it_likes_and_does_not_change(self, memory_folder):
        model = Tied()
        model.embedding.weight.data = torch.randn(3, 7).t()
        model.head.bias.data = torch.randn(14)[::2]
        before, found = copy.deepcopy(model.state_dict()), Tied(seed=2)
        load_weights(save(memory_folder / "c", model=model), found)
        for after in (model.state_dict(), found.state_dict()):
            assert all(torch.equal(before[key], each) for key, each in after.items())
        assert model.head.weight is model.embedding.weight


class TestNames:
    def test_best_and_last_are_kept_and_others_go(self, memory_folder):
        assert Checkpoints(memory_folder / "none").find("last") is None
        for step, names in [(0, ("best", "last")), (4, ("best", "last")), (8, ("last",))]:
            save(memory_folder, step, names)
        for step in (12, 100_000_000):
            save(memory_folder, step, ("last",))
            assert names_in(memory_folder) == {"step-00000004", f"step-{step:08d}", "best", "last"}

    def test_what_a_killed_process_left_goes_and_what_is_foreign_stays(self, memory_folder):
        foreign = {"step-1", "step-00000001.bak", "mine"}
        for name in (*foreign, ".writing-step-00000007", "step-00000002"):
            (memory_folder / name).mkdir()
        (memory_folder / "notes.txt").write_text("mine")
        for step in (4, 8):
            save(memory_folder, step)
        assert names_in(memory_folder) == {"step-00000008", "best", "last", "notes.txt", *foreign}

    def test_of_a_checkpoint_that_holds_more_nothing_is_removed(self, memory_folder):
        """It is told, and training goes on."""
        save(memory_folder, 4)
        notes = memory_folder / "step-00000004" / "notes.txt"
        notes.write_text("mine")
        (memory_folder / "step-00000001").symlink_to("/")
        (memory_folder / "step-00000002").write_text("mine")
        with pytest.warns(UserWarning, match="left as it is") as warned:
            save(memory_folder, 8)
        assert len(warned) == 3
        assert names_in(notes.parent) == {*FILES, "notes.txt"}
        with pytest.raises(SetupError, match=r"write the checkpoint: notes\.txt in it is not"):
            save(memory_folder, 4)
        assert notes.read_text() == "mine"

    def test_nothing_is_written_through_a_link(self, memory_folder):
        foreign, folder = memory_folder / "foreign" / "mine", memory_folder / "c"
        for each in (foreign.parent, folder):
            each.mkdir()
        foreign.write_text("mine")
        for name in (".last", f".last.{os.getpid()}.tmp", "last", "best"):
            (folder / name).symlink_to(foreign)
        (folder / ".writing-step-00000004").symlink_to(foreign.parent)
        with pytest.raises(SetupError, match="step-00000004: cannot write the checkpoint: "):
            save(folder, 4)
        (folder / ".writing-step-00000004").unlink()
        save(folder, 4)
        assert [foreign.read_text(), *foreign.parent.iterdir()] == ["mine", foreign]
        load_all(Checkpoints(folder).find("last"))

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"..", b"/", b"step-1", b"a\nb", b"\0"])
    def test_a_damaged_one_is_refused(self, content, checkpoint):
        (checkpoint.parent / "last").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last: damaged"):
            Checkpoints(checkpoint.parent).find("last")

    def test_one_that_leads_nowhere_or_to_no_file_is_refused(self, checkpoint):
        """A link to nowhere is not a run that has no checkpoint yet."""
        last, name = checkpoint.parent / "last", checkpoint.name
        for make, fault in [
            (lambda: last.symlink_to("nowhere"), "cannot be read: No such file"),
            (lambda: last.symlink_to("/dev/zero"), "this is not a regular file"),
            (lambda: os.mkfifo(last), "this is not a regular file"),
            (lambda: last.write_bytes(b"x" * 2000), "larger than 1 KiB"),
            (lambda: last.write_text("step-00000009"), "the checkpoint step-00000009 is missing"),
        ]:
            last.unlink(missing_ok=True)
            make()
            with pytest.raises(CheckpointError, match=f"last: {fault}"):
                Checkpoints(checkpoint.parent).find("last")
        last.write_text(name)
        assert Checkpoints(checkpoint.parent).find("last") == checkpoint


class TestDamage:
    @files
    def test_a_flipped_bit_is_found_wherever_it_is(self, name, checkpoint):
        path = checkpoint / name
        content = path.read_bytes()
        for place in range(0, len(content), max(1, len(content) // 60)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            if name != "checksums.json":
                assert f"{name}: damaged, its checksum is not" in refused(checkpoint)
            elif json_or_none(flipped) != json.loads(content):
                assert "checksums.json: " in refused(checkpoint) or "damaged" in refused(checkpoint)

    @files
    def test_a_file_that_is_none_or_cut_short_or_huge_is_named_and_not_read(self, name, checkpoint):
        path = checkpoint / name
        content = path.read_bytes()
        for size in (0, 1, 7, len(content) // 2, len(content) - 1):
            path.write_bytes(content[:size])
            assert f"{name}: " in refused(checkpoint)
        path.unlink()
        assert refused(checkpoint).endswith(f"{name}: the file is missing")
        for make, fault in [
            (os.mkfifo, "this is not a regular file"),
            (lambda path: path.symlink_to("/dev/zero"), "this is not a regular file"),
            (huge, "larger than"),
            (os.mkdir, "this is a directory"),
        ]:
            path.unlink(missing_ok=True)
            make(path)
            assert f"{name}: {fault}" in refused(checkpoint)

    @pytest.mark.parametrize("name", FILES[:3])
    def test_what_is_of_another_checkpoint_or_sealed_is_refused(self, name, checkpoint, tmp_path):
        path, other = checkpoint / name, save(tmp_path / "other", step=5, model=Tied(seed=4))
        content = path.read_bytes()
        shutil.copy(other / name, path)
        assert f"{name}: damaged" in refused(checkpoint)
        for damaged in (b"", b"\0" * 50, content[:-3], b"\xff" * 8 + content[8:], b"[" * 9000):
            path.write_bytes(damaged)
            reseal(checkpoint)
            reason = "cannot be read" if name.endswith("json") else "cannot be loaded"
            assert f"{name}: {reason}" in refused(checkpoint)

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            *((content, "damaged") for content in ("[]", "{}", "null", '{"format": 1}')),
            ('{"format": 1, "sha256": []}', "damaged"),
            ('{"format": 2, "sha256": {}}', "the format is 2, not 1"),
        ],
    )
    def test_checksums_of_another_shape_or_format_are_refused(self, content, fault, checkpoint):
        (checkpoint / "checksums.json").write_text(content)
        assert f"checksums.json: {fault}" in refused(checkpoint)

    def test_weights_of_another_model_are_refused(self, checkpoint):
        path = checkpoint / "model.safetensors"
        good = load_file(path)
        less = {key: each for key, each in good.items() if key != "head.bias"}
        for tensors, reason in [
            (less, "it lacks head.bias"),
            ({**good, "more": torch.zeros(2)}, "it has, unlike the model, more"),
            ({**good, "head.bias": torch.zeros(8)}, "size mismatch for head.bias"),
        ]:
            save_file(tensors, path)
            reseal(checkpoint)
            assert f"{path}: cannot be loaded: " in refused(checkpoint)
            assert reason in refused(checkpoint)

    @files
    @pytest.mark.parametrize(
        "dump", [lambda trap, path: path.write_bytes(pickle.dumps(trap)), torch.save]
    )
    def test_a_pickle_in_disguise_is_refused_and_not_executed(
        self, name, dump, checkpoint, tmp_path
    ):
        dump(Trap(tmp_path / "sprung"), checkpoint / name)
        assert f"{name}: " in refused(checkpoint)
        if name != "checksums.json":
            reseal(checkpoint)
            reason = "cannot be read" if name.endswith("json") else "cannot be loaded"
            assert f"{name}: {reason}" in refused(checkpoint)
        assert not (tmp_path / "sprung").exists()


def json_or_none(content):
    with suppress(ValueError):
        return json.loads(bytes(content))


class TestADiskThatTakesNoMore:
    def test_the_checkpoint_before_stays(self, small_disk):
        disk = small_disk(64)
        folder, filler = disk / "c", disk / "filler"
        save(folder, 4)
        before = contents(folder)
        with pytest.raises(SetupError) as caught:
            save(folder, 8, model=nn.Linear(200, 200))
        start = f"{folder}/step-00000008: cannot write the checkpoint: "
        assert str(caught.value).startswith(start)
        assert str(caught.value).endswith("; the last one, step-00000004, is as it was")
        assert "No space left on device" in str(caught.value)
        assert contents(folder) == before
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 512):  # to the last byte
                pass
        with pytest.raises(SetupError, match="cannot write the checkpoint"):
            save(folder, 8)
        filler.unlink()
        assert contents(folder) == before
        load_all(Checkpoints(folder).find("last"))
        assert save(folder, 12).name == "step-00000012"

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_a_folder_without_permission(self, tmp_path):
        folder = tmp_path / "c"
        save(folder, 4)
        before = contents(folder)
        folder.chmod(0o500)
        with pytest.raises(SetupError, match="Permission denied"):
            save(folder, 8)
        folder.chmod(0o700)
        assert contents(folder) == before

    def test_a_file_where_the_folder_should_be(self, tmp_path):
        (tmp_path / "c").write_text("mine")
        with pytest.raises(SetupError, match="cannot write the checkpoint"):
            save(tmp_path / "c")
        assert (tmp_path / "c").read_text() == "mine"
