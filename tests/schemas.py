"""What commands print, held against the published schemas: no field is missing, none unnamed."""

import json
from typing import Any

import jsonschema

from tests import generate_schemas


def validate(name: str, value: Any) -> None:  # noqa: ANN401  any JSON
    """Raise ValidationError unless the value is as the schema of that name says."""
    path = generate_schemas.FOLDER / f"{name}.v{generate_schemas.VERSION}.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    for each in (schema, _closed(schema)):
        jsonschema.Draft202012Validator(each).validate(value)


def _closed(schema: Any) -> Any:  # noqa: ANN401  any part of a schema
    """The same without room for more: what is printed is published, too."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _closed(part) for name, part in schema.items()}
    is_record = {"properties", "required"} <= parts.keys()
    return parts | ({"additionalProperties": False} if is_record else {})
