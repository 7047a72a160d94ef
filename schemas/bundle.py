"""Writes what editors need beside the schemas of single kinds: ``python -m schemas.bundle``.

``all.json`` is one schema for a whole repository: it looks at ``kind`` and asks for that kind's schema. It refers to no other
file, so that it can be copied anywhere. ``catalog.json`` lists all schemas in the shape of the JSON Schema Store's catalogue.
Nothing here runs with the product.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from schemas import read_schema

Schema = dict[str, Any]
HERE = Path(__file__).parent
DRAFT = "https://json-schema.org/draft/2020-12/schema"
BASE_URL = "https://gitvirt.io/schemas/"
ALL, CATALOG = "all.json", "catalog.json"
SETTINGS = "settings.json"
NO_KINDS = (ALL, CATALOG, SETTINGS)
REPOSITORY_FILES = ("**/gitvirt/**/*.yaml", "**/gitvirt/**/*.yml", "*.gitvirt.yaml", "*.gitvirt.yml")
SETTINGS_FILES = ("**/gitvirt/settings.yaml", "**/gitvirt/settings.yml")


def kind_schemas() -> dict[str, Schema]:
    """The schema of each kind, by kind."""
    names = sorted(path.name for path in HERE.glob("*.json") if path.name not in NO_KINDS)
    schemas = (read_schema(name) for name in names)
    return {schema["properties"]["kind"]["const"]: schema for schema in schemas}


def bundle(schemas: dict[str, Schema]) -> Schema:
    """One schema for documents of all these kinds."""
    shared = _shared_definitions(schemas)
    definitions: Schema = {}
    for kind, schema in schemas.items():
        renamed = {name: name if name in shared else f"{kind}.{name}" for name in schema["$defs"]}
        definitions |= {renamed[name]: _repointed(inner, renamed) for name, inner in schema["$defs"].items()}
        whole = {name: value for name, value in schema.items() if name not in ("$schema", "$id", "$defs")}
        definitions[kind] = _repointed(whole, renamed)
    return {
        "$schema": DRAFT,
        "$id": f"{BASE_URL}{ALL}",
        "title": "gitvirt manifest",
        "description": "One manifest of a gitvirt repository; its kind decides which fields it has.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "properties": {
            "kind": {
                "description": "What kind of object this is.",
                "anyOf": [{"enum": list(schemas)}, {"type": "string", "pattern": "List$"}],
            },
            "apiVersion": {
                "description": "The API that the kind belongs to.",
                "type": "string",
            },
        },
        "allOf": [
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"#/$defs/{kind}"},
            }
            for kind in schemas
        ],
        "$defs": dict(sorted(definitions.items())),
    }


def _shared_definitions(schemas: dict[str, Schema]) -> set[str]:
    """Names that mean the same, and refer to the same, wherever they stand."""
    texts: dict[str, set[str]] = {}
    for schema in schemas.values():
        for name, inner in schema["$defs"].items():
            texts.setdefault(name, set()).add(json.dumps(inner, sort_keys=True))
    shared = {name for name, found in texts.items() if len(found) == 1 and name not in schemas}
    while True:
        broken = {
            name
            for schema in schemas.values()
            for name, inner in schema["$defs"].items()
            if name in shared and not shared.issuperset(_references(inner))
        }
        if not broken:
            return shared
        shared -= broken


def _references(node: Any) -> Counter[str]:
    """The names of all definitions that a schema refers to."""
    found: Counter[str] = Counter()
    if isinstance(node, list):
        for item in node:
            found += _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            found[node["$ref"].removeprefix("#/$defs/")] += 1
        for value in node.values():
            found += _references(value)
    return found


def _repointed(node: Any, renamed: dict[str, str]) -> Any:
    """A schema whose references follow their definitions' new names."""
    if isinstance(node, list):
        return [_repointed(item, renamed) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {**node, "$ref": f"#/$defs/{renamed[node['$ref'].removeprefix('#/$defs/')]}"}
    return {name: _repointed(value, renamed) for name, value in node.items()}


def catalog(schemas: dict[str, Schema]) -> Schema:
    """All schemas, and the files they are for."""
    entries = [
        {
            "name": "gitvirt manifests",
            "description": "Every kind of manifest in a repository of gitvirt",
            "fileMatch": list(REPOSITORY_FILES),
            "url": f"{BASE_URL}{ALL}",
        },
        {
            "name": "gitvirt settings",
            "description": "The settings of a host that gitvirt runs on",
            "fileMatch": list(SETTINGS_FILES),
            "url": f"{BASE_URL}{SETTINGS}",
        },
    ]
    entries += [
        {"name": f"gitvirt {kind}", "description": schema["description"], "url": schema["$id"]}
        for kind, schema in schemas.items()
    ]
    return {"$schema": "https://json.schemastore.org/schema-catalog.json", "version": 1, "schemas": entries}


def write(name: str, schema: Schema) -> None:
    """Put a schema into its file."""
    (HERE / name).write_text(json.dumps(schema, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Write both files beside this one."""
    schemas = kind_schemas()
    write(ALL, bundle(schemas))
    write(CATALOG, catalog(schemas))


if __name__ == "__main__":
    main()
