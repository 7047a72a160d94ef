"""``parse(build(d)) == project(d)``: what the table writes, it reads."""

from __future__ import annotations

import functools
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from nodeexec.libvirt import domain_xml, naming
from nodeexec.libvirt.flavour import Flavour
from nodeexec.spec_fields import VM_FIELDS
from nodeexec.vm_difference import DEVICE_LISTS, Halves, field_difference
from reconciler.model.domain import Binding, DiskSpec, DomainSpec, SeedSource
from tests.property.domain_specs import domain_specs, interface_names, labels, subdomains

HOSTS = st.sampled_from(
    (
        Flavour(accelerator="qemu"),
        Flavour(accelerator="kvm", emulator="/usr/bin/qemu", console_log_directory="", hotplug_ports=2),
    )
)

LIBVIRT_SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


def project(spec: DomainSpec) -> DomainSpec:
    """The documented normal form: what the XML cannot tell apart, because it means the same.

    A generated ISO is always read-only; ``apic`` off is no ``apic`` and its ``eoi`` is then nothing; spin locks that are on
    have 4096 retries; a display's default card is not named, and without a display there is none.
    """
    features = {name: setting for name, setting in spec.features if (name, setting) != ("apic", "off")}
    if features.get("apic") != "on":
        features.pop("apic.eoi", None)
    hyperv = {name: "4096" if (name, setting) == ("spinlocks", "on") else setting for name, setting in spec.hyperv}
    return replace(
        spec,
        disks=tuple(_project_disk(disk) for disk in spec.disks),
        features=tuple(sorted(features.items())),
        hyperv=tuple(sorted(hyperv.items())),
        video="" if spec.graphics and spec.video == "vga" else spec.video,
    )


def _project_disk(disk: DiskSpec) -> DiskSpec:
    is_fixed = disk.binding is Binding.CDROM or isinstance(disk.source, SeedSource)
    return replace(disk, read_only=disk.read_only or is_fixed)


@given(domain_specs(), HOSTS)
@settings(max_examples=300, deadline=None)
def test_what_is_built_reads_back(spec: DomainSpec, host: Flavour) -> None:
    parsed = domain_xml.parse(domain_xml.build(spec, host))
    assert parsed.spec == project(spec)
    assert parsed.foreign == ()
    assert parsed.accelerator == host.accelerator


@functools.cache
def _schema() -> etree.RelaxNG:
    return etree.RelaxNG(file=str(LIBVIRT_SCHEMA))


@pytest.mark.skipif(not LIBVIRT_SCHEMA.exists(), reason=f"libvirt's schema {LIBVIRT_SCHEMA} is not installed")
@given(domain_specs(), HOSTS)
@settings(max_examples=200, deadline=None)
def test_libvirts_schema_admits_what_is_built(spec: DomainSpec, host: Flavour) -> None:
    """Defining leaves this check out, because there it costs four times the rest. A disk's serial is any text in a
    manifest and only some letters in the schema; libvirt itself takes it.
    """
    plain = replace(spec, disks=tuple(replace(disk, serial="") for disk in spec.disks))
    document = etree.fromstring(domain_xml.build(plain, host).encode())
    assert _schema().validate(document), _schema().error_log


@given(domain_specs(), HOSTS)
@settings(max_examples=100, deadline=None)
def test_the_projection_is_no_difference(spec: DomainSpec, host: Flavour) -> None:
    live = domain_xml.parse(domain_xml.build(spec, host)).spec
    halves = Halves(live, live, True, True)
    assert [facts.name for facts in VM_FIELDS if field_difference(facts, spec, halves, "") is not None] == []
    for devices in DEVICE_LISTS:
        pairs = zip(getattr(spec, devices.field), getattr(live, devices.field), strict=True)
        for wanted, found in pairs:
            item = Halves(found, found, True, True)
            assert [f.name for f in devices.fields if field_difference(f, wanted, item, "") is not None] == []


@given(domain_specs(), HOSTS)
@settings(max_examples=50, deadline=None)
def test_building_is_deterministic_and_carrying_own_places_changes_nothing(spec: DomainSpec, host: Flavour) -> None:
    first = domain_xml.build(spec, host)
    assert first == domain_xml.build(spec, host)
    assert domain_xml.build(spec, host, domain_xml.carried_from(first)) == first


@given(labels, subdomains, labels, st.sampled_from(("qcow2", "raw")))
def test_names_on_the_host_read_back(namespace: str, name: str, volume: str, format: str) -> None:
    domain = f"{namespace}_{name}"
    claim = naming.volume_name(namespace, name, format)
    seed = naming.seed_volume_name(domain, volume, "0123456789ab")
    scratch = naming.scratch_volume_name(domain, volume)
    assert naming.claim_of_volume(claim) == (namespace, name, format)
    assert naming.seed_of_volume(seed) == (domain, volume, "0123456789ab")
    assert naming.scratch_of_volume(scratch) == (domain, volume)
    assert [naming.claim_of_volume(seed), naming.claim_of_volume(scratch)] == [None, None]
    key = naming.key_of_domain(domain)
    assert key is not None
    assert (key.namespace, key.name) == (namespace, name)
    assert len(naming.bridge_name(domain)) <= 15


@given(st.one_of(interface_names, subdomains, st.text(max_size=20)), st.sampled_from(tuple(naming.DeviceKind)))
def test_aliases_read_back_and_are_of_libvirts_letters(name: str, kind: naming.DeviceKind) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    alias = naming.alias_of(kind, name)
    assert set(alias) <= set(string.ascii_letters + string.digits + "_-")
    assert naming.name_of(alias, kind) == name
    assert all(naming.name_of(alias, other) is None for other in naming.DeviceKind if other is not kind)
