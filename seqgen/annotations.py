"""What an annotation says of an option: who checks it, what it is a list or a mapping of."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, runtime_checkable


@runtime_checkable
class Checker(Protocol):
    """What an annotation carries to check its own values: `Annotated[..., checker]`."""

    def check(self, value: object, path: tuple[str | int, ...]) -> Any:
        """The checked value; an OptionError that knows `path` otherwise."""
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what `check` accepts, which may refer to `$defs`."""
        ...

    def schema_without_name(self, default: object) -> dict[str, Any]:
        """The JSON Schema of options alone, which mean those of `default`."""
        ...

    def define(self, definitions: dict[str, Any]) -> None:
        """Put what `schema` refers to into `definitions`."""
        ...


def checker_of(annotation: Any) -> Checker | None:
    """The checker in `Annotated[X, checker]` or `Annotated[X, checker] | None`."""
    extras = getattr(without_none(annotation), "__metadata__", ())
    return next((extra for extra in extras if isinstance(extra, Checker)), None)


def without_none(annotation: Any) -> Any:
    """X of `X | None`; any other annotation as it is."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    rest = [each for each in typing.get_args(annotation) if each is not type(None)]
    return rest[0] if len(rest) == 1 else annotation


def item_of(annotation: Any) -> Any:
    """The item type of a list whose items are parts or sections, else None; bounds of its length,
    as in `Annotated[tuple[X, ...], Field(min_length=1)]`, are looked through."""
    bare = _without_bounds(annotation)
    if typing.get_origin(bare) not in (list, tuple, Sequence):
        return None
    item = next(iter(typing.get_args(bare)), None)
    return item if checker_of(item) or dataclasses.is_dataclass(item) else None


def any_list(annotation: Any) -> Any:
    """A list of anything, with the bounds that `annotation` has for its length."""
    bounds = getattr(annotation, "__metadata__", ())
    return Annotated[(list[Any], *bounds)] if bounds else list[Any]


def value_of(annotation: Any) -> Any:
    """The type of the values of a mapping, else None."""
    if typing.get_origin(annotation) not in (dict, Mapping):
        return None
    return next(iter(typing.get_args(annotation)[1:]), None)


def _without_bounds(annotation: Any) -> Any:
    if typing.get_origin(annotation) is not Annotated or checker_of(annotation):
        return annotation
    return typing.get_args(annotation)[0]
