"""The schema files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler.manifests.known_kinds import KNOWN_KINDS
from reconciler.manifests.schema_check import schema_of
from schemas import read_schema
from schemas.bundle import bundle, catalog, kind_schemas
from tests.unit.manifests.samples import CLAIM, DATA_VOLUME, NETWORK, WEBSERVER


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a schema."""
    if isinstance(schema, dict):
        yield schema
        for value in schema.values():
            yield from nodes(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from nodes(value)


@pytest.mark.parametrize("kind", KNOWN_KINDS)
def test_schema_is_valid_named_and_for_its_kind(kind: str) -> None:
    schema = schema_of(kind)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://gitvirt.io/schemas/{kind.lower()}.json"
    assert kind in schema["title"]
    assert schema["description"]
    assert schema["properties"]["kind"] == {"const": kind}
    assert schema["properties"]["apiVersion"] == {"const": KNOWN_KINDS[kind]}


@pytest.mark.parametrize("kind", KNOWN_KINDS)
def test_references_resolve_and_objects_are_closed(kind: str) -> None:
    schema = schema_of(kind)
    for node in nodes(schema):
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
        if isinstance(node.get("properties"), dict) and node.get("type") == "object":
            assert node["additionalProperties"] is False


def test_all_schemas_are_package_data() -> None:
    names = {entry.name for entry in resources.files("schemas").iterdir()}
    assert {f"{kind.lower()}.json" for kind in KNOWN_KINDS} <= names


def test_vm_schema_covers_the_published_surface() -> None:
    definitions = read_schema("virtualmachine.json")["$defs"]
    assert len(definitions) > 150
    assert {"cpu", "memory", "devices", "firmware", "clock", "features", "launchSecurity", "ioThreads"} <= set(
        definitions["DomainSpec"]["properties"]
    )
    assert {"disks", "interfaces", "gpus", "hostDevices", "tpm", "watchdog", "sound", "filesystems"} <= set(
        definitions["Devices"]["properties"]
    )
    assert {"containerDisk", "hostDisk", "cloudInitNoCloud", "sysprep"} <= set(definitions["Volume"]["properties"])


def test_an_unknown_kind_has_no_schema() -> None:
    with pytest.raises(KeyError):
        schema_of("Pod")


def test_what_editors_use_is_current() -> None:
    assert read_schema("all.json") == bundle(kind_schemas()), "run python -m schemas.bundle"
    assert read_schema("catalog.json") == catalog(kind_schemas()), "run python -m schemas.bundle"
    assert set(kind_schemas()) == set(KNOWN_KINDS)


def test_one_schema_serves_every_kind_and_refers_to_nothing_else() -> None:
    whole = read_schema("all.json")
    Draft202012Validator.check_schema(whole)
    for node in nodes(whole):
        if isinstance(node.get("$ref"), str):
            assert node["$ref"].removeprefix("#/$defs/") in whole["$defs"]
    validator = Draft202012Validator(whole)
    for text in (WEBSERVER, CLAIM, DATA_VOLUME, NETWORK):
        body = yaml.safe_load(text)
        assert list(validator.iter_errors(body)) == []
        broken = {**body, "spec": {**body["spec"], "nonsense": 1}}
        (error,) = validator.iter_errors(broken)
        own = next(Draft202012Validator(schema_of(body["kind"])).iter_errors(broken))
        assert (error.message, list(error.absolute_path)) == (own.message, list(own.absolute_path))
    assert not validator.is_valid({**yaml.safe_load(CLAIM), "kind": "Pod"})
    assert validator.is_valid({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": []})


def test_the_catalogue_has_the_shape_of_the_schema_store_and_names_files_that_are_there() -> None:
    found = read_schema("catalog.json")
    assert set(found) == {"$schema", "version", "schemas"}
    names = [entry["name"] for entry in found["schemas"]]
    assert len(names) == len(set(names))
    for entry in found["schemas"]:
        assert set(entry) <= {"name", "description", "fileMatch", "url"} and entry["description"]
        assert read_schema(entry["url"].rsplit("/", 1)[-1])["$id"] == entry["url"]
        assert all(pattern.endswith((".yaml", ".yml")) for pattern in entry.get("fileMatch", ()))
