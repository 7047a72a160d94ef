"""Changes of networks: define with its marks, start, plug running guests in again, remove."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import libvirt

from nodeexec.libvirt import network_xml
from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domain_index import DomainIndex
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import ApplyEndedError, translate
from nodeexec.libvirt.marks import MARKS_URI, DomainMarks, UnreadableMarks, to_metadata
from nodeexec.libvirt.naming import network_name
from nodeexec.libvirt.new_marks import marks_for
from nodeexec.libvirt.observe_networks import NetworkReading, find_network, live_network
from nodeexec.libvirt.safe_xml import parse_xml, to_text
from nodeexec.libvirt.steps import Steps
from reconciler.model.keys import POD_NETWORK
from reconciler.model.live import LiveNetwork
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Change
from reconciler.model.policy import Policy
from reconciler.model.resolved import ResolvedNetwork
from reconciler.ports import Clock

WAIT_S = 5.0
_IN_USE = "already in use"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanges:
    """Applies one change of one network."""

    connection: Connection
    policy: Policy
    clock: Clock
    domains: Domains
    index: DomainIndex

    def apply(self, change: Change, steps: Steps) -> Outcome:
        """Re-observe, then act.

        Raises:
            ApplyEndedError: the change ends early.
            ValueError, libvirt.libvirtError: libvirt refuses, did not answer, or its XML cannot be understood.
        """
        name = network_name(change.key, self.policy.owner)
        reading = find_network(self.connection, name)
        self.index.refresh(fresh=change.action is Action.DELETE)
        live = self._live(change, reading) if reading is not None else None
        if change.action is Action.DELETE:
            return self._delete(change, reading, live, steps)
        if not isinstance(change.wanted, ResolvedNetwork):
            raise ApplyEndedError(Result.REFUSED, f"{change.key}: the change does not say what is wanted")
        if change.action is not Action.CREATE:
            self._require_expected(change, live)
        self._put(change, change.wanted, reading, live, steps)
        return steps.outcome()

    def release(self, reading: NetworkReading, steps: Steps) -> None:
        """Take the marks out of the stored configuration (this libvirt has no metadata call for networks)."""
        root = parse_xml(reading.xml)
        for element in list(root.iter(f"{{{MARKS_URI}}}marks")):
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
        steps.do("took marks off network", lambda: self.connection.get().networkDefineXML(to_text(root)))

    def _live(self, change: Change, reading: NetworkReading) -> LiveNetwork:
        """Raises ApplyEndedError when it is not ours to touch."""
        marks = reading.marks
        if isinstance(marks, UnreadableMarks):
            raise ApplyEndedError(Result.RETRY, f"network {reading.name}: {marks.reason}", retry_after_s=WAIT_S)
        if marks is None or marks.marks.owner != self.policy.owner:
            whose = f"belongs to {marks.marks.owner!r}" if marks is not None else "was not made by gitvirt"
            raise ApplyEndedError(
                Result.REFUSED, f"a libvirt network named {reading.name} {whose}; rename or remove it"
            )
        return live_network(change.key, reading, self.index.users_of_network(reading.name))

    def _require_expected(self, change: Change, live: LiveNetwork | None) -> None:
        if live is None or live.fingerprint != change.expected:
            what = "is gone" if live is None else "changed since it was planned"
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} {what}", retry_after_s=1.0)

    def _put(
        self,
        change: Change,
        wanted: ResolvedNetwork,
        reading: NetworkReading | None,
        live: LiveNetwork | None,
        steps: Steps,
    ) -> None:
        name, connection = network_name(change.key, self.policy.owner), self.connection.get()
        old = live.marks if live is not None else None
        own = marks_for(wanted, change.revision, old, policy=self.policy, now=self.clock.now())
        changed = live is None or live.network != wanted.network
        handle: Any = reading.handle if reading is not None else None
        if changed and live is not None:
            self._refuse_to_move_guests(name, live, wanted)
        if changed or own != old:
            xml = network_xml.build(wanted.network, name, metadata=to_metadata(DomainMarks(marks=own)))
            handle = steps.do("defined network", lambda: connection.networkDefineXML(xml))
        if not handle.autostart():
            steps.do("set network to start with the host", lambda: handle.setAutostart(1))
        active = bool(handle.isActive())
        if active and network_xml.parse(handle.XMLDesc(0)) != wanted.network:
            steps.do("stopped network", handle.destroy)
            active = False
        if not active:
            self._require_master(wanted.network.master)
            self._start(change, handle, steps)
            if not wanted.network.master:
                self._plug_in(name, handle, steps)

    def _refuse_to_move_guests(self, name: str, live: LiveNetwork, wanted: ResolvedNetwork) -> None:
        """A running NIC beside an interface of the host cannot be put elsewhere from outside, nor a tap of a bridge beside one."""
        if not wanted.network.master and (live.network is None or not live.network.master):
            return
        running = [str(key) for key in live.used_by if self.index.runs_on_network(key, name)]
        if running:
            raise ApplyEndedError(
                Result.RETRY,
                f"{', '.join(running)} run with a NIC on it; a macvlan network is changed when none does",
                retry_after_s=30.0,
            )

    def _require_master(self, master: str) -> None:
        """libvirt starts a network whose interface is not there, and every guest on it fails later."""
        if master and not (Path("/sys/class/net") / master).exists():
            reason = f"this host has no interface {master}; the network starts when it is there"
            raise ApplyEndedError(Result.RETRY, reason, retry_after_s=30.0)

    def _start(self, change: Change, handle: Any, steps: Steps) -> None:
        try:
            steps.do("started network", handle.create)
        except libvirt.libvirtError as error:
            if handle.isActive():
                steps.attempting = ""
                return
            said = translate(error, f"starting network {handle.name()}").message
            if _IN_USE in said:
                where = "settings.podNetwork" if change.key == POD_NETWORK else "the manifest"
                raise ApplyEndedError(
                    Result.RETRY, f"{said}; choose another address or bridge in {where}", retry_after_s=30.0
                ) from error
            raise

    def _plug_in(self, name: str, handle: Any, steps: Steps) -> None:
        """The bridge is a new one: give it the taps of the guests that were plugged into the old one."""
        bridge = handle.bridgeName()
        for user in self.domains.all():
            reading = self.domains.read(user)
            if reading is None or reading.running_xml is None:
                continue
            for nic in parse_xml(reading.running_xml).iterfind("devices/interface"):
                source, target, link = nic.find("source"), nic.find("target"), nic.find("link")
                tap = target.get("dev", "") if target is not None else ""
                down = link is not None and link.get("state") == "down"
                if source is None or source.get("network") != name or not tap or down:
                    continue
                step = f"plugged {reading.name} in again"
                steps.do(step, partial(_enslave, tap, bridge))

    def _delete(
        self, change: Change, reading: NetworkReading | None, live: LiveNetwork | None, steps: Steps
    ) -> Outcome:
        if reading is None or live is None:
            return steps.outcome(reason=f"{change.key} is gone already")
        if replace(live, used_by=()).fingerprint != change.expected:
            raise ApplyEndedError(Result.CONFLICT, f"{change.key} changed since it was planned", retry_after_s=1.0)
        if live.used_by:
            users = ", ".join(str(user) for user in live.used_by)
            raise ApplyEndedError(
                Result.RETRY, f"{change.key} is used by {users}; it goes after them", retry_after_s=WAIT_S
            )
        if reading.active:
            steps.do("stopped network", reading.handle.destroy)
        if reading.handle.isPersistent():
            steps.do("undefined network", reading.handle.undefine)
        return steps.outcome()


def _enslave(tap: str, bridge: str) -> None:
    """Raises OSError when the kernel refuses."""
    command = ["ip", "link", "set", "dev", tap, "master", bridge]
    ended = subprocess.run(command, capture_output=True, timeout=10, check=False)
    if ended.returncode != 0:
        raise OSError(5, ended.stderr.decode(errors="replace").strip() or "ip link failed", tap)
