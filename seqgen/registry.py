"""Registries, the parts of a kind by name, and Part, one of them chosen with its options."""

from __future__ import annotations

import inspect
import linecache
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Generic, Literal, TypeVar, get_origin

from seqgen.errors import PluginError, SeqgenError
from seqgen.files import local_path
from seqgen.options import (
    REQUIRED,
    Checker,
    KeyPath,
    Option,
    OptionError,
    check_options,
    check_plain,
    checker_of,
    define_checkers,
    did_you_mean,
    hints_of,
    options_of,
    schema_of_options,
    shown,
    without_none,
)

# Callables: where one is written and whether it is ours, and what of given values it asks for.


def asked_for(factory: Callable[..., Any], supplied: dict[str, Any]) -> dict[str, Any]:
    """Those of `supplied` that the signature of `factory` names."""
    parameters = inspect.signature(factory).parameters
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return supplied
    return {name: value for name, value in supplied.items() if name in parameters}


def place_of(factory: Callable[..., Any]) -> str:
    """`seqgen/cells/native.py:21` for ours; for others the path from the current folder."""
    inner = inspect.unwrap(factory)
    found = _source(inner) or _source(getattr(inner, "__init__", None))
    if found is None:
        return "<interactive>"
    source, line = found
    package = Path(__file__).parent.parent
    path = Path(source).resolve()
    if path.is_relative_to(package):
        return f"{path.relative_to(package).as_posix()}:{line}"
    return f"{local_path(path)}:{line}"


def is_ours(part: object) -> bool:
    """Whether the class of `part` is from this package, not from a plugin."""
    return type(part).__module__.startswith("seqgen.")


KINDS_WITH_LAWS = {"cell", "decoder", "draft", "head", "tokenizer", "truncation"}
"""The kinds of part of which `seqgen check` can say more."""


def plugin_fault(part: object, fault: str, kind: str = "") -> PluginError:
    """The error to raise if `part`, from a plugin, has the fault `fault`.

    `kind` is by default the name of the contract that the class extends.
    """
    contracts = [each for each in type(part).__mro__ if each.__module__.startswith("seqgen.")]
    kind = kind or (contracts[-1].__name__.lower() if contracts else "part")
    place = place_of(type(part))
    file = place.rpartition(":")[0]
    more = f" (seqgen check {file} says more)" if kind in KINDS_WITH_LAWS else ""
    return PluginError(f"the {kind} {type(part).__name__} ({place}): {fault}{more}")


@contextmanager
def blamed_on(part: object, method: str, kind: str = "") -> Iterator[None]:
    """A context in which any exception becomes a PluginError that blames `method` of `part`.

    seqgen's own errors and MemoryError pass. `method` is a name, or a phrase such as `its first
    step`; for `kind` see `plugin_fault`.
    """
    try:
        yield
    except (SeqgenError, MemoryError):
        raise
    except Exception as error:  # someone else's code
        what = f"`{method}`" if method.isidentifier() else method
        reason = " ".join(str(error).split())
        fault = f"{what} raised {type(error).__name__}: {reason}"
        raise plugin_fault(part, fault, kind) from error


def _source(inner: Any) -> tuple[str, int] | None:
    """File and line of a definition, decorators included, as far as Python can tell.

    For a class `inspect` would parse its whole file, which takes most of the time of a start.
    """
    try:
        file = inspect.getsourcefile(inner)
        if file and not isinstance(inner, type):
            return file, inner.__code__.co_firstlineno
        lines = linecache.getlines(file or "")
        header = re.compile(rf"([ \t]*)class {inner.__name__}\b")
        found = [(i, m[1]) for i, each in enumerate(lines) if (m := header.match(each))]
        if len(found) != 1:  # two of one name
            return file or "?", inspect.getsourcelines(inner)[1]
    except (OSError, TypeError, AttributeError):
        return None  # a class that says it is from another module, or no source
    [(place, indent)] = found
    first = place
    while place and lines[place - 1].strip():
        place -= 1
        first = place if lines[place].startswith(f"{indent}@") else first
    return str(file), first + 1


class Renamed:
    """A method or an attribute of a contract under its old name: it warns, and is the new one.

    A contract calls `adopt` for each of its subclasses.
    """

    def __init__(self, now: str) -> None:
        self.now = now

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        self.warn(owner)
        own = [each for each in owner.__mro__ if vars(each).get(self.name, self) is not self]
        if own:  # a method that a plugin has under the old name calls that of its base
            return getattr(super(own[-1], instance), self.now)
        return getattr(owner if instance is None else instance, self.now)

    def __set__(self, instance: Any, value: Any) -> None:
        self.warn(type(instance))
        setattr(instance, self.now, value)

    @staticmethod
    def adopt(kind: type) -> None:
        """Attributes that `kind` defines by a former name get the new one, with a warning."""
        for contract in kind.__mro__[1:]:
            for name, alias in vars(contract).items():
                if isinstance(alias, Renamed) and name in vars(kind):
                    alias.warn(kind)
                    given = vars(kind)[name]
                    setattr(kind, alias.now, given)
                    if not callable(given):  # so that it can be set by either name
                        delattr(kind, name)

    def warn(self, owner: type) -> None:
        message = f"{owner.__name__}.{self.name} is now called {self.now}"
        warnings.warn(message, DeprecationWarning, stacklevel=3)


T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry:
    """A registered part: its factory, the options of that signature, and its place.

    `options` are its own, and after them those that all parts of the kind have.
    """

    factory: Callable[..., Any]
    options: Mapping[str, Option]
    supplied: frozenset[str]
    needed: frozenset[str]
    where: str

    @property
    def summary(self) -> str:
        """The first line of the part's docstring; formulas that it announces are not part of it."""
        lines = (inspect.getdoc(self.factory) or "").strip().splitlines()
        first = lines[0] if lines else ""
        return f"{first[:-2]}." if first.endswith("::") else first


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part chosen in a recipe, with checked options. Call it with the sizes to build it."""

    registry: Registry[T]
    name: str
    options: Mapping[str, Any]
    path: KeyPath = field(default=(), compare=False)

    def __call__(self, **supplied: Any) -> T:
        """Build the part; of `supplied` it gets what its signature asks for.

        A ValueError of its constructor becomes an OptionError that knows the place. Raises
        PluginError if what is registered returns None.
        """
        registry, entry = self.registry, self.registry.entry(self.name)
        kind, finishing = registry.kind, registry.finishing
        for name in entry.needed - supplied.keys():
            what = f"{kind} '{self.name}' needs a `{name}`, which is not available here"
            raise OptionError(self.path, what)
        wanted = {name: supplied[name] for name in entry.supplied if name in supplied}
        common = {key: self.options[key] for key in registry.common}
        own = {key: each for key, each in self.options.items() if key not in common}
        try:
            made: T = entry.factory(**own, **wanted)
            if made is None:
                what = f"the {kind} '{self.name}' returned None, no {kind}"
                raise PluginError(f"{entry.where}: {what}")
            if finishing is None:
                return made
            return finishing(made, **common, **asked_for(finishing, supplied))
        except OptionError:
            raise
        except ValueError as error:
            raise OptionError(self.path, str(error)) from error

    def plain(self) -> dict[str, Any]:
        """The part as plain data, every option written out."""
        return {"name": self.name, **{key: plain(each) for key, each in self.options.items()}}


class Registry(Checker, Generic[T]):
    """Parts of one kind by name.

    The signature of what is registered is the schema of its options, except for the names in
    `supplied`: sizes and the like, which the program passes when it builds a part.

    `finishing(part, options...) -> part` is called with each part that was made. The parameters
    after its first are options that all parts of this kind have in `common`, or supplied.
    """

    def __init__(
        self,
        kind: str,
        *,
        room: str = "",
        supplied: Collection[str] = (),
        finishing: Callable[..., T] | None = None,
    ) -> None:
        self.kind = kind
        self.room = room or f"{kind}s"
        self._supplied = frozenset(supplied)
        self.finishing = finishing
        every = list(options_of(finishing).items())[1:] if finishing else []
        self.common = {key: option for key, option in every if key not in self._supplied}
        self._entries: dict[str, Entry] = {}
        self._names_of_factories: dict[object, str] = {}

    def register(self, name: str) -> Callable[[F], F]:
        """A decorator that enters a class or function under `name`."""

        def enter(factory: F) -> F:
            where = place_of(factory)
            if name in self._entries:
                taken = f"is taken by {self._entries[name].where}; choose another"
                raise PluginError(f"{where}: the {self.kind} name '{name}' {taken}")
            every = options_of(factory)
            supplied = self._supplied & every.keys()
            if "name" in every:
                raise ValueError(
                    f"{where}: an option cannot be called `name`, which names the part"
                )
            for key in self.common.keys() & every.keys():
                raise ValueError(f"{where}: `{key}` is an option of every {self.kind} already")
            own = {key: option for key, option in every.items() if key not in supplied}
            own.update(self.common)
            needed = frozenset(key for key in supplied if every[key].default is REQUIRED)
            self._entries[name] = Entry(factory, MappingProxyType(own), supplied, needed, where)
            self._names_of_factories[factory] = name
            return factory

        return enter

    def names(self) -> tuple[str, ...]:
        """The registered names, sorted."""
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> Entry:
        """The entry of `name`. Raises ValueError, with a suggestion, if there is none."""
        if name not in self._entries:
            near = did_you_mean(name, self._entries)
            raise ValueError(f"no {self.kind} named {shown(name)}{near} (seqgen list {self.room})")
        return self._entries[name]

    def where(self, name: str) -> str:
        """The place of the part, as `file:line`."""
        return self.entry(name).where

    def check(self, value: object, path: KeyPath = ()) -> Part[T]:
        """A name, or a mapping with `name` and options, as a checked Part."""
        if isinstance(value, Part):
            if value.registry is not self:
                what = f"the {value.registry.kind} '{value.name}'"
                raise OptionError(path, f"must be a {self.kind}, but is {what}")
            return value
        value = self._names_of_factories.get(value, value) if callable(value) else value
        if isinstance(value, str):
            value, name_path = {"name": value}, path
        else:
            name_path = (*path, "name")
        if not isinstance(value, dict):
            message = f"must be a {self.kind}'s name, or name and options, but is {shown(value)}"
            raise OptionError(path, message)
        if "name" not in value:
            few = ", ".join(self.names()[:8]) + (", ..." if len(self._entries) > 8 else "")
            raise OptionError(path, f"`name` is missing: which {self.kind}? (one of {few})")
        name = value["name"]
        if not isinstance(name, str):
            raise OptionError(name_path, f"must be a {self.kind}'s name, but is {shown(name)}")
        try:
            entry = self.entry(name)
        except ValueError as error:
            raise OptionError(name_path, str(error)) from None
        given = {key: each for key, each in value.items() if key != "name"}
        try:
            options = check_options(entry.options, given, path, f"{self.kind} '{name}'")
        except OptionError as error:
            if error.at_key and error.path[:-1] == path:  # say where the options are declared
                message = f"{error.message.removesuffix(')')}; {entry.where})"
                raise OptionError(error.path, message, at_key=True) from None
            raise
        return Part(self, name, MappingProxyType(options), path)

    def build(self, spec: object, **supplied: Any) -> T:
        """Check `spec` (a name, a mapping, a Part or what is registered) and build it.

        Any other callable, such as `partial(LSTM, hidden_size=64)`, is called as it is. Either way
        it gets of `supplied` what its signature asks for. With a name, `supplied` may have the
        options, too: `cells.build("lstm", input_size=8, hidden_size=64)`. Raises ValueError if a
        name, an option or a value is wrong.
        """
        if callable(spec) and not isinstance(spec, Part) and spec not in self._names_of_factories:
            made: T = spec(**asked_for(spec, supplied))
            return made
        if isinstance(spec, str):
            options = {key: each for key, each in supplied.items() if key not in self._supplied}
            spec = {"name": spec, **options} if options else spec
        return self.check(spec)(**supplied)

    def schema(self, default: object = None) -> dict[str, Any]:
        part = "" if default is None else f".{self.check(default).name}"
        return {"$ref": f"#/$defs/{self.room}{part}"}  # a reference, since parts may own parts

    def define(self, definitions: dict[str, Any]) -> None:
        if self.room in definitions:
            return
        definitions[self.room] = {}  # a stack owns cells: stop at the second visit
        full = []
        for name in self.names():
            entry = self._entries[name]
            define_checkers(entry.options, definitions)
            schema = schema_of_options(entry.options)
            definitions[f"{self.room}.{name}"] = {**schema, "description": entry.summary}
            schema["properties"] = {"name": {"const": name}, **schema["properties"]}
            schema["required"] = ["name", *schema.get("required", [])]
            full.append({**schema, "description": entry.summary})
        definitions[self.room] = {"anyOf": [{"enum": list(self.names())}, *full]}


def check_fields(part: Any) -> None:
    """Raises ValueError unless the fields of the dataclass `part` keep the bounds in their
    annotations. Its `__post_init__` calls this: bounds are the same for programs and recipes."""
    kind: Any = type(part)
    annotations = hints_of(kind)
    for each in fields(part):
        check_bounds(each.name, annotations[each.name], getattr(part, each.name))


def check_bounds(name: str, annotation: Any, value: object) -> None:
    """Raises ValueError, which names the option, unless `value` is within the bounds or among the
    choices of `annotation`, if it has any."""
    inner = without_none(annotation)
    if get_origin(inner) in (Annotated, Literal) and not checker_of(inner):
        try:
            check_plain(annotation, value, (name,))
        except OptionError as error:
            raise ValueError(f"`{name}` {error.message}") from None


def plain(value: Any) -> Any:
    """`value` as data that YAML can hold: parts and sections become mappings."""
    if isinstance(value, Part):
        return value.plain()
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return str(value) if isinstance(value, Path) else value
