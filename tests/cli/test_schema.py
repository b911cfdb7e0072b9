"""The verb `schema`; what the schema accepts is in tests/test_recipe.py."""

import json

from seqgen.cells import cells
from seqgen.recipe import recipe_schema


def test_it_is_the_json_schema_of_recipes(command):
    ended = command("schema")
    assert (ended.code, ended.err) == (0, "")
    schema = json.loads(ended.out)
    assert schema == json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"data", "model", "train"} <= set(schema["required"])
    assert all(f'"{name}"' in ended.out for name in cells.names())
    assert "hidden_size" in ended.out


def test_every_reference_leads_somewhere(command):
    schema = json.loads(command("schema").out)
    found = []

    def walk(node):
        if isinstance(node, dict):
            found.extend([node["$ref"]] if "$ref" in node else [])
            node = list(node.values())
        for each in node if isinstance(node, list) else []:
            walk(each)

    walk(schema)
    assert found
    for reference in found:
        target = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target
