"""The small part that a check builds, from a name, a mapping, a class or any other callable."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from seqgen.callables import asked_for
from seqgen.options import options_of
from seqgen.registry import Part, Registry
from seqgen.testing.laws import BreachError

SIZES = {"hidden_size": 8, "size": 8}
"""What these options are where nothing else is said: a check needs no large part."""

BUILT = (
    "it must be built by {} and its options, which are the parameters of its constructor; give "
    "each of them a type and a default"
)
"""What to do where a part cannot be built from what the program supplies."""


def small_part(
    registry: Registry[Any], spec: object, options: dict[str, Any]
) -> tuple[str, Callable[..., Any]]:
    """What a report calls the part, and a callable that builds it from what is supplied.

    The part is built as it is, without what the registry puts around it: a check wants to see for
    itself. Errors: ValueError for a wrong name or option.
    """
    if callable(spec) and not isinstance(spec, Part):
        name = getattr(spec, "__name__", type(spec).__name__)
        # Only a class: who gives a partial or a function has chosen its sizes.
        sizes = _sizes(options_of(spec), options) if isinstance(spec, type) else {}
        return name, partial(_call, partial(spec, **sizes, **options))
    given = {"name": spec} if isinstance(spec, str) else spec
    if isinstance(given, Part):
        given = given.plain()
    if not isinstance(given, dict) or "name" not in given:
        registry.check(given)  # says what is wrong with it
        raise AssertionError(given)
    entry = registry.entry(given["name"])
    given = {**_sizes(entry.options, {**given, **options}), **given, **options}
    checked = registry.check(given)
    own = {key: each for key, each in checked.options.items() if key not in registry.common}
    return f"{registry.room}.{given['name']}", partial(_call, partial(entry.factory, **own))


def require_contract(made: object, contract: type) -> None:
    """A breach unless the part is of the class that all parts of its kind extend."""
    if not issubclass(type(made), contract):
        room = contract.__module__.rpartition(".")[0]
        raise BreachError(
            f"{type(made).__name__} is no {contract.__name__}: it must extend {room}."
            f"{contract.__name__}, which gives it all that is derived from its methods"
        )


def _call(factory: partial[Any], **supplied: Any) -> Any:
    missing = sorted(getattr(factory.func, "__abstractmethods__", ()))
    if missing:
        methods = ", ".join(f"`{each}`" for each in missing)
        raise BreachError(f"{factory.func.__name__} does not define {methods}")
    return factory(**asked_for(factory, supplied))


def _sizes(known: Collection[str], given: Collection[str]) -> dict[str, int]:
    return {key: size for key, size in SIZES.items() if key in known and key not in given}
