"""Option files: what an error says of something that may be there once and is there twice."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from seqgen.errors import RecipeError
from seqgen.option_files import checked, placed
from seqgen.options import OptionError, Size
from seqgen.overrides import read_override
from seqgen.recipe_source import RecipeSource


@dataclass(frozen=True)
class Bicycle:
    """What such a file becomes."""

    gears: tuple[Size, ...]
    colour: str = "red"


@pytest.fixture
def source(place):
    place.write("bicycle.yaml", "colour: blue\ngears:\n- 3\n- 7\n")
    return RecipeSource.read(Path("bicycle.yaml"))


def test_a_file_becomes_options(source):
    assert checked(Bicycle, source, [], "a bicycle") == Bicycle((3, 7), "blue")
    over = [read_override("gears=[1]")]
    assert checked(Bicycle, source, over, "a bicycle") == Bicycle((1,), "blue")
    with pytest.raises(RecipeError, match=r"^override bell=1: bell: not an option of a bicycle"):
        checked(Bicycle, source, [read_override("bell=1")], "a bicycle")


def test_both_places_are_named(source):
    error = OptionError(("gears", 1), "as many as gears.0", first=("gears", 0))
    assert str(placed(error, source, [])) == (
        "bicycle.yaml:4:3: gears.1: as many as gears.0; the first is at 3:3"
    )
    over = [read_override("gears.0=7", "--set")]
    assert str(placed(error, source, over)) == (
        "bicycle.yaml:4:3: gears.1: as many as gears.0; the first is that of --set gears.0=7"
    )
    over = [read_override("gears=[7,7]")]
    told = str(placed(error, source, over))
    assert told.startswith("override gears=[7,7]: gears.1: as many as gears.0; the first is that")
