"""Users' keys and passwords in a booted guest, through its agent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.outcome import Result
from reconciler.model.power import PowerStep
from reconciler.model.resolved import GuestAccess, GuestCredential, ResolvedVm
from reconciler.model.secret import Secret
from tests.contract.builders import create, update
from tests.live.conftest import LiveHost

pytestmark = [pytest.mark.live, pytest.mark.slow]

KEYS = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH first", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG second")


def with_access(vm: ResolvedVm, digest: str, *credentials: GuestCredential) -> ResolvedVm:
    return replace(vm, guest_access=GuestAccess(credentials=credentials, digest=digest))


def test_they_are_set_once_and_again_when_they_change(libvirt_engine: LiveHost, guest_disk: Any) -> None:
    host = libvirt_engine
    plain = host.site.vm("web", disks={"root": guest_disk}, memory="128Mi")
    password = GuestCredential(user="root", password=Secret(b"hunter2: two words"))
    first = with_access(plain, "one", GuestCredential(user="root", ssh_keys=KEYS), password)
    host.applied(create(first, power=PowerStep.START))
    live = host.vm(first.key)
    assert live.guest_agent or host.engine.compare(first, live) == ()  # without an agent, nothing could be done
    host.until(lambda: host.vm(first.key).guest_agent)
    shadow = host.agent(first.key, "cat /etc/shadow")

    (difference,) = host.engine.compare(first, host.vm(first.key))
    assert (difference.path, difference.after) == ("spec.template.spec.accessCredentials", "digest:one")
    host.settle(lambda live: update(first, live), first.key)
    assert host.vm(first.key).guest_access == "one"
    assert host.engine.compare(first, host.vm(first.key)) == ()
    found = host.agent(first.key, "cat /root/.ssh/authorized_keys")
    assert [line for line in found.splitlines() if line] == list(KEYS)
    assert host.agent(first.key, "cat /etc/shadow") != shadow
    assert "hunter2" not in host.domain(first.key).XMLDesc(0)

    fewer = with_access(plain, "two", GuestCredential(user="root", ssh_keys=KEYS[:1]))
    host.settle(lambda live: update(fewer, live), fewer.key)
    assert host.agent(first.key, "cat /root/.ssh/authorized_keys").strip() == KEYS[0]

    nobody = with_access(plain, "three", GuestCredential(user="nosuchuser", password=Secret(b"hunter3")))
    outcome = host.until(lambda: (o := host.engine.apply(update(nobody, host.vm(nobody.key)))).is_fault and o)
    assert outcome.result is Result.FAILED
    assert "nosuchuser" in outcome.reason
    assert "hunter3" not in outcome.reason
    assert host.vm(nobody.key).guest_access == "two"
