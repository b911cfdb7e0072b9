"""The laws that what a module has learned is registered and saved, and moves with it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from seqgen.state import State, leaves
from seqgen.testing.laws import BreachError, NotTriedError, told
from seqgen.testing.same import require_same

M = TypeVar("M", bound=nn.Module)


def require_saved(make: Callable[..., M], read: Callable[[M], State]) -> None:
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
    require_same(read(other), read(one), says, 1e-6)


def require_registered(module: nn.Module) -> None:
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


def require_same_device(read: Callable[[], Iterator[tuple[str, State]]], advice: str) -> None:
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
        raise NotTriedError(f"it needs numbers, not only shapes: {told(error)}") from None
    except RuntimeError as error:
        if "meta tensor" in str(error):  # such as .item(), which is slow on a GPU but no mistake
            raise NotTriedError(f"it needs numbers, not only shapes: {told(error)}") from None
        if "device" not in str(error):
            raise
        says = "tensors of two devices meet where the weights are not on the CPU"
        raise BreachError(f"{says}: {told(error)}; {advice}") from None


_REGISTRIES = {"_parameters", "_buffers", "_modules"}


def _members(value: Any) -> Iterator[Any]:
    """`value`, or what is in it where it is a list, a tuple or a dict."""
    if isinstance(value, list | tuple | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _members(each)
    else:
        yield value
