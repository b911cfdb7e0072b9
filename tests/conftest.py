"""What tests of several rooms share: small parts by name."""

import pytest

from seqgen.options import REQUIRED

# Options that make a small part, for each registered part that has required ones or large
# defaults. A part that is not here is built with its defaults.
SMALL = {
    "cells": {
        "lstm": {"hidden_size": 5},
        "lstm_cell": {"hidden_size": 5},
        "stack": {
            "cells": [
                {"name": "lstm_cell", "hidden_size": 4},
                {"name": "lstm", "hidden_size": 5},
            ]
        },
    },
    "embeddings": {"learned": {"size": 6}},
    "models": {"language_model": {"cell": {"name": "lstm", "hidden_size": 5}}},
    "data": {"text": {"corpus": "unicode_names"}},
}


@pytest.fixture(scope="session")
def small():
    """A function from a registry and a name to the spec of a small part."""

    def spec(registry, name):
        options = SMALL.get(registry.room, {}).get(name, {})
        required = [
            key
            for key, option in registry.entry(name).options.items()
            if option.default is REQUIRED and key not in options
        ]
        if required:
            pytest.fail(
                f"the {registry.kind} '{name}' cannot be built without {', '.join(required)}: "
                f"enter small values under '{registry.room}' in SMALL (tests/conftest.py)"
            )
        return {"name": name, **options}

    return spec
