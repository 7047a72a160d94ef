"""What domains are built for on this host: the flavour, from the settings and what the host was found to be."""

from __future__ import annotations

from pathlib import Path

from nodeexec.libvirt.connection import Connection
from nodeexec.libvirt.flavour import Flavour
from nodeexec.libvirt.host import Host
from nodeexec.libvirt.settings import LibvirtSettings
from reconciler.model.policy import Policy


class HostFlavour:
    """Tells the flavour of this host's guests, with libvirt at hand or without."""

    def __init__(self, settings: LibvirtSettings, policy: Policy, host: Host, connection: Connection) -> None:
        self._settings = settings
        self._policy = policy
        self._host = host
        self._connection = connection

    def proven(self) -> Flavour:
        """For guests that are made or changed here.

        Raises:
            EngineError, libvirt.libvirtError: libvirt does not answer.
        """
        return self._with(self._host.accelerator(self._connection.get()))

    def supposed(self) -> Flavour:
        """For showing XML without a host at hand: asks nobody."""
        if self._settings.accelerator in ("kvm", "qemu"):
            return self._with(self._settings.accelerator)
        return self._with(self._host.proven or ("kvm" if Path("/dev/kvm").exists() else "qemu"))

    def _with(self, accelerator: str) -> Flavour:
        return Flavour(
            accelerator=accelerator,
            owner=self._policy.owner,
            seed_pool=self._policy.default_pool,
            console_log_directory=self._settings.console_log_directory,
            user_network=self._policy.user_network,
        )
