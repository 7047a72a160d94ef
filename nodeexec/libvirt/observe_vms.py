"""One domain's reading as a `LiveVm`; XML is parsed again only where it changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from nodeexec.kernel_times import kernel_time_from, with_told_restart
from nodeexec.libvirt import domain_xml
from nodeexec.libvirt.adopted import adoption_of
from nodeexec.libvirt.domain_xml import ParsedDomain
from nodeexec.libvirt.domains import DomainReading
from nodeexec.libvirt.guest_agent import SILENT, GuestFacts
from nodeexec.libvirt.guest_credentials import access_set_in
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.operator_ends import ENDS, with_told_ends
from reconciler.model.adoption import Adoption
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveInterface, LiveVm, Marks
from reconciler.model.moment import Moment
from reconciler.model.power import PowerState, RunHistory, StopReason
from reconciler.ports import Clock

_AGENT = re.compile(r"<target type='virtio' name='org\.qemu\.guest_agent\.0' state='connected'/>")
_MIRROR = re.compile(r"<mirror [^>]*job='([a-z-]+)'")

RESTARTED = "restarted"
"""``extra`` entry: the kernel's time of the last restart."""
STARTING = "starting"
"""``extra`` entry from the mark of a start until its guest ends: the counts as they were before that start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A half of a domain, by the digest of its XML."""

    digest: str
    domain: ParsedDomain


class VmReader:
    """Turns readings into live objects. Remembers what it parsed, by domain and half."""

    def __init__(self, boot_id: str, clock: Clock) -> None:
        self._boot_id = boot_id
        self._clock = clock
        self._parsed: dict[tuple[str, bool], _Parsed] = {}

    def live(
        self,
        key: ObjectKey,
        reading: DomainReading,
        *,
        addresses: Callable[[ParsedDomain], Mapping[str, tuple[str, ...]]],
        agent: Callable[[str, bool], GuestFacts],
        adopted: Adoption | None = None,
    ) -> LiveVm:
        """The live object. ``addresses`` gives leased addresses by MAC, ``agent`` what the guest says of itself.
        ``adopted`` reads it as if it were adopted so, whatever its marks say.

        Raises:
            ValueError: the domain's XML cannot be understood.
        """
        if adopted is None:
            stored = self._parse(reading.name, reading.stored_xml, running=False)
            running = self._parse(reading.name, reading.running_xml, running=True)
        else:
            stored = domain_xml.parse(reading.stored_xml, adopted) if reading.stored_xml else None
            running = domain_xml.parse(reading.running_xml, adopted) if reading.running_xml else None
        marks = reading.marks if isinstance(reading.marks, DomainMarks) else None
        adoption = adopted or adoption_of(marks)
        history = self._told_history(marks, reading) if marks is not None else RunHistory()
        if adoption is not None and stored is not None and running is not None:
            running = as_stored(running, stored)
        either = running or stored
        live = LiveVm(
            key=key,
            fingerprint="",
            marks=self._told(marks) if marks is not None else None,
            stored=stored.spec if stored else None,
            running=running.spec if running else None,
            power=self._power(reading, history),
            stop_reason=self._stop_reason(reading, marks, history),
            history=history,
            guest_access=access_set_in(marks, history.runs) if marks is not None and running is not None else "",
            disk_jobs=tuple(sorted(set(_MIRROR.findall(reading.running_xml or "")))),
            foreign_stored=stored.foreign if stored else (),
            foreign_running=running.foreign if running else (),
            accelerator=either.accelerator if either else "",
            machine=either.machine if either else "",
            kept=adoption.kept if adoption is not None else (),
        )
        live = replace(live, fingerprint=hashlib.sha256(repr(live).encode()).hexdigest()[:24])
        connected = _AGENT.search(reading.running_xml or "") is not None
        facts = agent(reading.name, connected)
        return replace(
            live,
            interfaces=_interfaces(running, addresses(running), facts) if running else (),
            guest_agent=connected and facts.answered,
            guest_os=facts.os,
            guest_hostname=facts.hostname,
        )

    def _moment(self) -> Moment:
        return Moment(boot_id=self._boot_id, monotonic_s=self._clock.monotonic(), at=self._clock.now())

    def _told(self, marks: DomainMarks) -> Marks:
        return with_told_ends(marks.marks, marks.extra.get(ENDS), self._moment())

    def _told_history(self, marks: DomainMarks, reading: DomainReading) -> RunHistory:
        restarted = kernel_time_from(marks.extra.get(RESTARTED))
        return with_told_restart(history_of(marks, reading), restarted, self._moment())

    def forget(self, name: str) -> None:
        """The domain is gone."""
        self._parsed.pop((name, False), None)
        self._parsed.pop((name, True), None)

    def _parse(self, name: str, xml: str | None, *, running: bool) -> ParsedDomain | None:
        if xml is None:
            self._parsed.pop((name, running), None)
            return None
        digest = hashlib.blake2b(xml.encode(), digest_size=16).hexdigest()
        known = self._parsed.get((name, running))
        if known is None or known.digest != digest:
            known = _Parsed(digest=digest, domain=domain_xml.parse(xml))
            self._parsed[name, running] = known
        return known.domain

    @staticmethod
    def _power(reading: DomainReading, history: RunHistory) -> PowerState:
        if reading.power is PowerState.RUNNING and history.stop_requested_at is not None:
            return PowerState.STOPPING
        return reading.power

    def _stop_reason(self, reading: DomainReading, marks: DomainMarks | None, history: RunHistory) -> StopReason:
        """Why it is off: what we wrote down when it ended, else what libvirt still knows, else what must have been."""
        if reading.power is not PowerState.OFF:
            return StopReason.UNKNOWN
        if marks is not None:
            if history.stop_requested_at is not None:
                return StopReason.GITVIRT
            if marks.end_reason is not None:
                return marks.end_reason
            if history.runs == 0:
                return StopReason.NEVER_RAN
        if reading.ended is not None:
            return reading.ended
        if marks is not None and marks.boot_id and marks.boot_id != self._boot_id:
            return StopReason.HOST
        return StopReason.UNKNOWN


def as_stored(running: ParsedDomain, stored: ParsedDomain) -> ParsedDomain:
    """The running half of an adopted domain without what libvirt only says otherwise there: a CPU model spelt out for this
    host, a display's address. Such things would read as changes that wait for a restart, after every restart anew.
    """
    places = {place for place, _ in stored.foreign}
    foreign = tuple(sorted({*stored.foreign, *(entry for entry in running.foreign if entry[0] not in places)}))
    cpu = running.spec.cpu
    if not running.keeps_cpu and not stored.keeps_cpu:
        cpu = replace(cpu, model=stored.spec.cpu.model, features=stored.spec.cpu.features)
    return replace(running, foreign=foreign, spec=replace(running.spec, cpu=cpu))


def history_of(marks: DomainMarks, reading: DomainReading) -> RunHistory:
    """What the marks remember. A start that was written down and whose guest never came (a crash of ours in between)
    does not count.
    """
    if reading.power is not PowerState.OFF and marks.end_reason is not None:
        # Somebody else started it since: a stop that we asked for belongs to the run before.
        return marks.history.stop_withdrawn()
    before = marks.extra.get(STARTING)
    came = reading.power is not PowerState.OFF or reading.ended is not None or marks.end_reason is not None
    if not isinstance(before, Mapping) or came:
        return marks.history
    return replace(
        marks.history, runs=int(before.get("runs", 0)), failures=int(before.get("failures", 0)), started_at=None
    )


def _interfaces(
    running: ParsedDomain, leased: Mapping[str, tuple[str, ...]], facts: GuestFacts
) -> tuple[LiveInterface, ...]:
    told = {mac: (name, ips) for mac, name, ips in facts.interfaces} if facts is not SILENT else {}
    return tuple(
        LiveInterface(
            name=nic.name,
            mac=nic.mac,
            ips=tuple(dict.fromkeys((*leased.get(nic.mac, ()), *told.get(nic.mac, ("", ()))[1]))),
            guest_name=told.get(nic.mac, ("", ()))[0],
            source="guest-agent" if nic.mac in told else "dhcp" if nic.mac in leased else "",
        )
        for nic in running.spec.interfaces
    )
