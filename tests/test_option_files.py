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


class TestAValueFromAFile:
    def test_is_one_of_the_file_that_it_is_laid_over(self, source, place):
        place.write("gears.yaml", "- 1\n- 2\n")
        over = [read_override("gears=@gears.yaml")]
        assert checked(Bicycle, source, over, "a bicycle") == Bicycle((1, 2), "blue")

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("- 1\n-   0\n", "gears.yaml:1:1: gears: must be at least 1 and at most 1000000"),
            ("a: 1\n", "gears.yaml:1:1: gears: must be a list"),
            ("[1", "gears.yaml:1:3: "),
        ],
    )
    def test_has_its_faults_where_they_are(self, content, said, source, place):
        place.write("gears.yaml", content)
        with pytest.raises(RecipeError) as caught:
            checked(Bicycle, source, [read_override("gears=@gears.yaml")], "a bicycle")
        assert str(caught.value).startswith(said)


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
