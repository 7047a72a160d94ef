"""Problems of shape: exact places, and hints that name the way out."""

from __future__ import annotations

import pytest

from reconciler.manifests.known_kinds import KNOWN_KINDS
from tests.unit.manifests.samples import CLAIM, SMALL, WEBSERVER, edited, load, only

INTERFACES = "spec.template.spec.domain.devices.interfaces"


@pytest.mark.parametrize(
    ("old", "new", "place", "path", "hint"),
    [
        (
            "{name: default, bridge: {}}",
            "{name: default, bridge: {}, modle: virtio}",
            "13:52",
            f"{INTERFACES}[0].modle",
            "model",
        ),
        ("running: true", "runing: true", "5:3", "spec.runing", "running"),
        ("cores: 2", "core: 2", "10:15", "spec.template.spec.domain.cpu.core", "cores"),
        ("networkName", "networkname", "17:40", "spec.template.spec.networks[1].multus.networkname", "networkName"),
        (
            "claimName",
            "claim_name",
            "19:50",
            "spec.template.spec.volumes[0].persistentVolumeClaim.claim_name",
            "claimName",
        ),
        ("labels:", "lables:", "7:16", "spec.template.metadata.lables", "labels"),
        ("      networks:", "      netwroks:", "15:7", "spec.template.spec.netwroks", "networks"),
    ],
)
def test_misspelt_fields(old: str, new: str, place: str, path: str, hint: str) -> None:
    problems = load(edited(WEBSERVER, old, new)).problems
    found = next(one for one in problems if one.code == "schema-unknown-field")
    assert (str(found.place), found.path, found.hint) == (f"vm.yaml:{place}", path, f"did you mean {hint}?")


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("      domain:", "      running: true\n      domain:", "spec.running"),
        ("  running: true", "  running: true\n  nodeSelector: {a: b}", "spec.template.spec.nodeSelector"),
        ("      domain:", "      disks: []\n      domain:", "spec.template.spec.domain.devices.disks"),
        ("        cpu:", "        bootOrder: 1\n        cpu:", "spec.template.spec.domain.devices.disks[].bootOrder"),
    ],
)
def test_a_field_at_the_wrong_level_is_told_its_place(old: str, new: str, where: str) -> None:
    found = only(load(edited(WEBSERVER, old, new)).problems)
    assert found.code == "schema-unknown-field"
    assert found.hint.endswith(f" belongs at {where}")


@pytest.mark.parametrize(
    ("old", "new", "place", "message", "hint"),
    [
        (
            "running: true",
            'running: "true"',
            "5:12",
            'needs true or false, not the text "true"',
            "remove the quotes: true",
        ),
        ("running: true", "running: 1", "5:12", "needs true or false, not 1", ""),
        ("cores: 2", "cores: '2'", "10:22", 'needs a whole number, not the text "2"', "remove the quotes: 2"),
        ("cores: 2", "cores: 1.5", "10:22", "needs a whole number, not 1.5", ""),
        ("cores: 2", "cores: two", "10:22", 'needs a whole number, not the text "two"', ""),
        ("cpu: {cores: 2}", "cpu: 2", "10:14", "needs a mapping, not a number", ""),
        (
            "cpu: {cores: 2}",
            "cpu: [{cores: 2}]",
            "10:14",
            "needs a mapping, not a list",
            "remove the `- ` before the field",
        ),
        (
            "[{name: rootdisk, disk: {bus: virtio}}]",
            "{name: rootdisk}",
            "12:18",
            "needs a list",
            "each item of a list begins",
        ),
        ("bus: virtio", "bus: 1", "12:48", "needs text, not 1", 'put it in quotes: "1"'),
        ("domain: webserver-vm}", "domain: yes}", "7:45", "needs text, not true", 'write "yes"'),
        (
            "domain: webserver-vm}",
            "domain: 0777}",
            "7:45",
            "needs text, not 511",
            '0777 is read as 511, as kubectl does; write "0777"',
        ),
        ("domain: webserver-vm}", "domain: 1e3}", "7:45", "needs text, not 1000", 'write "1e3"'),
        ("domain: webserver-vm}", "domain: 1_000}", "7:45", "needs text, not 1000", 'write "1_000"'),
        ("name: rootdisk, disk", "name: off, disk", "12:26", "needs text, not false", 'write "off"'),
    ],
)
def test_wrong_types(old: str, new: str, place: str, message: str, hint: str) -> None:
    found = only(load(edited(WEBSERVER, old, new)).problems)
    assert (found.code, str(found.place)) == ("schema-type", f"vm.yaml:{place}")
    assert message in found.message
    assert hint in found.hint
    assert bool(hint) == bool(found.hint)


def test_words_for_true_are_fine_where_a_boolean_is_wanted() -> None:
    for word in ("yes", "on", "True", "y"):
        assert load(edited(WEBSERVER, "running: true", f"running: {word}")).problems == ()


def test_a_list_item_without_a_value() -> None:
    text = SMALL.replace("devices: {}", "devices:\n          disks:\n          -\n")
    found = only(load(text).problems)
    assert (found.code, found.hint) == ("schema-type", "the item has no value")


@pytest.mark.parametrize(
    ("text", "path", "place", "hint"),
    [
        (
            edited(CLAIM, "spec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 20Gi}}\n", ""),
            "spec",
            "1:1",
            "",
        ),
        (
            edited(
                CLAIM, "spec:\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 20Gi}}\n", "spec:\n"
            ),
            "spec",
            "1:1",
            "null counts as absent",
        ),
        (
            edited(SMALL, "devices: {}", "cpu: {cores: 1}"),
            "spec.template.spec.domain.devices",
            "9:9",
            "",
        ),
        (
            edited(WEBSERVER, "{claimName: webserver-pvc}", "{readOnly: true}"),
            "spec.template.spec.volumes[0].persistentVolumeClaim.claimName",
            "19:49",
            "",
        ),
    ],
)
def test_missing_fields(text: str, path: str, place: str, hint: str) -> None:
    found = only(load(text).problems)
    assert (found.code, found.path, str(found.place), found.hint) == ("schema-required", path, f"vm.yaml:{place}", hint)


def test_values_of_an_enumeration() -> None:
    found = only(load(edited(WEBSERVER, "bus: virtio", "bus: Virtio")).problems)
    assert (found.code, str(found.place), found.hint) == ("schema-enum", "vm.yaml:12:48", "did you mean virtio?")
    found = only(load(edited(SMALL, "Always", "always")).problems)
    assert (found.code, found.path, found.hint) == ("schema-enum", "spec.runStrategy", "did you mean Always?")


def test_quantities_are_explained() -> None:
    found = only(load(edited(WEBSERVER, "memory: 4Gi", "memory: 4GB")).problems)
    assert (found.code, str(found.place), found.hint) == ("schema-pattern", "vm.yaml:14:40", "did you mean 4G?")


def test_numbers_out_of_range() -> None:
    found = only(load(edited(WEBSERVER, "cores: 2", "cores: 99999999999")).problems)
    assert (found.code, found.message) == ("schema-value", "must be at most 2147483647")


def test_several_problems_come_in_the_order_of_the_file() -> None:
    text = edited(edited(WEBSERVER, "cores: 2", "core: 2"), "running: true", "running: 1")
    assert [(one.code, one.place.line) for one in load(text).problems] == [
        ("schema-type", 5),
        ("schema-unknown-field", 10),
    ]


def test_many_problems_are_bounded() -> None:
    fields = "".join(f"\n  nonsense{number}: 1" for number in range(1000))
    assert 1 <= len(load(edited(WEBSERVER, "  running: true", f"  running: true{fields}")).problems) <= 100


@pytest.mark.parametrize("kind", KNOWN_KINDS)
def test_every_kind_refuses_unknown_fields(kind: str) -> None:
    text = f"apiVersion: {KNOWN_KINDS[kind]}\nkind: {kind}\nmetadata: {{name: a}}\nnonsense: 1\n"
    codes = [(one.code, one.path) for one in load(text).problems]
    assert ("schema-unknown-field", "nonsense") in codes
