"""Labels: what a decoder is called, by its name and what of its options is worth saying."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from seqgen.config import path_of
from seqgen.options import REQUIRED, KeyPath, default_of
from seqgen.registry import Part, plain

LONGEST = 60
"""The most characters of a value: a list of allowed texts may have thousands."""

_PLAIN_WORD = re.compile(r"[^\s,=\[\]]+")


def decoder_label(part: Part[Any], also: Collection[str] = (), without: str = "") -> str:
    """`beam beam_size=3 alpha=0.5`: the name and the options that are not the defaults.

    Behind them stand those of `also`, be they the defaults or not; `without` is left out. The
    options of parts inside are named with the way to them, `sampler.temperature=0.7`.
    """
    settings = _differing(part)
    for key in also:
        settings.pop(key, None)
        settings[key] = _value_at(part, path_of(key))
    settings.pop(without, None)
    return " ".join([part.name, *(_setting(*each) for each in settings.items())])


def named_label(name: str, part: Part[Any], also: Collection[str]) -> str:
    """`wide beam_size=10`: a name of one's own, and the options `also`."""
    return " ".join([name, *(_setting(key, _value_at(part, path_of(key))) for key in also)])


def _setting(key: str, value: Any) -> str:
    text = _text(value)
    return f"{key}={text if len(text) <= LONGEST else text[: LONGEST - 3] + '...'}"


def _differing(part: Part[Any]) -> dict[str, Any]:
    """The options that differ from their defaults, by the way to them."""
    found: dict[str, Any] = {}
    for key, option in part.registry.entry(part.name).options.items():
        value = part.options[key]
        default = REQUIRED if option.default is REQUIRED else default_of(option)
        if not isinstance(value, Part):
            if value != default:
                found[key] = value
            continue
        if not isinstance(default, Part) or default.name != value.name:
            found[key] = value.name
        found.update({f"{key}.{each}": inner for each, inner in _differing(value).items()})
    return found


def _value_at(part: Part[Any], path: KeyPath) -> Any:
    """What an option is set to, the parts of a list as such; of one part, its name."""
    value: Any = part
    for step in path:
        if isinstance(value, Part):
            value = value.name if step == "name" else value.options[str(step)]
        else:
            value = value[step]
    return value.name if isinstance(value, Part) else value


def _text(value: Any) -> str:
    if isinstance(value, Part):
        return decoder_label(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_text(each) for each in value)}]"
    value = plain(value)
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)
