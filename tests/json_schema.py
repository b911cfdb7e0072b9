"""What a JSON Schema of the keywords that seqgen uses accepts; an unknown keyword is an error."""

KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
NOTES = ("default", "description", "title", "format", "$schema", "$defs")


def accepts(schema, value, definitions):
    """Whether `schema` accepts `value`; what it refers to is in `definitions`."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    size = len(value) if isinstance(value, list | str) else 0
    keys = value if isinstance(value, dict) else {}
    items = value if isinstance(value, list) else []
    known = schema.get("properties", {})
    first = schema.get("prefixItems", [])
    rest = schema.get("additionalProperties", True)

    def inner(one, each):
        return one is True or (one is not False and accepts(one, each, definitions))

    def is_kind(kind):
        if kind in ("number", "integer"):
            return is_number and (kind == "number" or isinstance(value, int))
        return isinstance(value, KINDS[kind])

    rules = {
        "$ref": lambda ref: inner(definitions[ref.removeprefix("#/$defs/")], value),
        "anyOf": lambda options: any(inner(one, value) for one in options),
        "type": is_kind,
        "enum": lambda options: value in options,
        "const": lambda wanted: value == wanted,
        "minimum": lambda bound: not is_number or value >= bound,
        "maximum": lambda bound: not is_number or value <= bound,
        "exclusiveMinimum": lambda bound: not is_number or value > bound,
        "exclusiveMaximum": lambda bound: not is_number or value < bound,
        "minLength": lambda bound: not isinstance(value, str) or size >= bound,
        "minItems": lambda bound: not isinstance(value, list) or size >= bound,
        "maxItems": lambda bound: not isinstance(value, list) or size <= bound,
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(keys),
        "properties": lambda _: all(inner(known[k], keys[k]) for k in keys if k in known),
        "additionalProperties": lambda _: all(inner(rest, keys[k]) for k in keys if k not in known),
        "prefixItems": lambda _: all(map(inner, first, items)),
        "items": lambda one: all(inner(one, each) for each in items[len(first) :]),
        **dict.fromkeys(NOTES, lambda _: True),
    }
    return all(rules[keyword](argument) for keyword, argument in schema.items())
