"""What laws require of a part, else there is a breach, and the small part that a check builds."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from seqgen.options import REQUIRED, Option, checker_of, options_of
from seqgen.registry import Part, Registry, asked_for
from seqgen.state import State, leaves
from seqgen.testing.laws import BreachError, NotTriedError, describe

TOLERANCE = 1e-4


def that(holds: bool, says: str) -> None:
    """A breach that `says` what is wrong, unless it `holds`."""
    if not holds:
        raise BreachError(says)


def same(found: State, wanted: State, says: str, tolerance: float = TOLERANCE) -> None:
    """A breach that `says` what differs, unless all tensors agree to within `tolerance`."""
    for one, other in zip(leaves(found), leaves(wanted), strict=True):
        if one.shape != other.shape:
            raise BreachError(f"{says}: the shape is {list(one.shape)}, not {list(other.shape)}")
        if not torch.allclose(one, other, rtol=tolerance, atol=tolerance):
            largest = float((one - other).abs().max())
            raise BreachError(f"{says}: the largest difference is {largest:.2g}")


def finite(state: State, what: str, says: str) -> None:
    """A breach where a number of `what` is NaN or infinite."""
    for tensor in leaves(state):
        if not tensor.isfinite().all():
            kind = "NaN" if tensor.isnan().any() else "infinite numbers"
            raise BreachError(f"{what} has {kind} {says}")


def shape(tensor: object, wanted: tuple[int, ...], what: str, says: str) -> Tensor:
    """`tensor`, if it is one of that shape; else a breach."""
    if not isinstance(tensor, Tensor):
        must = f"must be a tensor of {list(wanted)}"
        raise BreachError(f"{what} {must}, but is {named(tensor)}{says}")
    if tensor.shape != wanted:
        raise BreachError(f"{what} must be {list(wanted)}, but is {list(tensor.shape)}{says}")
    return tensor


def named(value: object) -> str:
    """What a value is, for a sentence: `None`, `a list`, `a tensor of [4, 8]`."""
    if value is None:
        return "None"
    if isinstance(value, Tensor):
        return f"a tensor of {list(value.shape)}"
    kind = type(value).__name__
    if isinstance(value, tuple):
        return f"a {kind} of {len(value)}"
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


SIZES = {"hidden_size": 8, "size": 8}
"""What these options are where nothing else is said: a check needs no large part."""

CELL = {"name": "lstm", "hidden_size": 8}
PARTS = {"cells": CELL, "encoders": {"name": "recurrent", "cell": CELL}}
"""What required options are that name a part of these rooms, where nothing else is said."""

BUILT = (
    "it must be built by {} and its options, which are the parameters of its constructor; give "
    "each of them a type and a default"
)
"""What to do where a part cannot be built from what the program supplies."""


def small_part(
    registry: Registry[Any], spec: object, options: dict[str, Any]
) -> tuple[str, Callable[..., Any]]:
    """What a report calls the part, and a callable that builds it from what is supplied.

    The part is built as it is, without what the registry puts around it: a check sees for itself.
    Raises ValueError for a wrong name or option.
    """
    if callable(spec) and not isinstance(spec, Part):
        name = getattr(spec, "__name__", type(spec).__name__)
        # Only a class: who gives a partial or a function has chosen its sizes.
        small = _small(options_of(spec), options) if isinstance(spec, type) else {}
        return name, partial(_call, partial(spec, **small, **options))
    given = {"name": spec} if isinstance(spec, str) else spec
    if isinstance(given, Part):
        given = given.plain()
    if not isinstance(given, dict) or "name" not in given:
        registry.check(given)  # says what is wrong with it
        raise AssertionError(given)
    entry = registry.entry(given["name"])
    given = {**_small(entry.options, {**given, **options}), **given, **options}
    checked = registry.check(given)
    own = {key: each for key, each in checked.options.items() if key not in registry.common}
    return f"{registry.room}.{given['name']}", partial(_call, partial(entry.factory, **own))


def takes(factory: Callable[..., Any], name: str) -> bool:
    """Whether a factory of `small_part` passes `name` on to the part."""
    return name in asked_for(factory.args[0], {name: None})  # type: ignore[attr-defined]


def contract(made: object, wanted: type) -> None:
    """A breach unless the part is of the class that all parts of its kind extend."""
    if not issubclass(type(made), wanted):
        room = wanted.__module__.rpartition(".")[0]
        raise BreachError(
            f"{type(made).__name__} is no {wanted.__name__}: it must extend {room}."
            f"{wanted.__name__}, which gives it all that is derived from its methods"
        )


def _call(factory: partial[Any], **supplied: Any) -> Any:
    missing = sorted(getattr(factory.func, "__abstractmethods__", ()))
    if missing:
        methods = ", ".join(f"`{each}`" for each in missing)
        raise BreachError(f"{factory.func.__name__} does not define {methods}")
    return factory(**asked_for(factory, supplied))


def _small(known: Mapping[str, Option], given: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, option in known.items():
        room = checker_of(option.annotation)
        if key in SIZES:
            found[key] = SIZES[key]
        elif option.default is REQUIRED and isinstance(room, Registry) and room.room in PARTS:
            found[key] = room.check(PARTS[room.room])
    return {key: each for key, each in found.items() if key not in given}


M = TypeVar("M", bound=nn.Module)


def saved(make: Callable[..., M], read: Callable[[M], State]) -> None:
    """A breach unless another module of that kind, with the weights of the first, reads the same.

    `make(seed=)` builds one, `read` returns what it makes of some input.
    """
    one, other = make(), make(seed=7)
    with torch.no_grad():
        for each in one.parameters():
            each.add_(0.1 * torch.randn_like(each))
    stored = io.BytesIO()
    torch.save(one.state_dict(), stored)
    stored.seek(0)
    other.load_state_dict(torch.load(stored, weights_only=True))
    says = "another one with the saved weights gives something else; what it has learned or drawn "
    says += "must be a parameter, a buffer, or in an nn.ModuleList (not a plain list)"
    same(read(other), read(one), says, 1e-6)


def learned(module: nn.Module) -> None:
    """A breach unless a backward pass has reached each parameter of `module`."""
    trained = [(name, each) for name, each in module.named_parameters() if each.requires_grad]
    without = [name for name, each in trained if each.grad is None or not each.grad.any()]
    if without:
        raise BreachError(
            f"no gradient reaches {', '.join(without[:4])}; use it, leave it out, and beware of "
            ".detach(), .data and torch.no_grad()"
        )


def gradients(module: nn.Module, given: Tensor, named_so: str) -> None:
    """A breach unless a backward pass has reached each parameter of `module`, and `given`."""
    learned(module)
    if given.grad is None or not given.grad.any():
        raise BreachError(f"no gradient reaches {named_so}, so nothing below would learn")


def registered(module: nn.Module) -> None:
    """A breach where PyTorch does not know of a layer or parameter that the module keeps."""
    known = {id(each) for each in (*module.modules(), *module.parameters(), *module.buffers())}
    for owner in module.modules():
        for name, value in vars(owner).items():
            for each in _members(value) if name not in _REGISTRIES else ():
                where = f"`self.{name}` of {type(owner).__name__}"
                if id(each) not in known and isinstance(each, nn.Module | nn.Parameter):
                    container = "Parameter" if isinstance(each, Tensor) else "Module"
                    container += "Dict" if isinstance(value, dict) else "List"
                    raise BreachError(
                        f"{where} is a plain {type(value).__name__}, so its weights are neither "
                        f"trained nor saved nor moved to a device: make it an nn.{container}"
                    )
                if id(each) not in known and isinstance(each, Tensor) and each.dim():
                    raise BreachError(
                        f"{where} holds a tensor that is neither saved nor moved to a device: "
                        f'call self.register_buffer("{name}", ...), or make it an nn.Parameter if '
                        "it is learned"
                    )


def same_device(read: Callable[[], Iterator[tuple[str, State]]], advice: str) -> None:
    """A breach unless all that `read` yields is on `meta`, where the module and its inputs are.

    There are shapes and no numbers on that device, so it shows what any GPU would.
    """
    try:
        for what, made in read():
            for leaf in leaves(made):
                if not leaf.is_meta:
                    says = f"{what} is on {leaf.device} wherever the weights are"
                    raise BreachError(f"{says}; {advice}")
    except NotImplementedError as error:
        raise NotTriedError(f"it needs numbers, not only shapes: {describe(error)}") from None
    except RuntimeError as error:
        if "meta tensor" in str(error):  # such as .item(), which is slow on a GPU but no mistake
            raise NotTriedError(f"it needs numbers, not only shapes: {describe(error)}") from None
        if "device" not in str(error):
            raise
        says = "tensors of two devices meet where the weights are not on the CPU"
        raise BreachError(f"{says}: {describe(error)}; {advice}") from None


_REGISTRIES = {"_parameters", "_buffers", "_modules"}


def _members(value: Any) -> Iterator[Any]:
    """`value`, or what is in it where it is a list, a tuple or a dict."""
    if isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _members(each)
    else:
        yield value
