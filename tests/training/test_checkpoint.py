"""Snapshots: everything that training remembers goes out as plain data and comes back."""

import copy
import json
import math
import os
import pickle
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from seqgen.errors import CheckpointError, SetupError
from seqgen.state import leaves
from seqgen.training import averages, optimizers, schedules
from seqgen.training.checkpoint import (
    Checkpoints,
    Counters,
    load_state,
    load_weights,
    put_back,
    take,
)

OPTIONS = {
    "adamw": {"betas": [0.8, 0.99], "amsgrad": True},
    "sgd": {"momentum": 0.9},
    "rmsprop": {"centered": True, "momentum": 0.5},
}
ONLY_FOR_MATRICES = {"muon"}


def fresh(name="adamw", seed=1, schedule="plateau"):
    """A small model, its optimizer and a schedule."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2, bias=name not in ONLY_FOR_MATRICES)
    options = {"name": name, **OPTIONS.get(name, {})}
    optimizer = optimizers.build(options, params=list(model.parameters()), lr=0.1)
    return model, optimizer, schedules.build(schedule)


def none():
    return averages.build("none", weights=[])


def step(model, optimizer):
    optimizer.zero_grad()
    model(torch.rand(4, 3)).square().sum().backward()
    optimizer.step()


class Carrying(torch.nn.Linear):
    """A model whose state is a pair of a tensor and a pair."""

    def initial_state(self, rows):
        return torch.zeros(rows, 2), (torch.zeros(rows, 3), None)


def through_json(taken):
    """What a checkpoint makes of a snapshot: JSON, and tensors of their own."""
    tensors = {key: tensor.clone() for key, tensor in taken.pop("tensors").items()}
    return json.loads(json.dumps(taken)), tensors


class TestRoundTrip:
    @pytest.mark.parametrize("name", optimizers.names())
    def test_an_optimizer_goes_on_as_if_nothing_had_been(self, name):
        model, optimizer, schedule = fresh(name)
        for _ in range(3):
            step(model, optimizer)
        saved = through_json(take(Counters(step=3), None, optimizer, schedule, none()))
        weights = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        step(model, optimizer)

        again, other, another = fresh(name, seed=7)
        again.load_state_dict(weights)
        counters, carried = put_back(saved, again, other, another, none())
        assert (counters.step, carried) == (3, None)
        step(again, other)  # draws the same numbers, since the random stream is back too
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[key])

    def test_counters_and_schedule(self):
        _, optimizer, schedule = fresh()
        for loss in (3.0, 2.0, 2.0, 2.0):
            schedule.observe(loss)
        counters = Counters(7, 70, 1.5, 0.25, 5, 2, 0.5, 3, 0.75, "done")
        saved = through_json(take(counters, None, optimizer, schedule, none()))
        _, other, another = fresh()
        found = put_back(saved, torch.nn.Linear(1, 1), other, another, none())
        assert asdict(found[0]) == asdict(counters)
        assert another.memory() == schedule.memory()
        assert another.factor(0.5) == schedule.factor(0.5) < 1

    def test_a_best_that_is_not_there_yet_is_infinite(self):
        _, optimizer, schedule = fresh()
        saved = through_json(take(Counters(), None, optimizer, schedule, none()))
        found, _ = put_back(saved, torch.nn.Linear(1, 1), optimizer, schedule, none())
        assert math.inf in asdict(found).values()

    def test_the_carried_state_keeps_its_shape(self):
        _, optimizer, schedule = fresh()
        state = (torch.rand(4, 2), (torch.rand(4, 3), None))
        saved = through_json(take(Counters(), state, optimizer, schedule, none()))
        _, carried = put_back(saved, Carrying(1, 1), optimizer, schedule, none())
        assert carried[1][1] is None
        for one, other in zip(leaves(carried), leaves(state), strict=True):
            assert torch.equal(one, other)


class TestAnAverage:
    @pytest.mark.parametrize("name", averages.names())
    def test_the_weights_and_their_mean_come_back(self, name):
        model, optimizer, schedule = fresh()
        average = averages.build(name, weights=list(model.parameters()))
        for _ in range(3):
            step(model, optimizer)
            average.follow(0.75)
        with average.held() as trained:
            state = take(Counters(), None, optimizer, schedule, average, trained)
            saved = through_json(state)
            kept = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        again, other, another = fresh(seed=7)
        resumed = averages.build(name, weights=list(again.parameters()))
        again.load_state_dict(kept)
        put_back(saved, again, other, another, resumed)
        for _ in range(2):
            for one, two in zip(model.parameters(), again.parameters(), strict=True):
                assert torch.equal(one, two)
            torch.manual_seed(3)
            step(model, optimizer)
            average.follow(1.0)
            torch.manual_seed(3)
            step(again, other)
            resumed.follow(1.0)
        with average.held(), resumed.held():
            for one, two in zip(model.parameters(), again.parameters(), strict=True):
                assert torch.equal(one, two)

    def test_a_checkpoint_from_before_there_were_averages_begins_one(self):
        model, optimizer, schedule = fresh()
        saved = through_json(take(Counters(), None, optimizer, schedule, none()))
        del saved[0]["average"]
        average = averages.build("tail", weights=list(model.parameters()))
        with torch.no_grad():
            model.weight.fill_(4.0)  # loaded from the checkpoint
        put_back(saved, model, optimizer, schedule, average)
        with average.held():
            assert (model.weight == 4.0).all()

    def test_one_of_another_kind_begins_anew_with_the_weights(self):
        model, optimizer, schedule = fresh()
        before = averages.build("exponential", weights=list(model.parameters()))
        for _ in range(5):
            step(model, optimizer)
            before.follow(1.0)
        with before.held() as trained:
            saved = through_json(take(Counters(), None, optimizer, schedule, before, trained))
            after = averages.build("tail", weights=list(model.parameters()))
            put_back(saved, model, optimizer, schedule, after)
        after.follow(1.0)
        with after.held():
            for one, two in zip(model.parameters(), trained, strict=True):
                assert torch.equal(one, two)

    def test_weights_of_another_model_are_refused(self):
        model, optimizer, schedule = fresh()
        average = averages.build("exponential", weights=list(model.parameters()))
        state = take(Counters(), None, optimizer, schedule, average, [torch.zeros(5, 5)] * 2)
        with pytest.raises(CheckpointError, match="does not fit this recipe"):
            put_back(through_json(state), model, optimizer, schedule, average)


class TestWhatDoesNotFit:
    @pytest.fixture
    def saved(self):
        model, optimizer, schedule = fresh()
        step(model, optimizer)
        state = (torch.rand(4, 2), (torch.rand(4, 3), None))
        return through_json(take(Counters(), state, optimizer, schedule, none()))

    def refused(self, saved, model=None, optimizer=None):
        own, fitting, schedule = fresh()
        with pytest.raises(CheckpointError, match="the training state does not fit this recipe"):
            put_back(saved, model or Carrying(1, 1), optimizer or fitting, schedule, none())
        assert own is not None

    @pytest.mark.parametrize("key", ["step", "schedule", "optimizer", "rows"])
    def test_a_missing_part(self, key, saved):
        del saved[0][key]
        self.refused(saved)

    @pytest.mark.parametrize("key", ["random.cpu", "carried.1"])
    def test_a_missing_tensor(self, key, saved):
        del saved[1][key]
        self.refused(saved)

    def test_a_random_stream_of_another_size(self, saved):
        saved[1]["random.cpu"] = torch.zeros(3, dtype=torch.uint8)
        self.refused(saved)

    def test_a_state_of_another_model(self, saved):
        class Other(torch.nn.Linear):
            def initial_state(self, rows):
                return torch.zeros(rows, 2)

        self.refused(saved, model=Other(1, 1))

    def test_an_optimizer_with_other_groups(self, saved):
        saved[0]["optimizer"]["groups"] *= 2
        self.refused(saved)


# Checkpoints: whole or not there, and nothing damaged or foreign is loaded.


FILES = ("model.safetensors", "training.safetensors", "training.json", "checksums.json")


class Tied(nn.Module):
    """Two layers with one weight, and a buffer."""

    def __init__(self, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.embedding = nn.Embedding(7, 3)
        self.head = nn.Linear(3, 7)
        self.head.weight = self.embedding.weight
        self.register_buffer("count", torch.tensor(seed))


def state(step):
    return {"step": step, "note": "é", "tensors": {"random": torch.arange(step, step + 5)}}


def save(folder, step=3, names=("best", "last"), model=None):
    checkpoints = Checkpoints(folder)
    checkpoints.save(model or Tied(), state(step), names)
    return checkpoints.find(names[-1])


@pytest.fixture
def checkpoint(memory_folder):
    return save(memory_folder / "c")


def load_all(folder):
    load_weights(folder, Tied(seed=2))
    load_state(folder)


def refused(folder):
    with pytest.raises(CheckpointError) as caught:
        load_all(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reseal(folder):
    """Make the checksums right again: the damage looks as if it had been written so."""
    import hashlib

    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES[:3]}
    (folder / "checksums.json").write_text(json.dumps({"format": 1, "sha256": sums}))


class TestSaving:
    def test_what_is_saved_comes_back(self, checkpoint):
        assert checkpoint.name == "step-00000003"
        assert sorted(path.name for path in checkpoint.iterdir()) == sorted(FILES)
        model = Tied(seed=2)
        load_weights(checkpoint, model)
        wanted = Tied().state_dict()
        assert all(torch.equal(wanted[key], each) for key, each in model.state_dict().items())
        plain, tensors = load_state(checkpoint)
        assert plain == {"step": 3, "note": "é"}
        assert tensors["random"].tolist() == [3, 4, 5, 6, 7]

    def test_a_tied_weight_is_saved_once_and_stays_tied(self, checkpoint):
        names = set(load_file(checkpoint / "model.safetensors"))
        assert len(names & {"embedding.weight", "head.weight"}) == 1
        assert len(names) == 3
        model = Tied(seed=2)
        load_weights(checkpoint, model)
        assert model.head.weight is model.embedding.weight

    def test_the_same_bytes_each_time(self, memory_folder):
        one, other = (save(memory_folder / name) for name in "ab")
        for name in FILES:
            assert (one / name).read_bytes() == (other / name).read_bytes()

    def test_a_tensor_may_lie_in_memory_as_it_likes(self, memory_folder):
        model = Tied()
        model.embedding.weight.data = torch.randn(3, 7).t()
        model.head.bias.data = torch.randn(14)[::2]
        found = Tied(seed=2)
        load_weights(save(memory_folder / "c", model=model), found)
        assert torch.equal(found.embedding.weight, model.embedding.weight)
        assert torch.equal(found.head.bias, model.head.bias)

    def test_it_does_not_change_the_model(self, memory_folder):
        model = Tied()
        before = copy.deepcopy(model.state_dict())
        save(memory_folder / "c", model=model)
        assert all(torch.equal(before[key], each) for key, each in model.state_dict().items())
        assert model.head.weight is model.embedding.weight


class TestNames:
    def test_nothing_is_there_at_first(self, memory_folder):
        assert Checkpoints(memory_folder / "none").find("last") is None

    def test_best_and_last_are_kept_and_others_go(self, memory_folder):
        for step, names in [(0, ("best", "last")), (4, ("best", "last")), (8, ("last",))]:
            save(memory_folder, step, names)
        for step in (12, 100_000_000):
            save(memory_folder, step, ("last",))
            found = {path.name for path in memory_folder.iterdir()}
            assert found == {"step-00000004", f"step-{step:08d}", "best", "last"}

    def test_foreign_files_and_folders_are_left_alone(self, memory_folder):
        for name in ("step-1", "step-00000001.bak", "mine"):
            (memory_folder / name).mkdir()
        (memory_folder / "notes.txt").write_text("mine")
        save(memory_folder, 4)
        save(memory_folder, 8)
        found = {path.name for path in memory_folder.iterdir()}
        assert found >= {"step-1", "step-00000001.bak", "mine", "notes.txt"}

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
        assert notes.read_text() == "mine"
        assert {path.name for path in notes.parent.iterdir()} == {*FILES, "notes.txt"}
        with pytest.raises(
            SetupError, match=r"cannot write the checkpoint: notes\.txt in it is not"
        ):
            save(memory_folder, 4)
        assert notes.exists()

    def test_nothing_is_written_through_a_link(self, memory_folder):
        (memory_folder / "foreign").mkdir()
        foreign = memory_folder / "foreign" / "mine"
        foreign.write_text("mine")
        folder = memory_folder / "c"
        folder.mkdir()
        for name in (".last", f".last.{os.getpid()}.tmp", "last", "best"):
            (folder / name).symlink_to(foreign)
        (folder / ".writing-step-00000004").symlink_to(foreign.parent)
        with pytest.raises(SetupError, match="step-00000004: cannot write the checkpoint: "):
            save(folder, 4)
        (folder / ".writing-step-00000004").unlink()
        save(folder, 4)
        assert [foreign.read_text(), *foreign.parent.iterdir()] == ["mine", foreign]
        load_all(Checkpoints(folder).find("last"))

    def test_what_a_killed_process_left_goes(self, memory_folder):
        (memory_folder / ".writing-step-00000007").mkdir()
        (memory_folder / "step-00000002").mkdir()
        save(memory_folder, 8)
        names = {path.name for path in memory_folder.iterdir()}
        assert names == {"step-00000008", "best", "last"}

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"..", b"/", b"step-1", b"a\nb", b"\0"])
    def test_a_damaged_one_is_refused(self, content, checkpoint):
        (checkpoint.parent / "last").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"last: damaged"):
            Checkpoints(checkpoint.parent).find("last")

    def test_one_that_leads_nowhere_or_to_no_file_is_refused(self, checkpoint):
        """A link to nowhere is not a run that has no checkpoint yet."""
        last = checkpoint.parent / "last"
        for make, fault in [
            (lambda: last.symlink_to("nowhere"), "cannot be read: No such file"),
            (lambda: last.symlink_to("/dev/zero"), "this is not a regular file"),
            (lambda: os.mkfifo(last), "this is not a regular file"),
            (lambda: last.write_bytes(b"x" * 2000), "larger than 1 KiB"),
        ]:
            last.unlink(missing_ok=True)
            make()
            with pytest.raises(CheckpointError, match=f"last: {fault}"):
                Checkpoints(checkpoint.parent).find("last")

    def test_a_missing_checkpoint_is_named(self, checkpoint):
        shutil.rmtree(checkpoint)
        with pytest.raises(CheckpointError, match="last: the checkpoint step-00000003 is missing"):
            Checkpoints(checkpoint.parent).find("last")


class TestDamage:
    @pytest.mark.parametrize("name", FILES[:3])
    def test_a_flipped_bit_is_found_wherever_it_is(self, name, checkpoint):
        content = (checkpoint / name).read_bytes()
        for place in range(0, len(content), max(1, len(content) // 60)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            (checkpoint / name).write_bytes(flipped)
            assert f"{name}: damaged, its checksum is not" in refused(checkpoint)

    def test_a_flipped_bit_in_the_checksums_is_found_too(self, checkpoint):
        path = checkpoint / "checksums.json"
        content = path.read_bytes()
        for place in range(0, len(content), 3):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            path.write_bytes(flipped)
            if json_or_none(flipped) != json.loads(content):
                assert "checksums.json: " in refused(checkpoint) or "damaged" in refused(checkpoint)

    @pytest.mark.parametrize("name", FILES)
    def test_a_missing_or_empty_file_is_named(self, name, checkpoint):
        (checkpoint / name).write_bytes(b"")
        assert f"{name}: " in refused(checkpoint)
        (checkpoint / name).unlink()
        assert refused(checkpoint).endswith(f"{name}: the file is missing")
        (checkpoint / name).mkdir()
        assert f"{name}: this is a directory" in refused(checkpoint)

    @pytest.mark.parametrize("name", FILES)
    def test_a_file_that_is_cut_short_is_named(self, name, checkpoint):
        content = (checkpoint / name).read_bytes()
        for size in (1, 7, len(content) // 2, len(content) - 1):
            (checkpoint / name).write_bytes(content[:size])
            assert f"{name}: " in refused(checkpoint)

    def test_the_files_of_another_checkpoint_are_refused(self, checkpoint, memory_folder):
        other = save(memory_folder / "other", step=5, model=Tied(seed=4))
        for name in FILES[:3]:
            content = (checkpoint / name).read_bytes()
            shutil.copy(other / name, checkpoint / name)
            assert f"{name}: damaged" in refused(checkpoint)
            (checkpoint / name).write_bytes(content)

    @pytest.mark.parametrize("name", FILES[:3])
    def test_what_is_damaged_but_sealed_is_refused_by_its_reader(self, name, checkpoint):
        content = (checkpoint / name).read_bytes()
        for damaged in (b"", b"\0" * 50, content[:-3], b"\xff" * 8 + content[8:], b"[" * 9000):
            (checkpoint / name).write_bytes(damaged)
            reseal(checkpoint)
            reason = "cannot be read" if name.endswith("json") else "cannot be loaded"
            assert f"{name}: {reason}" in refused(checkpoint)

    @pytest.mark.parametrize(
        "content", [b"[]", b"{}", b"null", b'{"format": 1}', b'{"format": 1, "sha256": []}']
    )
    def test_checksums_of_another_shape_are_refused(self, content, checkpoint):
        (checkpoint / "checksums.json").write_bytes(content)
        assert "checksums.json: damaged" in refused(checkpoint)

    def test_a_newer_format_is_named(self, checkpoint):
        path = checkpoint / "checksums.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
        assert "checksums.json: the format is 2, not 1" in refused(checkpoint)

    def test_weights_of_another_model_are_refused(self, checkpoint):
        path = checkpoint / "model.safetensors"
        good = load_file(path)
        wrong = [
            {key: each for key, each in good.items() if key != "head.bias"},
            {**good, "more": torch.zeros(2)},
            {**good, "head.bias": torch.zeros(8)},
        ]
        reasons = (
            "it lacks head.bias",
            "it has, unlike the model, more",
            "size mismatch for head.bias",
        )
        for tensors, reason in zip(wrong, reasons, strict=True):
            save_file(tensors, path)
            reseal(checkpoint)
            assert f"{path}: cannot be loaded: " in refused(checkpoint)
            assert reason in refused(checkpoint)

    def test_what_is_endless_or_huge_is_not_read(self, checkpoint):
        for name in FILES:
            path = checkpoint / name
            content = path.read_bytes()
            path.unlink()
            for make, fault in [
                (os.mkfifo, "this is not a regular file"),
                (lambda path: path.symlink_to("/dev/zero"), "this is not a regular file"),
                (huge, "larger than"),
            ]:
                make(path)
                assert f"{name}: {fault}" in refused(checkpoint)
                path.unlink()
            path.write_bytes(content)


def huge(path):
    path.touch()
    os.truncate(path, 1 << 40)


def json_or_none(content):
    try:
        return json.loads(bytes(content))
    except ValueError:
        return None


class Trap:
    """A pickle that leaves a file behind where it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


class TestPickles:
    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize("kind", ["pickle", "torch"])
    def test_one_in_disguise_is_refused_and_not_executed(self, name, kind, checkpoint, tmp_path):
        trap, file = Trap(tmp_path / "sprung"), checkpoint / name
        if kind == "pickle":
            file.write_bytes(pickle.dumps(trap))
        else:
            torch.save(trap, file)
        assert f"{name}: " in refused(checkpoint)
        if name != "checksums.json":
            reseal(checkpoint)
            reason = "cannot be read" if name.endswith("json") else "cannot be loaded"
            assert f"{name}: {reason}" in refused(checkpoint)
        assert not (tmp_path / "sprung").exists()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestADiskThatTakesNoMore:
    def test_the_checkpoint_before_stays(self, small_disk):
        folder = small_disk(64) / "c"
        save(folder, 4)
        before = contents(folder)
        with pytest.raises(SetupError) as caught:
            save(folder, 8, model=nn.Linear(200, 200))
        assert str(caught.value).startswith(
            f"{folder}/step-00000008: cannot write the checkpoint: "
        )
        assert str(caught.value).endswith("; the last one, step-00000004, is as it was")
        assert "No space left on device" in str(caught.value)
        assert contents(folder) == before
        load_all(Checkpoints(folder).find("last"))
        save(folder, 12)
        assert Checkpoints(folder).find("last").name == "step-00000012"

    def test_full_to_the_last_byte(self, small_disk):
        disk = small_disk(64)
        folder = disk / "c"
        save(folder, 4)
        before = contents(folder)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"\0" * 512):
                pass
        with pytest.raises(SetupError, match="cannot write the checkpoint"):
            save(folder, 8)
        filler.unlink()
        assert contents(folder) == before
        save(folder, 8)

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
        assert Path(tmp_path / "c").is_file()
