"""JSON files that hold a mapping, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seqgen.errors import CheckpointError


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a file of ours. Errors: CheckpointError, where it is missing or damaged."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path}: the file is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: cannot be read: {reason}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: damaged, it does not hold a mapping")
    return content
