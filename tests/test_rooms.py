"""The rooms: every registry by its name, and what each of its parts must have."""

import importlib
from pathlib import Path

import pytest

from seqgen.cli.completion import ROOM_NAMES
from seqgen.options import schema_of_options
from seqgen.registry import Registry
from seqgen.rooms import ROOMS

PARTS = [(room, name) for room, registry in ROOMS.items() for name in registry.names()]
PACKAGE = Path(__file__).parent.parent / "seqgen"


def test_each_has_the_name_of_its_room():
    assert all(registry.room == room for room, registry in ROOMS.items())
    assert set(ROOMS) == set(ROOM_NAMES), "what the shell completes"
    assert list(ROOM_NAMES) == sorted(ROOM_NAMES)


def test_none_is_forgotten():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if "Registry(" in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            for key, value in vars(importlib.import_module(name)).items():
                if isinstance(value, Registry):
                    found[id(value)] = f"{name}.{key}"
    assert set(found) == {id(registry) for registry in ROOMS.values()}, found


@pytest.mark.parametrize(("room", "name"), PARTS)
def test_a_part_says_what_it_is_and_where_it_stands(room, name):
    entry = ROOMS[room].entry(name)
    assert entry.summary
    assert schema_of_options(entry.options)["type"] == "object"
    file, line = entry.where.rsplit(":", 1)
    if file.startswith("seqgen/"):
        lines = (PACKAGE.parent / file).read_text(encoding="utf-8").splitlines()
        assert f'register("{name}")' in lines[int(line) - 1]
