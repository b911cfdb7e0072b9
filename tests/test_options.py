"""Options of signatures and plain values: strict about types, and errors that say what is right."""

import json
import math
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import AfterValidator, Field

from seqgen.options import (
    REQUIRED,
    Count,
    NonNegativeFloat,
    OptionError,
    PositiveFloat,
    Seed,
    Share,
    Size,
    check_options,
    check_plain,
    check_value,
    default_of,
    did_you_mean,
    dotted,
    for_json,
    options_of,
    schema_of,
    schema_of_plain,
    shown,
)
from seqgen.registry import Part, Registry

INF, NAN = math.inf, math.nan
Fraction = Annotated[float, Field(ge=0, le=1)]


class Own:
    """A class that no plain value is of."""


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.integers(-(2**53), 2**53) | st.floats(-1e30, 1e30) | st.text())
def test_numbers_and_strings_come_through_to_the_last_bit(value):
    assert repr(check_plain(type(value), value)) == repr(value)
    if isinstance(value, str):
        assert check_plain(Literal["a"] | str, value) == value


@given(plain)
@example(2**53 + 1)
def test_a_value_is_taken_as_it_is_or_refused_in_one_line(value):
    for annotation in (int, float, bool, str, Path, tuple[int, ...], float | None, Literal["a"]):
        try:
            found = check_plain(annotation, value)
        except OptionError as error:
            found = str(error)
            wanted = "must be " + found.removeprefix("must be ").replace("\n", "")
        else:
            tuples = tuple(value) if isinstance(value, list) else value
            wanted = Path(value) if annotation is Path else tuples
            if isinstance(found, float):  # of an integer that no float is, the nearest one
                wanted = float(value)
        assert found == wanted


HUGE = (10**31, -(10**31), 10**400, 10**5000, -(10**5000), 1e300, -1e300, INF, NAN)
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
)
def test_every_number_has_a_range_wherever_it_stands(annotation, wanted, value):
    if isinstance(value, float) and "900719" in wanted:
        wanted = "an integer"
    bare = typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    origin = typing.get_origin(bare)
    value = {Mapping: {"a": value}, tuple: [0, value], Sequence: [0, value]}.get(origin, value)
    with pytest.raises(OptionError) as caught:
        check_plain(annotation, value)
    assert str(caught.value).startswith(f"must be {wanted}")
    assert "\n" not in str(caught.value)


def even(value: int) -> int:
    if value % 2:
        raise ValueError("3 is odd")
    return value


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Size, 0, "at least 1 and at most 1000000, but is 0"),
        (Size, 1_000_001, "at least 1 and at most 1000000, but is 1000001"),
        (Size, "3", "an integer, but is '3'"),
        (Size, True, "an integer, but is true"),
        (Size, 3.0, "an integer, but is 3.0"),
        (Size, None, "an integer, but is null"),
        (Size, 10**30, "at least 1 and at most 1000000"),
        (Count, -1, "at least 0 and at most 1000000000, but is -1"),
        (Seed, 2**63, "at least 0 and less than 9223372036854775808"),
        (Share, 1, "at least 0 and less than 1, but is 1"),
        (Share, 1.5, "at least 0 and less than 1, but is 1.5"),
        (PositiveFloat, 0, "greater than 0 and at most 1e+30, but is 0"),
        (PositiveFloat, -1e-3, "greater than 0 and at most 1e+30, but is -0.001"),
        (PositiveFloat, NAN, "greater than 0 and at most 1e+30, but is NaN"),
        (PositiveFloat, INF, "greater than 0 and at most 1e+30, but is Infinity"),
        (NonNegativeFloat, -INF, "at least 0 and at most 1e+30, but is -Infinity"),
        (float, 10**400, "at least -1e+30 and at most 1e+30, but is 1000"),
        (float, "3", "a number, but is '3'"),
        (float, True, "a number, but is true"),
        (PositiveFloat | None, 0, "greater than 0 and at most 1e+30, but is 0"),
        (Size | None, "x", "an integer, but is 'x'"),
        (Size | Literal["auto"], 0, "at least 1 and at most 1000000 or 'auto', but is 0"),
        (Size | Literal["auto"], "all", "an integer or 'auto', but is 'all'"),
        (Literal["a", "b"], "c", "'a' or 'b', but is 'c'"),
        (bool, 0, "true or false, but is 0"),
        (bool, "no", "true or false, but is 'no'"),
        (str, 5, "a string, but is 5"),
        (str, None, "a string, but is null"),
        (Path, 3, "a string, but is 3"),
        (tuple[int, ...], "12", "a list, but is '12'"),
        (tuple[int, ...], [1, "2"], 'an integer, but is [1, "2"]'),
        (tuple[float, float], [1.0], "longer, but is [1.0]"),
        (tuple[float, float], [1, 2, 3], "at most 2 long, but is [1, 2, 3]"),
        (tuple[float, ...], 1.0, "a list, but is 1.0"),
        (Annotated[tuple[str, ...], Field(min_length=1)], [], "at least 1 long, but is []"),
        (tuple[Fraction, ...], [0, 2], "at least 0 and at most 1, but is [0, 2]"),
        (Annotated[int, AfterValidator(even)], 3, "valid (3 is odd), but is 3"),
        (Annotated[int, Field(multiple_of=2)], 3, "valid (input should be a multiple of 2)"),
        (dict[str, int] | None, ["x"], 'a mapping, but is ["x"]'),
        (float | Own, "x", "a number, but is 'x'"),
        (Own, 5, "valid"),
    ],
)
def test_an_error_says_what_would_be_right(annotation, value, message):
    with pytest.raises(OptionError) as caught:
        check_value(annotation, value, ("a", "b"))
    assert str(caught.value).startswith(f"a.b: must be {message}")
    assert caught.value.path == ("a", "b")


@pytest.mark.parametrize(
    ("annotation", "value", "wanted"),
    [
        (float, 3, 3.0),
        (PositiveFloat, 1e-300, 1e-300),
        (Size, 1_000_000, 1_000_000),
        (Size | None, None, None),
        (Size | Literal["auto"], "auto", "auto"),
        (PositiveFloat | None, 2, 2.0),
        (tuple[float, float], [1, 2], (1.0, 2.0)),
        (tuple[str, ...], [], ()),
        (str, "3", "3"),
        (str, "", ""),
        (Path, "a/b", Path("a/b")),
        (Path | None, None, None),
        (bool, False, False),
        (Any, [1, {"a": None}], [1, {"a": None}]),
        (Own | None, None, None),
        (Mapping[str, tuple[Size, ...]], {"a": [1, 2], "b": []}, {"a": (1, 2), "b": ()}),
    ],
)
def test_right_values_get_their_type(annotation, value, wanted):
    found = check_value(annotation, value, ())
    assert (found, type(found)) == (wanted, type(wanted))


class TestShown:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            *[("a", "'a'"), (1, "1"), (None, "null"), (True, "true")],
            ([1, {"b": 2}], '[1, {"b": 2}]'),
            ("x" * 100, "'" + "x" * 56 + "..."),
        ],
    )
    def test_is_json_but_for_strings(self, value, text):
        assert shown(value) == text

    @given(plain)
    def test_is_short_and_on_one_line(self, value):
        assert len(shown(value)) <= 60
        assert shown(value).isprintable()


@given(plain)
def test_json_can_be_read_by_every_reader(value):
    json.dumps(for_json(value), allow_nan=False)


def test_for_json_changes_only_what_json_cannot_hold():
    value = {"a": [NAN, 1.5, (INF, -INF)], "b": "nan", "c": True}
    assert for_json(value) == {"a": [None, 1.5, [None, None]], "b": "nan", "c": True}


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
def test_a_schema_says_what_is_accepted(annotation, schema):
    assert schema.items() <= schema_of_plain(annotation).items()


def test_a_schema_says_nothing_about_a_type_of_someones_own():
    assert schema_of_plain(Own) == {}


# Options out of signatures: what a value may be, and what an error says.
wheels: Registry[Any] = Registry("wheel", supplied={"axle"})
Wheel = Annotated[Callable[..., Any], wheels]


@wheels.register("plain")
class Plain:
    """A wheel."""

    def __init__(self, axle: int, spokes: Size = 8, weight: PositiveFloat = 1.5) -> None:
        self.spokes = spokes


@wheels.register("double")
class Double:
    """Two wheels in one."""

    def __init__(self, inner: Wheel, outer: Wheel = Plain) -> None:
        self.inner, self.outer = inner(axle=1), outer(axle=2)


@dataclass(frozen=True)
class Colours:
    """A section."""

    frame: str = "red"
    stripes: tuple[Share, ...] = (0.1,)

    def __post_init__(self) -> None:
        if self.frame == "none":
            raise ValueError("`frame` must have a colour")


def bicycle(
    front: Wheel = Plain,
    rear: Wheel | None = None,
    spare: Sequence[Wheel] = (),
    colours: Colours = Colours(),
    gears: Size | Literal["auto"] = "auto",
    bell: bool = False,
    folder: Path | None = None,
    *,
    rider: str,
    **others: Any,
) -> None:
    """A function with options."""


def check(**values):
    return check_options(options_of(bicycle), {"rider": "Ann", **values}, (), "a bicycle")


class TestSignatures:
    def test_options_are_the_named_parameters(self):
        found = options_of(bicycle)
        assert list(found)[-2:] == ["folder", "rider"]
        assert "others" not in found
        assert found["rider"].default is REQUIRED
        assert found["bell"].annotation is bool
        assert found["gears"].default == "auto"

    def test_those_of_a_class_are_its_constructors_and_of_a_dataclass_its_fields(self):
        class Constructed(Colours):
            def __init__(self, gears: Size, frame: Path) -> None:
                super().__init__(str(frame))

        class Same(Colours):
            pass

        assert list(options_of(Plain)) == ["axle", "spokes", "weight"]
        assert options_of(Plain)["spokes"].annotation == Size
        assert list(options_of(Colours)) == ["frame", "stripes"]
        found = {name: option.annotation for name, option in options_of(Constructed).items()}
        assert found == {"gears": Size, "frame": Path}
        assert options_of(Same) == options_of(Colours)

    def test_a_parameter_without_an_annotation_takes_anything(self):
        def free(x, y=1):
            pass

        found = check_options(options_of(free), {"x": [1, {"a": None}]}, (), "it")
        assert found == {"x": [1, {"a": None}], "y": 1}


class TestDefaults:
    def test_are_filled_in_and_checked(self):
        found = check_options(options_of(bicycle), {"rider": "Ann"}, ("garage", 0), "a bicycle")
        front = found.pop("front")
        assert isinstance(front, Part)
        assert (front.name, front.path) == ("plain", ("garage", 0, "front"))
        assert front.options == {"spokes": 8, "weight": 1.5}
        wanted = {"rear": None, "spare": (), "colours": Colours(), "gears": "auto"}
        assert found == {**wanted, "bell": False, "folder": None, "rider": "Ann"}

    def test_of_a_list_of_parts_become_parts(self):
        def tricycle(spare: Sequence[Wheel] = ("plain", Plain)) -> None:
            pass

        found = check_options(options_of(tricycle), {}, (), "a tricycle")["spare"]
        assert [part.name for part in found] == ["plain", "plain"]
        assert default_of(options_of(tricycle)["spare"]) == found

    def test_what_has_none_is_required(self):
        with pytest.raises(OptionError, match=r"^shop: `rider` is missing; a bicycle needs it"):
            check_options(options_of(bicycle), {}, ("shop",), "a bicycle")


class TestPartsAndSections:
    @pytest.mark.parametrize(
        ("option", "value", "spokes"),
        [
            ("rear", "plain", 8),
            ("rear", {"name": "plain", "spokes": 32}, 32),
            ("front", {"spokes": 32}, 32),  # without a name it is the default part
        ],
    )
    def test_a_part_is_a_name_with_or_without_options(self, option, value, spokes):
        part = check(**{option: value})[option]
        assert (part.name, part.path) == ("plain", (option,))
        assert part.options == {"spokes": spokes, "weight": 1.5}

    def test_none_where_the_signature_has_it(self):
        assert check(rear=None)["rear"] is None
        for annotation in (Sequence[Wheel] | None, Colours | None, dict[str, Wheel] | None):
            assert check_value(annotation, None, ()) is None

    def test_parts_nest(self):
        found = check(front={"name": "double", "inner": {"name": "double", "inner": "plain"}})
        assert found["front"].options["inner"].options["inner"].name == "plain"
        assert found["front"]().inner.outer.spokes == 8

    @pytest.mark.parametrize(
        "annotation",
        [
            Sequence[Wheel],
            Sequence[Wheel] | None,
            Annotated[tuple[Wheel, ...], Field(min_length=1, max_length=2)],
        ],
    )
    def test_lists_of_parts(self, annotation):
        found = check_value(annotation, ["plain", {"name": "plain", "spokes": 3}], ("spare",))
        assert [part.options["spokes"] for part in found] == [8, 3]
        assert [part.path for part in found] == [("spare", 0), ("spare", 1)]

    @pytest.mark.parametrize("annotation", [Mapping[str, Wheel], dict[str, Wheel] | None])
    def test_mappings_of_parts(self, annotation):
        wheels = {"left": "plain", "right": {"name": "plain", "spokes": 3}}
        found = check_value(annotation, wheels, ("wheels",))
        assert {key: part.options["spokes"] for key, part in found.items()} == {
            "left": 8,
            "right": 3,
        }
        assert found["right"].path == ("wheels", "right")

    def test_sections_are_built(self):
        assert check(colours={"stripes": [0, 0.5]})["colours"] == Colours(stripes=(0.0, 0.5))
        blue = {"frame": "blue"}
        assert check_value(Colours | None, blue, ()) == Colours("blue")
        several = Annotated[Sequence[Colours], Field(min_length=1)] | None
        assert check_value(several, [blue], ()) == (Colours("blue"),)

    def test_the_schema_of_a_list_has_its_bounds(self):
        assert schema_of(Annotated[tuple[Wheel, ...], Field(min_length=1, max_length=2)]) == {
            "type": "array",
            "items": {"$ref": "#/$defs/wheels"},
            "minItems": 1,
            "maxItems": 2,
        }


OneOrTwo = Annotated[tuple[Wheel, ...], Field(min_length=1, max_length=2)]
Paints = Annotated[Sequence[Colours], Field(min_length=1)] | None


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (Wheel | None, {"spokes": 32}, "x: `name` is missing: which wheel?"),
        (Wheel, None, "x: must be a wheel's name, or name and options"),
        (
            Wheel,
            {"name": "double", "inner": {"name": "double", "inner": "plane"}},
            "x.inner.inner: no wheel named 'plane'; did you mean 'plain'",
        ),
        (
            Wheel,
            {"name": "double", "inner": {"name": "plain", "spoke": 3}},
            "x.inner.spoke: not an option of wheel 'plain'; did you mean",
        ),
        (Sequence[Wheel], ["plain", "oval"], "x.1: no wheel named 'oval'"),
        (Sequence[Wheel], "plain", "x: must be a list, but is 'plain'"),
        (OneOrTwo, [], "x: must be at least 1 long, but is []"),
        (OneOrTwo, ["plain"] * 3, "x: must be at most 2 long, but is ["),
        (OneOrTwo, ["plain", "oval"], "x.1: no wheel named 'oval'"),
        (Paints, [], "x: must be at least 1 long"),
        (Paints, {}, "x: must be a list, but is {}"),
        (Paints, [{"fame": 1}], "x.0.fame: not an option"),
        (Mapping[str, Wheel], {"left": "oval"}, "x.left: no wheel named 'oval'"),
        (Mapping[str, Wheel], ["plain"], "x: must be a mapping, but is ["),
        (
            Mapping[str, tuple[Size, ...]],
            {"left": [1], "right": 5},
            "x.right: must be a list, but is 5",
        ),
        (
            Colours,
            {"frames": "x"},
            "x.frames: not an option of section 'x'; did you mean 'frame'? (frame, stripes)",
        ),
        (Colours | None, {"fame": "blue"}, "x.fame: not an option"),
        (Colours, {"frame": "none"}, "x: `frame` must have a colour"),
        (Colours, 5, "x: must be a mapping of options, but is 5"),
        (Colours, {"stripes": [0.1, 1]}, "x.stripes: must be"),
    ],
)
def test_an_error_inside_has_its_own_path(annotation, value, message):
    with pytest.raises(OptionError) as caught:
        check_value(annotation, value, ("x",))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


class TestUnknownKeys:
    def test_a_near_one_is_suggested_and_all_are_listed(self):
        with pytest.raises(OptionError) as caught:
            check(fornt="plain")
        assert str(caught.value) == (
            "fornt: not an option of a bicycle; did you mean 'front'? "
            "(front, rear, spare, colours, gears, bell, folder, rider)"
        )

    def test_a_strange_one_is_not(self):
        with pytest.raises(OptionError, match=r"^zzz: not an option of a bicycle \(front, "):
            check(zzz=1)
        with pytest.raises(OptionError, match=r"x: not an option of it \(it has none\)"):
            check_options({}, {"x": 1}, (), "it")

    @pytest.mark.parametrize("values", [None, [], "front", 3])
    def test_options_are_a_mapping(self, values):
        with pytest.raises(OptionError, match="must be a mapping of options"):
            check_options(options_of(bicycle), values, (), "a bicycle")


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("lsmt", "lstm"), ("LSTM", "lstm"), ("lst", "lstm"), ("hidden", "hidden_size"), ("q", "")],
)
def test_did_you_mean(word, wanted):
    found = did_you_mean(word, ["lstm", "gru", "hidden_size"])
    assert found == (f"; did you mean '{wanted}'?" if wanted else "")


def test_dotted():
    assert dotted(("model", "cells", 0, "name")) == "model.cells.0.name"
