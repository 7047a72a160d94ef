"""``gitvirt doctor``: everything gitvirt needs on this machine, what it found, and what to do about the rest."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from reconciler.daemon.control import is_answering
from reconciler.daemon.key import load_key
from reconciler.daemon.programs import Program
from reconciler.model.errors import EngineError, GitvirtError, RequirementError, SourceError
from reconciler.model.follow import FollowKind, ref_followed
from reconciler.model.live import HostFacts
from reconciler.model.quantity import GIB
from reconciler.model.source_spec import VerifySpec
from reconciler.ports import Engine
from reconciler.secrets.host_store import HostStore
from reconciler.secrets.passphrase import read_passphrase
from reconciler.settings import Settings, SourceSettings, redacted_url
from reconciler.source.limits import DEFAULT_LIMITS
from reconciler.source.local_remote import LocalRemote
from reconciler.source.push_remote import PushRemote
from reconciler.source.remotes import remote_for
from reconciler.source.signature_programs import KeyringFiles, missing_programs
from reconciler.web.webhook import read_secrets

_OLDEST_PYTHON = (3, 11)
_SYSTEM_PATH = "/usr/sbin:/sbin:/usr/local/sbin"
_LOW_SPACE_BYTES = 2 * GIB
_EMULATION = (
    "guests run many times slower than on KVM; turn virtualization on in the firmware, or allow nested virtualization, "
    "and see that /dev/kvm is there"
)


class State(StrEnum):
    """How a check came out. A warning works, with a limit that is worth knowing."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is needed: what was found, and what to do when it is not as it should be."""

    name: str
    state: State
    found: str
    remedy: str = ""


def examine(
    settings: Settings,
    *,
    open_engine: Callable[[], Engine],
    why_slow: Callable[[Engine], str],
    why_not_led: Callable[[], str],
    programs: Sequence[Program],
) -> tuple[Check, ...]:
    """Look at everything. Nothing is changed; the repository is asked for its head and not fetched. ``why_slow`` says why
    an engine's guests do not run on KVM, ``why_not_led`` why nobody could act on a cluster.
    """
    return (
        *_machine(settings, programs),
        *_session(settings),
        *_host(settings, open_engine, why_slow, why_not_led),
        *_files(settings),
        *(_source(source) for source in settings.sources),
        *(_signatures(source) for source in settings.sources if source.verify),
        *_journal_elsewhere(settings),
        *_webhook(settings),
        *_secrets(settings),
        _socket(settings.control_socket),
    )


def _machine(settings: Settings, programs: Sequence[Program]) -> Iterator[Check]:
    yield _ok("settings", settings.origin)
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _OLDEST_PYTHON:
        yield _ok("python", version)
    else:
        yield _failed("python", version, "install Python 3.11 or newer")
    for program in programs:
        path = shutil.which(program.name) or shutil.which(program.name, path=_SYSTEM_PATH)
        if path:
            yield _ok(program.name, path)
        else:
            state = State.WARNING if program.optional else State.FAILED
            yield Check(name=program.name, state=state, found="not found", remedy=f"apt-get install {program.package}")


def _session(settings: Settings) -> Iterator[Check]:
    """An ordinary user's libvirt works, with limits."""
    if not settings.policy.user_network:
        return
    yield Check(
        name="session",
        state=State.WARNING,
        found="an ordinary user's libvirt: each guest has a way out of its own, and nothing reaches in",
        remedy="other networks need root and qemu:///system; docs/session.md has all limits",
    )
    if not os.environ.get("XDG_RUNTIME_DIR"):
        remedy = "log in as this user (su and sudo do not set it), or set it to a directory that is this user's alone"
        yield Check(name="XDG_RUNTIME_DIR", state=State.WARNING, found="not set", remedy=remedy)


def _host(
    settings: Settings,
    open_engine: Callable[[], Engine],
    why_slow: Callable[[Engine], str],
    why_not_led: Callable[[], str],
) -> Iterator[Check]:
    name = settings.engine.name
    try:
        engine = open_engine()
    except RequirementError as fault:
        yield _failed(name, "library not found", str(fault))
        return
    try:
        observation = engine.observe(None)
        slow = "" if observation.host.accelerator == "kvm" else why_slow(engine)
    except EngineError as fault:
        yield _failed(name, "no connection", str(fault))
        return
    finally:
        engine.close()
    if settings.policy.on_cluster:
        yield _ok(name, observation.host.hypervisor or "connected")
        for kind, why in sorted(observation.unserved.items()):
            found, _, remedy = why.partition(": ")
            remedy = f"{remedy}; objects of that kind wait until then, all others do not"
            yield Check(name=kind.partition(".")[0], state=State.WARNING, found=found, remedy=remedy)
        obstacle = why_not_led()
        yield _failed("lease", "nobody can act", obstacle) if obstacle else _ok("lease", "can be had")
    else:
        yield from _own_host(settings, observation.host, slow)
    for gap in observation.unreadable:
        yield _failed("observation", "something cannot be read", gap.reason)


def _own_host(settings: Settings, host: HostFacts, slow: str) -> Iterator[Check]:
    """What is on a host of gitvirt's own."""
    name = settings.engine.name
    yield _ok(name, f"{host.hypervisor or 'connected'} on {host.hostname}, {host.cpus} CPUs, {host.memory_mib} MiB")
    if host.accelerator == "kvm":
        yield _ok("acceleration", "KVM")
    else:
        found = f"QEMU emulation{f': {slow}' if slow else ''}"
        yield Check(name="acceleration", state=State.WARNING, found=found, remedy=_EMULATION)
    yield from _pools(settings, host)
    for bridge in settings.policy.allowed_bridges:
        if bridge in host.bridges:
            yield _ok(f"bridge {bridge}", "there")
        else:
            yield _failed(f"bridge {bridge}", "not there", "make it, or take it out of allowedBridges")
    for master in settings.policy.allowed_interfaces:
        if (Path("/sys/class/net") / master).exists():
            yield _ok(f"interface {master}", "there")
        else:
            yield _failed(f"interface {master}", "not there", "see `ip link`, or take it out of allowedInterfaces")


def _pools(settings: Settings, host: HostFacts) -> Iterator[Check]:
    found = {pool.name: pool for pool in host.pools}
    policy = settings.policy
    classes = {entry.pool for entry in policy.storage_classes.values()}
    for name in sorted({policy.default_pool, *classes}):
        pool = found.get(name)
        what = f"pool {name}"
        if pool is None and name == policy.default_pool:
            yield Check(name=what, state=State.WARNING, found="not there yet", remedy="it is made at the first use")
        elif pool is None:
            yield _failed(what, "not there", "define and start it in libvirt, or correct storageClasses")
        elif not pool.active:
            yield _failed(what, "not active", f"virsh pool-start {name}")
        else:
            free = f"{pool.available_bytes / GIB:.1f} of {pool.capacity_bytes / GIB:.1f} GiB free"
            if pool.available_bytes < _LOW_SPACE_BYTES:
                yield Check(
                    name=what, state=State.WARNING, found=free, remedy="make room: imports and growth will fail"
                )
            else:
                yield _ok(what, free)


def _files(settings: Settings) -> Iterator[Check]:
    key_file = settings.key_file
    try:
        load_key(key_file)
        yield _ok("keyFile", str(key_file))
    except RequirementError as fault:
        if key_file.exists() or key_file.is_symlink():
            yield _failed("keyFile", str(key_file), str(fault))
        else:
            yield _directory("keyFile", key_file.parent, f"{key_file} is made on the first run")
    yield _directory("stateDirectory", settings.state_directory, "")
    yield _directory("runtimeDirectory", settings.runtime_directory, "")


def _directory(name: str, path: Path, note: str) -> Check:
    """Whether a directory can be used or made."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return _failed(name, f"{existing} cannot be written", f"run as root, or set {name}")
    return _ok(name, note or (str(path) if existing == path else f"{path} is made on the first run"))


def _source(source: SourceSettings) -> Check:
    name = f"source {source.name}" if source.name else "source"
    if not source.url:
        return _failed(name, "none named", "set source.url")
    shown = redacted_url(source.url)
    # A commit is only asked for when it is fetched; that the server answers is seen by asking for anything.
    is_commit = source.follow.kind is FollowKind.COMMIT
    try:
        remote = remote_for(source, DEFAULT_LIMITS)
        try:
            head = remote.look(ref_followed("HEAD") if is_commit else source.follow)
        finally:
            remote.close()
    except SourceError as fault:
        return _failed(name, shown, str(fault).removeprefix(f"{shown}: "))
    if not isinstance(remote, LocalRemote) and shutil.which("git") is None:
        return _failed(name, f"{shown} answers, and git is not here to store what it sends", "apt-get install git")
    if is_commit:
        return _ok(name, f"{shown} answers; {source.follow.name[:12]} is asked for at the first look")
    if not head.commit:
        return _failed(name, f"{shown} has no {source.follow} ({head.fault})", "set source to what exists, or push it")
    return _ok(name, f"{shown} ({source.follow}) at {head.commit[:12]}")


def _journal_elsewhere(settings: Settings) -> Iterator[Check]:
    """Whether the journal's copy can be reached with a credential that may write; nothing is pushed."""
    push = settings.journal.push
    if push is None:
        return
    try:
        remote = PushRemote(push.spec, push.ref, DEFAULT_LIMITS)
        try:
            head = remote.push(settings.state_directory, "")
        finally:
            remote.close()
    except SourceError as fault:
        yield _failed("journal", redacted_url(push.spec.url), str(fault))
        return
    yield _ok("journal", f"{remote.shown} {f'at {head[:12]}' if head else 'is made with the first push'}")


def _signatures(source: SourceSettings) -> Check:
    name = f"signatures {source.name}" if source.name else "signatures"
    verify = source.verify or VerifySpec()
    fault = missing_programs(verify)
    try:
        KeyringFiles(openpgp=verify.gpg_keyring, ssh=verify.ssh_allowed_signers).keyrings()
    except SourceError as error:
        fault = str(error)
    if fault:
        return _failed(name, "cannot be checked, so nothing new is accepted", fault)
    files = [path for path in (verify.gpg_keyring, verify.ssh_allowed_signers) if path]
    found = f"{verify.mode}: {', '.join(map(str, files))}"
    if writable := [path for path in files if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]:
        remedy = f"whoever writes there decides whose commits count: chmod go-w {' '.join(map(str, writable))}"
        return Check(name=name, state=State.WARNING, found=f"{found}, which others may write", remedy=remedy)
    return _ok(name, found)


def _secrets(settings: Settings) -> Iterator[Check]:
    """What the host keeps secret, without a word of it."""
    kept = settings.secrets
    found = HostStore(kept.directory, kept.age_key_file).read()
    problems = [*found.problems, *(one for secret in found.secrets for one in secret.problems)]
    for one in problems:
        yield _failed("secrets", one.message, one.hint)
    if kept.directory and not any(one.place.file == str(kept.directory) for one in found.problems):
        yield _ok("secrets", f"{len(found.secrets)} in {kept.directory}")
    if found.identities:
        yield _ok("age keys", f"{len(found.identities)} in {kept.age_key_file}")
    for name, entry in settings.policy.storage_classes.items():
        if entry.passphrase_file:
            try:
                read_passphrase(name, settings.policy.storage_classes)
            except EngineError as fault:
                yield _failed(f"class {name}", "no passphrase", str(fault))
            else:
                yield _ok(f"class {name}", f"encrypted, passphrase in {entry.passphrase_file}")


def _webhook(settings: Settings) -> Iterator[Check]:
    webhook = settings.web.webhook
    if webhook is None:
        return
    try:
        count = len(read_secrets(webhook.secret_file))
        mode = webhook.secret_file.stat().st_mode
    except (RequirementError, OSError) as fault:
        yield _failed("webhook", "every request is refused", str(fault))
        return
    found = f"{count} {'secret' if count == 1 else 'secrets'} in {webhook.secret_file}"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        remedy = f"chmod 600 {webhook.secret_file}"
        yield Check(name="webhook", state=State.WARNING, found=f"{found}, which others may use too", remedy=remedy)
    else:
        yield _ok("webhook", found)


def _socket(path: Path) -> Check:
    try:
        answering = is_answering(path)
    except GitvirtError as fault:
        return _failed("daemon", str(path), str(fault))
    return _ok("daemon", f"answers on {path}" if answering else "not running; commands work without one")


def _ok(name: str, found: str) -> Check:
    return Check(name=name, state=State.OK, found=found)


def _failed(name: str, found: str, remedy: str) -> Check:
    return Check(name=name, state=State.FAILED, found=found, remedy=remedy)
