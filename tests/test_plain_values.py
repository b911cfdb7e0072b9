"""Plain values: strict about types, and short when they are shown."""

import json
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field

from seqgen.plain_values import BadValueError, check_plain, for_json, schema_of_plain, shown


class Own:
    """A class that no plain value is of."""


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.integers(-(2**53), 2**53))
def test_integers_come_through(value):
    assert check_plain(int, value) == value


@given(st.floats(-1e30, 1e30))
def test_floats_come_through_to_the_last_bit(value):
    found = check_plain(float, value)
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)


@given(st.text())
def test_strings_come_through(value):
    assert check_plain(str, value) == value
    assert check_plain(Literal["a"] | str, value) == value


@given(plain)
@example(2**53 + 1)
def test_a_value_is_taken_as_it_is_or_refused_in_one_line(value):
    for annotation in (int, float, bool, str, Path, tuple[int, ...], float | None, Literal["a"]):
        try:
            found = check_plain(annotation, value)
        except BadValueError as error:
            found = str(error)
            wanted = "must be " + found.removeprefix("must be ").replace("\n", "")
        else:
            tuples = tuple(value) if isinstance(value, list) else value
            wanted = Path(value) if annotation is Path else tuples
            if isinstance(found, float):  # of an integer that no float is, the nearest one
                wanted = float(value)
        assert found == wanted


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, "3"),
        (int, True),
        (int, 3.0),
        (float, "3"),
        (float, True),
        (bool, 0),
        (bool, "no"),
        (str, 3),
        (str, None),
        (tuple[int, ...], "12"),
        (tuple[int, ...], [1, "2"]),
        (Path, 3),
        (float, float("nan")),
        (float, float("inf")),
        (tuple[float, ...], [1.0, float("nan")]),
        (float | Literal["auto"], float("inf")),
    ],
)
def test_types_are_not_bent(annotation, value):
    with pytest.raises(BadValueError):
        check_plain(annotation, value)


HUGE = (10**31, -(10**31), 10**400, 10**5000, -(10**5000), 1e300, -1e300, math.inf, math.nan)
FINITE = "at least -1e+30 and at most 1e+30"
EXACT = "at least -9007199254740992 and at most 9007199254740992"


@pytest.mark.parametrize("value", HUGE, ids=lambda value: shown(value)[:20])
@pytest.mark.parametrize(
    ("annotation", "wanted"),
    [
        (float, FINITE),
        (float | None, FINITE),
        (float | Literal["auto"], f"{FINITE} or 'auto'"),
        (tuple[float, ...], FINITE),
        (Sequence[float], FINITE),
        (Mapping[str, float], FINITE),
        (Annotated[tuple[float, float], Field(min_length=2)], FINITE),
        (Annotated[float, Field(gt=0)], "greater than 0 and at most 1e+30"),
        (Annotated[float, Field(lt=5)], "at least -1e+30 and less than 5"),
        (Annotated[float, annotated_types.Interval(gt=0, le=2)], "greater than 0 and at most 2"),
        (Annotated[Annotated[float, Field(ge=0, lt=1)], Field(gt=0)], "greater than 0 and less th"),
        (int, EXACT),
        (tuple[int | None, ...], EXACT),
        (Annotated[int, Field(ge=1)], "at least 1 and at most 9007199254740992"),
    ],
    ids=str,
)
def test_every_number_has_a_range_wherever_it_stands(annotation, wanted, value):
    if isinstance(value, float) and "900719" in wanted:
        wanted = "an integer"
    origin = typing.get_origin(annotation)
    if origin is dict or origin is Mapping:
        value = {"a": value}
    elif origin in (tuple, Sequence) or typing.get_origin(bare(annotation)) is tuple:
        value = [0, value]
    with pytest.raises(BadValueError) as caught:
        check_plain(annotation, value)
    assert str(caught.value).startswith(f"must be {wanted}")
    assert "\n" not in str(caught.value)


def bare(annotation):
    return typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def even(value: int) -> int:
    if value % 2:
        raise ValueError("3 is odd")
    return value


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [
        (Annotated[int, AfterValidator(even)], 3, "must be valid (3 is odd), but is 3"),
        (
            Annotated[int, Field(multiple_of=2)],
            3,
            "must be valid (input should be a multiple of 2)",
        ),
        (dict[str, int] | None, ["x"], 'must be a mapping, but is ["x"]'),
        (float | Own, "x", "must be a number, but is 'x'"),
    ],
)
def test_no_message_names_the_library(annotation, value, wanted):
    with pytest.raises(BadValueError) as caught:
        check_plain(annotation, value)
    assert str(caught.value).startswith(wanted)
    assert "value error" not in str(caught.value).lower()


def test_any_takes_anything():
    assert check_plain(Any, [1, {"a": None}]) == [1, {"a": None}]


def test_a_class_of_someones_own_takes_its_objects_and_so_no_plain_value():
    assert check_plain(Own | None, None) is None
    with pytest.raises(BadValueError, match="must be valid"):
        check_plain(Own, 5)


class TestShown:
    def test_is_json_but_for_strings(self):
        assert [shown(each) for each in ("a", 1, None, True, [1, {"b": 2}])] == [
            "'a'",
            "1",
            "null",
            "true",
            '[1, {"b": 2}]',
        ]

    @given(plain)
    def test_is_short_and_on_one_line(self, value):
        assert len(shown(value)) <= 60
        assert shown(value).isprintable()

    def test_cuts_what_is_long(self):
        assert shown("x" * 100) == "'" + "x" * 56 + "..."


class TestForJson:
    @given(plain)
    def test_is_json_that_every_reader_can_read(self, value):
        json.dumps(for_json(value), allow_nan=False)

    def test_changes_only_what_json_cannot_hold(self):
        inf, nan = float("inf"), float("nan")
        assert for_json({"a": [nan, 1.5, (inf, -inf)], "b": "nan", "c": True}) == {
            "a": [None, 1.5, [None, None]],
            "b": "nan",
            "c": True,
        }


class TestSchema:
    @pytest.mark.parametrize(
        ("annotation", "schema"),
        [
            (int, {"type": "integer", "minimum": -(2**53), "maximum": 2**53}),
            (str, {"type": "string"}),
            (bool, {"type": "boolean"}),
            (Annotated[float, Field(gt=0, le=1)], {"exclusiveMinimum": 0, "maximum": 1}),
            (Literal["a", "b"], {"enum": ["a", "b"]}),
            (tuple[str, ...], {"type": "array", "items": {"type": "string"}}),
        ],
    )
    def test_says_what_is_accepted(self, annotation, schema):
        assert schema.items() <= schema_of_plain(annotation).items()

    def test_says_nothing_about_a_type_of_someones_own(self):
        assert schema_of_plain(Own) == {}
