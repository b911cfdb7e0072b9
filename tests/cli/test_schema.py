"""The verb `schema`; what the schema accepts is in tests/test_recipe.py."""

import json

import pytest

from seqgen.cells import cells
from seqgen.comparison import plan_schema
from seqgen.recipe import recipe_schema

PLUGIN = '''
from seqgen.cells import cells


@cells.register("mine")
def mine(input_size: int, leak: float = 0.5):
    """A cell of mine."""
'''


def test_it_is_the_json_schema_of_recipes(command):
    ended = command("schema")
    assert (ended.code, ended.err) == (0, "")
    schema = json.loads(ended.out)
    assert schema == json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert {"data", "model", "train"} <= set(schema["required"])
    assert all(f'"{name}"' in ended.out for name in cells.names())
    assert "hidden_size" in ended.out


def test_with_a_flag_it_is_that_of_plans(command):
    ended = command("schema", "--plan")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(json.dumps(plan_schema()))


@pytest.mark.parametrize("words", [[], ["--plan"]])
def test_every_reference_leads_somewhere(words, command):
    schema = json.loads(command("schema", *words).out)
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


@pytest.mark.usefixtures("own_registries")
def test_a_part_of_a_plugin_is_in_it(command, place):
    place.write("more.py", PLUGIN)
    schema = json.loads(command("schema", "--plugin", "more.py").out)
    mine = schema["$defs"]["cells.mine"]
    assert mine["description"] == "A cell of mine."
    bounds = {"minimum": -1e30, "maximum": 1e30}
    assert mine["properties"]["leak"] == {"type": "number", "default": 0.5, **bounds}
    assert '"mine"' in json.dumps(schema["$defs"]["cells"])


def test_a_plugin_that_is_not_there(refusal, place):
    told = refusal(8, "schema", "--plugin", "none.py")
    assert told == f"plugin {place.folder / 'none.py'}: no such file"
