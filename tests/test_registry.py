"""Registries: parts by name, choices among them, and the schema of what may be chosen."""

import inspect
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from json_schema import accepts

from seqgen.errors import PluginError
from seqgen.options import REQUIRED, OptionError, PositiveFloat, Size, check_value
from seqgen.plugins import ROOMS
from seqgen.registry import Part, Registry, Renamed, plain

HERE = "tests/test_registry.py"


@dataclass(frozen=True)
class Paint:
    """A section."""

    colour: str = "red"
    coats: Size = 2


@pytest.fixture
def boats():
    """A registry of three parts, one of which owns others."""
    boats: Registry[Any] = Registry("boat", room="harbour", supplied={"crew", "cargo"})
    Boat = Annotated[Callable[..., Any], boats]

    @boats.register("raft")
    class Raft:
        """Floats.

        More about it.
        """

        def __init__(self, crew: int, logs: Size = 9, speed: PositiveFloat = 0.5) -> None:
            self.made_of = {"crew": crew, "logs": logs, "speed": speed}
            if logs == 13:
                raise ValueError("`logs` must not be 13")

    @boats.register("tug")
    class Tug:
        def __init__(
            self,
            pulled: Sequence[Boat],
            ahead: Boat = Raft,
            flags: Mapping[str, Boat] | None = None,
            paint: Paint = Paint(),
            log: Path | None = None,
            cargo: str = "none",
        ) -> None:
            self.pulled = [make(crew=1) for make in pulled]
            self.ahead = ahead(crew=2, cargo="x")
            self.cargo = cargo

    @boats.register("plank")
    def plank(length: Size | Literal["short"] = "short") -> str:
        """A function is a part as well."""
        return f"plank of length {length}"

    return boats


def line_of(source):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(i for i, line in enumerate(lines, 1) if source in line)


class TestRegister:
    def test_names_are_sorted(self, boats):
        assert boats.names() == ("plank", "raft", "tug")
        assert (boats.kind, boats.room) == ("boat", "harbour")
        assert Registry("gull").room == "gulls"

    def test_what_the_program_supplies_is_no_option(self, boats):
        raft, tug = boats.entry("raft"), boats.entry("tug")
        assert list(raft.options) == ["logs", "speed"]
        assert raft.supplied == raft.needed == {"crew"}
        assert (tug.supplied, tug.needed) == ({"cargo"}, set())
        assert (raft.summary, tug.summary) == ("Floats.", "")

    def test_a_summary_may_announce_a_formula(self, boats):
        @boats.register("sail")
        def sail(area: int = 1):
            """Moves by the wind (Smith 2020)::

            speed = wind * area
            """

        assert boats.entry("sail").summary == "Moves by the wind (Smith 2020)."

    def test_the_place_is_that_of_the_definition(self, boats):
        assert boats.where("raft") == f'{HERE}:{line_of("""@boats.register("raft")""")}'
        assert boats.where("plank") == f'{HERE}:{line_of("""@boats.register("plank")""")}'

    def test_of_others_it_is_a_path_from_here(self, boats, tmp_path, monkeypatch):
        file = tmp_path / "canoes.py"
        file.write_text("\ndef canoe(): pass\ndef kayak(): pass\n")
        canoes = runpy.run_path(str(file))
        boats.register("canoe")(canoes["canoe"])
        monkeypatch.chdir(tmp_path)
        boats.register("kayak")(canoes["kayak"])
        assert (boats.where("canoe"), boats.where("kayak")) == (f"{file}:2", "canoes.py:3")

    def test_what_has_no_file_has_no_place(self, boats):
        scope: dict[str, Any] = {}
        exec("def dinghy(): pass", scope)
        assert boats.register("dinghy")(scope["dinghy"]) is scope["dinghy"]
        assert boats.where("dinghy") == "<interactive>"

    def test_a_taken_name_names_both_places(self, boats):
        taken = boats.where("raft")
        with pytest.raises(PluginError) as caught:

            @boats.register("raft")
            class Other:
                pass

        here = f"{HERE}:{line_of('class Other:') - 1}"
        assert str(caught.value) == (
            f"{here}: the boat name 'raft' is taken by {taken}; choose another"
        )
        assert boats.where("raft") == taken

    def test_refuses_an_option_that_would_hide_the_name(self, boats):
        with pytest.raises(ValueError, match="cannot be called `name`"):

            @boats.register("yacht")
            def yacht(name: str = "x"): ...


class TestCheck:
    def test_a_name_or_a_mapping_or_a_part_or_what_was_registered(self, boats):
        wanted = boats.check("raft")
        assert isinstance(wanted, Part)
        assert wanted.options == {"logs": 9, "speed": 0.5}
        factory = boats.entry("raft").factory
        for value in ({"name": "raft"}, {"name": "raft", "logs": 9}, wanted, factory):
            assert boats.check(value) == wanted
        assert boats.check({"name": "raft", "speed": 3}).options["speed"] == 3.0

    def test_an_unknown_option_says_where_the_options_are(self, boats):
        with pytest.raises(OptionError) as caught:
            boats.check({"name": "raft", "lugs": 3}, ("a",))
        assert str(caught.value) == (
            "a.lugs: not an option of boat 'raft'; did you mean 'logs'? "
            f"(logs, speed; {boats.where('raft')})"
        )
        assert caught.value.at_key

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("rafd", "a: no boat named 'rafd'; did you mean 'raft'? (seqgen list harbour)"),
            ("zzz", "a: no boat named 'zzz' (seqgen list harbour)"),
            ({"name": "Raft"}, "a.name: no boat named 'Raft'; did you mean 'raft'?"),
            ({"logs": 3}, "a: `name` is missing: which boat? (one of plank, raft, tug)"),
            ({}, "a: `name` is missing"),
            ({"name": 3}, "a.name: must be a boat's name, but is 3"),
            ({"name": None}, "a.name: must be a boat's name, but is null"),
            ({"name": "raft", "logs": 0}, "a.logs: must be at least 1 and at most"),
            ({"name": "raft", "crew": 3}, "a.crew: not an option of boat 'raft'"),
            (3, "a: must be a boat's name, or name and options, but is 3"),
            (None, "a: must be a boat's name, or name and options, but is null"),
            (["raft"], 'a: must be a boat\'s name, or name and options, but is ["raft"]'),
            (print, "a: must be a boat's name, or name and options"),
            ("tug", "a: `pulled` is missing; boat 'tug' needs it"),
        ],
    )
    def test_an_error_says_what_would_be_right(self, boats, value, message):
        with pytest.raises(OptionError) as caught:
            boats.check(value, ("a",))
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)

    def test_a_part_of_another_kind_is_refused(self, boats):
        other: Registry[Any] = Registry("bird")
        other.register("raft")(lambda: None)
        with pytest.raises(OptionError, match=r"^a: must be a boat, but is the bird 'raft'"):
            boats.check(other.check("raft"), ("a",))

    def test_an_unknown_name_is_a_value_error_elsewhere(self, boats):
        for ask in (boats.entry, boats.where, boats.build):
            with pytest.raises(ValueError, match="no boat named 'rafd'; did you mean 'raft'"):
                ask("rafd")


class TestBuild:
    def test_a_part_gets_its_options_and_what_it_asks_for(self, boats):
        raft = boats.build({"name": "raft", "logs": 3}, crew=7, cargo="unasked")
        assert raft.made_of == {"crew": 7, "logs": 3, "speed": 0.5}
        assert boats.build("plank", crew=7) == "plank of length short"
        part = boats.check("raft")
        assert part(crew=1) is not part(crew=1)

    def test_parts_that_own_parts(self, boats):
        made = boats.build({"name": "tug", "pulled": ["raft", "plank"], "ahead": {"logs": 2}})
        assert made.ahead.made_of == {"crew": 2, "logs": 2, "speed": 0.5}
        assert made.pulled[0].made_of["crew"] == 1
        assert made.pulled[1] == "plank of length short"
        assert made.cargo == "none"

    def test_nothing_is_no_part(self, boats):
        boats.register("sunk")(lambda: None)
        with pytest.raises(
            PluginError, match=r"test_registry.py:\d+: the boat 'sunk' returned None"
        ):
            boats.build("sunk")

    @pytest.mark.parametrize(
        ("spec", "supplied", "message"),
        [
            ("raft", {}, r"^a: boat 'raft' needs a `crew`"),
            ({"name": "raft", "logs": 13}, {"crew": 1}, r"^a: `logs` must not be 13$"),
            (
                {"name": "tug", "pulled": [{"name": "raft", "logs": 13}]},
                {},
                r"^a\.pulled\.0: `logs` must not be 13$",
            ),
        ],
    )
    def test_a_fault_knows_the_place(self, boats, spec, supplied, message):
        part = boats.check(spec, ("a",))
        with pytest.raises(OptionError, match=message):
            part(**supplied)


SPEC = {
    "name": "tug",
    "pulled": ["raft", {"name": "plank", "length": 5}],
    "ahead": {"name": "tug", "pulled": []},
    "flags": {"red": "raft"},
    "paint": {"coats": 3},
    "log": "a/b.txt",
}


class TestPlain:
    def test_everything_is_written_out_and_read_again_it_is_the_same(self, boats):
        raft = {"name": "raft", "logs": 9, "speed": 0.5}
        paint = {"colour": "red", "coats": 2}
        none = {"flags": None, "log": None}
        part = boats.check(SPEC)
        assert part.plain() == {
            "name": "tug",
            "pulled": [raft, {"name": "plank", "length": 5}],
            "ahead": {"name": "tug", "pulled": [], "ahead": raft, "paint": paint, **none},
            "flags": {"red": raft},
            "paint": {"colour": "red", "coats": 3},
            "log": "a/b.txt",
        }
        assert boats.check(part.plain()) == part
        assert boats.check(part.plain()).plain() == part.plain()

    def test_of_plain_values(self):
        value = {"a": (1, [Path("b")]), "c": None}
        assert plain(value) == {"a": [1, ["b"]], "c": None}


ACCEPTED = [
    *("raft", "plank", {"name": "raft"}, SPEC),
    {"name": "raft", "logs": 3, "speed": 1},
    {"name": "plank", "length": "short"},
    {"name": "tug", "pulled": [], "ahead": {"logs": 3}, "flags": None},
]
REFUSED = [
    *("rafd", 3, None, [], {}, {"logs": 3}, {"name": "tug"}),
    {"name": "raft", "lugs": 3},
    {"name": "raft", "crew": 3},
    {"name": "raft", "logs": 0},
    {"name": "raft", "logs": 3.5},
    {"name": "raft", "logs": True},
    {"name": "raft", "speed": 0},
    {"name": "plank", "length": "long"},
    {"name": "tug", "pulled": ["rafd"]},
    {"name": "tug", "pulled": "raft"},
    {"name": "tug", "pulled": [], "ahead": None},
    {"name": "tug", "pulled": [], "ahead": {"lugs": 3}},
    {"name": "tug", "pulled": [], "flags": {"red": 3}},
    {"name": "tug", "pulled": [], "paint": {"coat": 3}},
    {"name": "tug", "pulled": [], "paint": {"coats": "3"}},
]


@pytest.mark.parametrize(
    ("value", "right"), [(each, True) for each in ACCEPTED] + [(each, False) for each in REFUSED]
)
def test_the_schema_accepts_what_check_accepts(boats, value, right):
    definitions: dict[str, Any] = {}
    boats.define(definitions)
    assert accepts(boats.schema(), value, definitions) == right
    try:
        boats.check(value)
    except OptionError:
        assert not right
    else:
        assert right


@pytest.mark.parametrize(
    ("room", "name"),
    [(room, name) for room, registry in ROOMS.items() for name in registry.names()],
)
class TestEveryPart:
    def test_stands_where_it_says(self, room, name):
        entry = ROOMS[room].entry(name)
        file, line = entry.where.split(":")
        if entry.factory.__module__.startswith("seqgen."):
            assert file == entry.factory.__module__.replace(".", "/") + ".py"
            text = Path(__file__).parent.parent.joinpath(file).read_text(encoding="utf-8")
            assert f'.register("{name}")' in text.splitlines()[int(line) - 1]
        else:
            assert Path(file).is_file()

    def test_has_a_summary_and_annotated_options(self, room, name):
        entry = ROOMS[room].entry(name)
        assert 1 < len(entry.summary) < 120
        for option in entry.options.values():
            assert option.annotation not in (Any, inspect.Parameter.empty), option.name

    def test_has_defaults_that_its_own_options_allow(self, room, name):
        for option in ROOMS[room].entry(name).options.values():
            if option.default is not REQUIRED:
                value = plain(option.default) if not callable(option.default) else option.default
                found = check_value(option.annotation, value, (option.name,))
                assert isinstance(found, Part) or plain(found) == value, option.name
            for section in (option.annotation, *get_args(option.annotation)):
                if is_dataclass(section):
                    written = plain(section())
                    assert plain(check_value(section, written, (option.name,))) == written

    def test_is_the_same_when_written_and_read_again_and_fits_its_schema(self, room, name, small):
        registry, definitions = ROOMS[room], {}
        registry.define(definitions)
        spec = small(registry, name)
        part = registry.check(spec)
        written = part.plain()
        assert registry.check(written) == part
        for value in (spec, written):
            assert accepts(registry.schema(), value, definitions)
        wrong = [{"lugs": 3}, {"name": "rafd"}]
        wrong += [{key: {"a strange": ["value"]}} for key in registry.entry(name).options]
        for each in wrong:
            assert not accepts(registry.schema(), {**written, **each}, definitions), each


class TestWhatAllPartsOfAKindHave:
    @pytest.fixture
    def kites(self):
        def tied(made: Any, strings: Size = 1, wind: int = 0) -> Any:
            return (*made, strings, wind)

        kites: Registry[Any] = Registry("kite", supplied={"wind"}, finishing=tied)

        @kites.register("delta")
        def delta(span: int = 3) -> tuple[str, int]:
            """Flies."""
            return ("delta", span)

        return kites

    def test_is_an_option_of_each_and_finishes_it(self, kites):
        assert kites.build({"name": "delta", "span": 4, "strings": 2}, wind=9) == ("delta", 4, 2, 9)
        assert kites.build("delta", wind=8) == ("delta", 3, 1, 8)
        assert list(kites.entry("delta").options) == ["span", "strings"]
        assert kites.check("delta").plain() == {"name": "delta", "span": 3, "strings": 1}
        with pytest.raises(OptionError, match=r"strings: must be at least 1"):
            kites.check({"name": "delta", "strings": 0})

    def test_cannot_be_declared_again(self, kites):
        with pytest.raises(ValueError, match="`strings` is an option of every kite already"):

            @kites.register("box")
            def box(strings: int = 1) -> None:
                """Does not fly."""


class Renaming:
    before = Renamed("now")

    def __init_subclass__(cls):
        Renamed.adopt(cls)

    def now(self):
        return ["base"]


def test_a_method_with_its_old_name_calls_that_of_its_base_and_is_called_by_its_new_name():
    with pytest.warns(DeprecationWarning, match="Old.before is now called now"):

        class Old(Renaming):
            def before(self):
                return ["old", *super().before()]

    class Newer(Old):
        def now(self):
            return ["newer", *super().now()]

    with pytest.warns(DeprecationWarning, match="Newer.before is now called now"):
        assert Newer().now() == ["newer", "old", "base"]
    with pytest.warns(DeprecationWarning, match="Renaming.before is now called now"):
        assert Renaming().before() == ["base"]
