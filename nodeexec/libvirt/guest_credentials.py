"""SSH keys and passwords of users in running guests, set through the agent.

In the background: a guest can hang, a cycle must not. The marks remember, as a keyed digest, what was set in which run of the
guest; nothing else of it is kept, and nothing is ever part of a command line.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import libvirt

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.domains import Domains
from nodeexec.libvirt.errors import translate
from nodeexec.libvirt.events import EventStream
from nodeexec.libvirt.marks import DomainMarks
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.resolved import GuestAccess, GuestCredential
from reconciler.ports import Workers

_EXTRA = "guestAccess"


class GuestCredentials:
    """Sets them, once a run and once a change. What went wrong is remembered until it was told."""

    def __init__(
        self,
        connection: Connection,
        domains: Domains,
        settings: LibvirtSettings,
        workers: Workers,
        events: EventStream,
    ) -> None:
        self._connection = connection
        self._domains = domains
        self._timeout_s = settings.agent_timeout_s
        self._workers = workers
        self._events = events
        self._lock = threading.Lock()
        self._faults: dict[ObjectKey, str] = {}

    def hand_over(self, key: ObjectKey, access: GuestAccess, runs: int) -> str:
        """See that they are set in the guest's run number ``runs``; what went wrong the last time, told once, or nothing."""
        with self._lock:
            fault = self._faults.pop(key, "")
        if not fault:
            self._workers.background(f"credentials {key}", lambda: self._set(key, access, runs))
        return fault

    def _set(self, key: ObjectKey, access: GuestAccess, runs: int) -> None:
        doing = "asking the guest agent"
        try:
            handle = self._connection.get().lookupByName(self._domains.name(key))
            handle.agentSetResponseTimeout(self._timeout_s)
            for credential in access.credentials:
                doing = f"setting {credential.what} of {credential.user!r} through the guest agent"
                _set_one(handle, credential)
            doing = "writing down that credentials are set"
            said = {"digest": access.digest, "runs": runs}
            self._domains.change_marks(handle, lambda marks: replace(marks, extra={**marks.extra, _EXTRA: said}))
        except libvirt.libvirtError as error:
            self._failed(key, translate(error, doing).message)
        except (EngineError, ValueError) as error:
            self._failed(key, f"{doing}: {error}")
        self._events.emit(key)

    def _failed(self, key: ObjectKey, reason: str) -> None:
        with self._lock:
            self._faults[key] = f"{reason}; is there such a user in the guest, and its agent new enough?"


def _set_one(handle: Any, credential: GuestCredential) -> None:
    """Raises libvirt.libvirtError, or ValueError for a password that is no text."""
    if credential.password is None:
        handle.authorizedSSHKeysSet(credential.user, list(credential.ssh_keys), 0)
        return
    try:
        text = credential.password.reveal.decode()
    except UnicodeDecodeError:
        raise ValueError("the password is not UTF-8 text") from None
    handle.setUserPassword(credential.user, text, 0)


def access_set_in(marks: DomainMarks, runs: int) -> str:
    """The digest of what was set in the guest's run number ``runs``; empty for nothing, or for another run."""
    said = marks.extra.get(_EXTRA)
    if not isinstance(said, Mapping) or said.get("runs") != runs:
        return ""
    return str(said.get("digest", ""))
