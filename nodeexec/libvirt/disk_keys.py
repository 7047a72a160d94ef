"""Passphrases of encrypted volumes: handed to libvirt and to ``qemu-img`` for as long as they need them, and to nobody else.

libvirt gets an ephemeral, private secret just before a guest starts or a disk is plugged in, and loses it right after: QEMU has
opened the volume by then. ``qemu-img`` reads the passphrase from an anonymous file in memory. Nothing is ever formatted
here: a passphrase that is lost or wrong ends in an error.

*Source*: libvirt's "Secret XML format" and "Storage encryption XML format"; QEMU's documentation of LUKS in qcow2.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.volume_files import VolumeError
from reconciler.model.encryption import passphrase_id
from reconciler.model.errors import EngineError
from reconciler.model.policy import Policy
from reconciler.model.secret import Secret

Passphrase = Callable[[str], Secret]
"""A storage class's passphrase, read now. Raises EngineError: there is none, or it cannot be read."""


def no_passphrase(storage_class: str) -> Secret:
    """For hosts without encrypted classes.

    Raises:
        EngineError: always.
    """
    raise EngineError(f"storage class {storage_class!r} has no passphrase in the settings")


_SECRET = re.compile(
    r"""<encryption format=["']luks["'][^>]*>\s*<secret type=["']passphrase["'] uuid=["']([0-9a-f-]{36})["']/>"""
)


class DiskKeys:
    """The passphrases of this host's storage classes."""

    def __init__(self, connection: Connection, policy: Policy, passphrase: Passphrase) -> None:
        self._connection = connection
        self._passphrase = passphrase
        self._classes = {passphrase_id(policy.owner, name): name for name in policy.storage_classes}
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()

    @contextmanager
    def at_hand(self, xml: str) -> Iterator[None]:
        """libvirt has the passphrases of the encrypted disks in ``xml`` as long as the context lasts.

        Raises:
            VolumeError: a passphrase cannot be had.
            libvirt.libvirtError: libvirt refuses it.
        """
        names = tuple(dict.fromkeys(_SECRET.findall(xml)))
        given: list[str] = []
        try:
            for name in names:
                self._give(name)
                given.append(name)
            yield
        finally:
            for name in given:
                self._take_back(name)

    @contextmanager
    def of_volume(self, storage_class: str, encrypted: bool) -> Iterator[int | None]:
        """A descriptor of an anonymous file with the passphrase of an encrypted volume of a class, for a child process; None
        for a plain volume.

        Raises:
            VolumeError: it cannot be had.
        """
        if not encrypted:
            yield None
            return
        secret = self._read(storage_class)
        descriptor = os.memfd_create("gitvirt", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, secret.reveal)
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, storage_class: str) -> Secret:
        try:
            return self._passphrase(storage_class)
        except EngineError as error:
            raise VolumeError(f"{error}; encrypted disks stay as they are") from error

    def _give(self, name: str) -> None:
        with self._lock:
            storage_class = self._classes.get(name)
            if storage_class is None:
                raise VolumeError(
                    f"an encrypted disk asks for the passphrase {name}, and no storage class of the settings has it; "
                    "the disk is as it was: put its class back into storageClasses"
                )
            passphrase = self._read(storage_class)
            xml = f"<secret ephemeral='yes' private='yes'><uuid>{name}</uuid></secret>"
            handle = self._connection.get().secretDefineXML(xml)
            handle.setValue(passphrase.reveal, 0)
            self._users[name] += 1

    def _take_back(self, name: str) -> None:
        with self._lock:
            self._users[name] -= 1
            if self._users[name]:
                return
            try:
                self._connection.get().secretLookupByUUIDString(name).undefine()
            except libvirt.libvirtError as error:
                # A libvirtd that was restarted meanwhile has forgotten it, as it should.
                if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
                    raise
