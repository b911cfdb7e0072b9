"""Plain values: strict about types, and short when they are shown."""

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
        except OptionError as error:
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
    with pytest.raises(OptionError):
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
    with pytest.raises(OptionError) as caught:
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
    with pytest.raises(OptionError) as caught:
        check_plain(annotation, value)
    assert str(caught.value).startswith(wanted)
    assert "value error" not in str(caught.value).lower()


def test_any_takes_anything():
    assert check_plain(Any, [1, {"a": None}]) == [1, {"a": None}]


def test_a_class_of_someones_own_takes_its_objects_and_so_no_plain_value():
    assert check_plain(Own | None, None) is None
    with pytest.raises(OptionError, match="must be valid"):
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


# Options out of signatures: what a value may be, and what an error says.


wheels: Registry[Any] = Registry("wheel", supplied={"axle"})
Wheel = Annotated[Callable[..., Any], wheels]


@wheels.register("plain")
class Plain:
    """A wheel."""

    def __init__(self, axle: int, spokes: Size = 8, weight: PositiveFloat = 1.5) -> None:
        self.spokes = spokes
        if spokes == 13:
            raise ValueError("`spokes` must not be 13")


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


def refusal(**values):
    with pytest.raises(OptionError) as caught:
        check(**values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestSignatures:
    def test_options_are_the_named_parameters(self):
        found = options_of(bicycle)
        assert list(found)[-2:] == ["folder", "rider"]
        assert "others" not in found
        assert found["rider"].default is REQUIRED
        assert found["bell"].annotation is bool
        assert found["gears"].default == "auto"

    def test_those_of_a_class_are_its_constructors(self):
        assert list(options_of(Plain)) == ["axle", "spokes", "weight"]
        assert options_of(Plain)["spokes"].annotation == Size

    def test_those_of_a_dataclass_are_its_fields(self):
        assert list(options_of(Colours)) == ["frame", "stripes"]

    def test_a_constructor_comes_before_the_fields_of_a_base(self):
        class Own(Colours):
            def __init__(self, gears: Size, frame: Path) -> None:
                super().__init__(str(frame))

        class Same(Colours):
            pass

        found = {name: option.annotation for name, option in options_of(Own).items()}
        assert found == {"gears": Size, "frame": Path}
        assert options_of(Same) == options_of(Colours)

    def test_a_parameter_without_an_annotation_takes_anything(self):
        def free(x, y=1):
            pass

        found = check_options(options_of(free), {"x": [1, {"a": None}]}, (), "it")
        assert found == {"x": [1, {"a": None}], "y": 1}


class TestDefaults:
    def test_are_filled_in_and_checked(self):
        found = check()
        assert isinstance(found["front"], Part)
        assert (found["front"].name, dict(found["front"].options)) == (
            "plain",
            {"spokes": 8, "weight": 1.5},
        )
        assert found["rear"] is None
        assert found["spare"] == ()
        assert found["colours"] == Colours()
        assert (found["gears"], found["bell"], found["rider"]) == ("auto", False, "Ann")

    def test_of_a_list_of_parts_become_parts(self):
        def tricycle(spare: Sequence[Wheel] = ("plain", Plain)) -> None:
            pass

        found = check_options(options_of(tricycle), {}, (), "a tricycle")["spare"]
        assert [part.name for part in found] == ["plain", "plain"]
        assert default_of(options_of(tricycle)["spare"]) == found

    def test_know_their_place(self):
        found = check_options(options_of(bicycle), {"rider": "Ann"}, ("garage", 0), "a bicycle")
        assert found["front"].path == ("garage", 0, "front")

    def test_what_has_none_is_required(self):
        with pytest.raises(OptionError, match=r"^shop: `rider` is missing; a bicycle needs it"):
            check_options(options_of(bicycle), {}, ("shop",), "a bicycle")


class TestParts:
    def test_a_name_will_do(self):
        assert check(rear="plain")["rear"].options["spokes"] == 8

    def test_or_a_name_and_options(self):
        rear = check(rear={"name": "plain", "spokes": 32})["rear"]
        assert dict(rear.options) == {"spokes": 32, "weight": 1.5}
        assert rear.path == ("rear",)

    def test_options_without_a_name_are_of_the_default_part(self):
        front = check(front={"spokes": 32})["front"]
        assert (front.name, front.options["spokes"]) == ("plain", 32)

    def test_but_not_where_the_default_is_no_part(self):
        assert refusal(rear={"spokes": 32}).startswith("rear: `name` is missing: which wheel?")

    def test_none_where_the_signature_has_it(self):
        assert check(rear=None)["rear"] is None
        assert refusal(front=None).startswith("front: must be a wheel's name, or name and options")

    def test_parts_nest(self):
        found = check(front={"name": "double", "inner": {"name": "double", "inner": "plain"}})
        assert found["front"].options["inner"].options["inner"].name == "plain"
        assert found["front"]().inner.outer.spokes == 8

    def test_the_path_of_an_error_reaches_inside(self):
        message = refusal(front={"name": "double", "inner": {"name": "double", "inner": "plane"}})
        assert message.startswith("front.inner.inner: no wheel named 'plane'; did you mean 'plain'")
        message = refusal(front={"name": "double", "inner": {"name": "plain", "spoke": 3}})
        assert message.startswith("front.inner.spoke: not an option of wheel 'plain'; did you mean")

    def test_lists_of_parts(self):
        spare = check(spare=["plain", {"name": "plain", "spokes": 3}])["spare"]
        assert [part.options["spokes"] for part in spare] == [8, 3]
        assert [part.path for part in spare] == [("spare", 0), ("spare", 1)]
        assert refusal(spare=["plain", "oval"]).startswith("spare.1: no wheel named 'oval'")
        assert refusal(spare="plain") == "spare: must be a list, but is 'plain'"

    def test_mappings_of_parts(self):
        def tricycle(wheels: Mapping[str, Wheel], spare: dict[str, Wheel] | None = None) -> None:
            pass

        def checked(wheels):
            return check_options(options_of(tricycle), {"wheels": wheels}, (), "it")["wheels"]

        found = checked({"left": "plain", "right": {"name": "plain", "spokes": 3}})
        assert {key: part.options["spokes"] for key, part in found.items()} == {
            "left": 8,
            "right": 3,
        }
        assert found["right"].path == ("wheels", "right")
        with pytest.raises(OptionError, match=r"^wheels\.left: no wheel named 'oval'"):
            checked({"left": "oval"})
        with pytest.raises(OptionError, match=r"^wheels: must be a mapping, but is \["):
            checked(["plain"])

    def test_values_of_a_mapping_have_their_own_places(self):
        def tricycle(loads: Mapping[str, tuple[Size, ...]]) -> None:
            pass

        def checked(loads):
            return check_options(options_of(tricycle), {"loads": loads}, (), "it")["loads"]

        assert checked({"left": [1, 2], "right": []}) == {"left": (1, 2), "right": ()}
        with pytest.raises(OptionError, match=r"^loads\.right: must be a list, but is 5"):
            checked({"left": [1], "right": 5})

    def test_lists_of_parts_or_sections_may_have_a_least_length(self):
        def tricycle(
            spare: Annotated[tuple[Wheel, ...], Field(min_length=1, max_length=2)],
            paint: Annotated[Sequence[Colours], Field(min_length=1)] | None = None,
        ) -> None:
            pass

        def checked(**values):
            return check_options(options_of(tricycle), values, (), "a tricycle")

        found = checked(spare=["plain"], paint=[{"frame": "blue"}])
        assert [part.name for part in found["spare"]] == ["plain"]
        assert found["paint"] == (Colours("blue"),)
        for values, message in [
            ({"spare": []}, r"^spare: must be at least 1 long, but is \[\]"),
            ({"spare": ["plain"] * 3}, r"^spare: must be at most 2 long, but is \["),
            ({"spare": ["plain", "oval"]}, r"^spare\.1: no wheel named 'oval'"),
            ({"spare": ["plain"], "paint": []}, r"^paint: must be at least 1 long"),
            ({"spare": ["plain"], "paint": {}}, r"^paint: must be a list, but is \{\}"),
            ({"spare": ["plain"], "paint": [{"fame": 1}]}, r"^paint\.0\.fame: not an option"),
        ]:
            with pytest.raises(OptionError, match=message):
                checked(**values)
        schema = schema_of(options_of(tricycle)["spare"].annotation)
        assert schema == {
            "type": "array",
            "items": {"$ref": "#/$defs/wheels"},
            "minItems": 1,
            "maxItems": 2,
        }

    def test_lists_of_parts_that_may_be_left_out(self):
        def tricycle(spare: Sequence[Wheel] | None = None, paint: Colours | None = None) -> None:
            pass

        def checked(**values):
            return check_options(options_of(tricycle), values, (), "a tricycle")

        assert checked() == checked(spare=None, paint=None) == {"spare": None, "paint": None}
        assert [part.name for part in checked(spare=["plain"])["spare"]] == ["plain"]
        assert checked(paint={"frame": "blue"})["paint"] == Colours("blue")
        with pytest.raises(OptionError, match=r"^paint\.fame: not an option"):
            checked(paint={"fame": "blue"})


class TestSections:
    def test_are_built(self):
        found = check(colours={"stripes": [0, 0.5]})["colours"]
        assert found == Colours(stripes=(0.0, 0.5))

    def test_errors_know_the_section(self):
        assert refusal(colours={"frames": "x"}) == (
            "colours.frames: not an option of section 'colours'; did you mean 'frame'? "
            "(frame, stripes)"
        )
        assert refusal(colours={"frame": "none"}) == "colours: `frame` must have a colour"
        assert refusal(colours=5) == "colours: must be a mapping of options, but is 5"
        assert refusal(colours={"stripes": [0.1, 1]}).startswith("colours.stripes: must be")


class TestUnknownKeys:
    def test_a_near_one_is_suggested_and_all_are_listed(self):
        assert refusal(fornt="plain") == (
            "fornt: not an option of a bicycle; did you mean 'front'? "
            "(front, rear, spare, colours, gears, bell, folder, rider)"
        )

    def test_a_strange_one_is_not(self):
        assert "did you mean" not in refusal(zzz=1)

    def test_where_there_are_none(self):
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


INF, NAN = float("inf"), float("nan")
Fraction = Annotated[float, Field(ge=0, le=1)]


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
        (PositiveFloat, "1", "a number, but is '1'"),
        (PositiveFloat, True, "a number, but is true"),
        (PositiveFloat, NAN, "greater than 0 and at most 1e+30, but is NaN"),
        (PositiveFloat, INF, "greater than 0 and at most 1e+30, but is Infinity"),
        (NonNegativeFloat, -INF, "at least 0 and at most 1e+30, but is -Infinity"),
        (float, 10**400, "at least -1e+30 and at most 1e+30, but is 1000"),
        (PositiveFloat | None, 0, "greater than 0 and at most 1e+30, but is 0"),
        (Size | None, "x", "an integer, but is 'x'"),
        (Size | Literal["auto"], 0, "at least 1 and at most 1000000 or 'auto', but is 0"),
        (Size | Literal["auto"], "all", "an integer or 'auto', but is 'all'"),
        (Literal["a", "b"], "c", "'a' or 'b', but is 'c'"),
        (bool, 1, "true or false, but is 1"),
        (bool, "true", "true or false, but is 'true'"),
        (str, 5, "a string, but is 5"),
        (tuple[float, float], [1.0], "longer, but is [1.0]"),
        (tuple[float, float], [1, 2, 3], "at most 2 long, but is [1, 2, 3]"),
        (tuple[float, ...], 1.0, "a list, but is 1.0"),
        (Annotated[tuple[str, ...], Field(min_length=1)], [], "at least 1 long, but is []"),
        (tuple[Fraction, ...], [0, 2], "at least 0 and at most 1, but is [0, 2]"),
    ],
    ids=str,
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
    ],
    ids=str,
)
def test_right_values_get_their_type(annotation, value, wanted):
    found = check_value(annotation, value, ())
    assert (found, type(found)) == (wanted, type(wanted))
