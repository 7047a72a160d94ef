"""A lost key file: what its digests stand for is unknown. That is no drift, and no reason to restart anything."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nodeexec.spec_difference import compare
from reconciler.daemon.key import keyed_digest
from reconciler.model.domain import SeedSource
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveVm, Marks
from reconciler.model.plan import Impact
from reconciler.model.power import PowerState
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.other_key import KEY, heeding_key, key_name, key_of
from reconciler.planning.resolve import resolve
from tests.unit.planning.building import POLICY, declared, observed

OLD, NEW = keyed_digest(b"o" * 32), keyed_digest(b"n" * 32)
VM = """
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {guest: 128Mi}
        devices: {disks: [{name: seed, disk: {bus: virtio}}]}
      volumes:
      - {name: seed, cloudInitNoCloud: {userData: "%s"}}
"""


def wanted(digest, data: str = "#cloud-config") -> ResolvedVm:
    desired = resolve(declared(VM % data), observed(), policy=POLICY, digest=digest)
    vm = desired.objects[ObjectKey("VirtualMachine", "default", "web")]
    assert isinstance(vm, ResolvedVm)
    return vm


def live_of(vm: ResolvedVm, power: PowerState = PowerState.RUNNING) -> LiveVm:
    return LiveVm(
        key=vm.key,
        fingerprint="f",
        marks=Marks(owner=POLICY.owner, host="h", revision="r", applied=vm.applied),
        stored=vm.domain,
        running=vm.domain if power is PowerState.RUNNING else None,
        power=power,
    )


def test_the_digests_are_others_and_the_key_is_named_and_not_told() -> None:
    old, new = wanted(OLD), wanted(NEW)
    assert old.seeds[0].digest != new.seeds[0].digest
    assert key_of(old.applied) == key_name(OLD) != key_name(NEW)
    assert (b"o" * 32).hex() not in str(dict(old.applied))


def test_a_running_guest_differs_in_nothing() -> None:
    live = live_of(wanted(OLD))
    assert any(d.impact is Impact.RESTART for d in compare(wanted(NEW), live)), "what would be without it"
    vm = heeding_key(wanted(NEW), live)
    assert compare(vm, live) == ()
    assert vm.of_another_key
    assert vm.seeds == ()


def test_a_guest_that_is_off_takes_everything_anew() -> None:
    new = wanted(NEW)
    assert heeding_key(new, live_of(wanted(OLD), PowerState.OFF)) is new


def test_the_old_key_put_back_knows_everything_again() -> None:
    live = live_of(wanted(OLD))
    assert not heeding_key(wanted(OLD), live).of_another_key
    changed = heeding_key(wanted(OLD, "#cloud-config\\npassword: other"), live)
    assert any(d.impact is Impact.RESTART for d in compare(changed, live))


@pytest.mark.parametrize("running", [True, False])
def test_what_else_changes_in_the_manifest_is_a_change_as_ever(running: bool) -> None:
    live = live_of(wanted(OLD), PowerState.RUNNING if running else PowerState.OFF)
    base = wanted(NEW)
    bigger = replace(base, domain=replace(base.domain, memory_mib=256))
    paths = {d.path for d in compare(heeding_key(bigger, live), live)}
    assert "spec.template.spec.domain.memory.guest" in paths
    assert any("seed" in path for path in paths) is not running


def test_what_was_never_named_is_taken_for_the_present_key() -> None:
    old = wanted(OLD)
    metadata = {k: v for k, v in old.applied["metadata"].items() if k != "annotations"}
    live = replace(live_of(old), marks=replace(live_of(old).marks, applied={**old.applied, "metadata": metadata}))
    assert KEY not in str(live.marks.applied)
    assert not heeding_key(wanted(NEW), live).of_another_key
    assert isinstance(live.stored.disks[0].source, SeedSource)
