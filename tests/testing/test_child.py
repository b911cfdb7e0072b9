"""What a person wants checked: files and names."""

import pytest

from seqgen.errors import PluginError, UsageError
from seqgen.heads import LinearHead, heads
from seqgen.plugins import ROOMS
from seqgen.testing.child import CHECKS, find_targets

TWO = """
from seqgen.cells import LSTM, cells
from seqgen.heads import LinearHead, heads
cells.register("one")(lambda input_size: LSTM(input_size, 4))
heads.register("two")(lambda input_size, vocab_size: LinearHead(input_size, vocab_size))
"""


@pytest.fixture(autouse=True)
def _own_registries(own_registries):
    """Each test begins with the parts of the package alone."""


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("lstm", ["cells.lstm"]),
        ("decoders.greedy", ["decoders.greedy"]),
        ("two.py", ["cells.one", "heads.two"]),
        ("two.py:two", ["heads.two"]),
    ],
)
def test_names_and_files(wanted, found, place):
    place.write("two.py", TWO)
    assert [str(each) for each in find_targets(wanted)] == found


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ("lsmt", "no part named 'lsmt'; did you mean 'lstm'?"),
        ("cells.lsmt", "no cell named 'lsmt'; did you mean 'lstm'?"),
        ("cells.greedy", "no cell named 'greedy'"),
        (
            "optimizers.adamw",
            "truncations, drafts, metrics, trackers, data, not for this kind",
        ),
    ],
)
def test_a_name_of_nothing(wanted, says):
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        find_targets(wanted)


def test_a_name_in_two_rooms_must_say_which():
    heads.register("lstm")(LinearHead)
    with pytest.raises(UsageError, match=r"say which: cells\.lstm, heads\.lstm"):
        find_targets("lstm")
    assert [str(each) for each in find_targets("heads.lstm")] == ["heads.lstm"]


@pytest.mark.parametrize(
    ("content", "wanted", "says", "kind"),
    [
        (TWO, "two.py:tow", "registers nothing called 'tow'; did you mean 'two'", UsageError),
        ("", "two.py", "registers no part; put `@cells.register", PluginError),
        ("1/0", "two.py", "cannot be imported: ZeroDivisionError", PluginError),
    ],
)
def test_a_file_that_lacks_what_is_wanted(content, wanted, says, kind, place):
    place.write("two.py", content)
    with pytest.raises(kind, match=says):
        find_targets(wanted)


def test_every_room_with_checks_is_a_room():
    assert set(CHECKS) <= set(ROOMS)
