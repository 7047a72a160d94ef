"""A Git server behind ssh, through the OpenSSH client: its host key must be known before, and nobody is asked anything.

Source: ssh(1), ssh_config(5), gitprotocol-pack(5) ("SSH Transport").
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.model.errors import SourceError
from reconciler.model.source_spec import SourceSpec
from reconciler.source.errors import CredentialError, NotGivenError, ServerError, UnreachableError
from reconciler.source.limits import SourceLimits
from reconciler.source.process_talk import ProcessTalk
from reconciler.source.remote_url import SshUrl
from reconciler.source.secret_file import check_key_file
from reconciler.source.ssh_faults import fault_of_ssh
from reconciler.source.upload_pack import READ


class SshTransport:
    """See `smart_remote.Transport`. One run of ssh a conversation."""

    def __init__(self, url: SshUrl, spec: SourceSpec, limits: SourceLimits, *, service: str = READ) -> None:
        """Nothing is connected or read yet. ``service`` is what is asked of the server.

        Raises:
            SourceError: the key or the known hosts are not named, or there is a proxy.
        """
        self.shown = url.shown
        self._url = url
        self._limits = limits
        self._service = service
        if spec.proxy:
            raise SourceError(f"{self.shown}: proxy is for http and https; ssh connects by itself")
        if spec.auth.ssh_key_file is None or spec.auth.known_hosts_file is None:
            raise SourceError(
                f"{self.shown} needs auth.sshKeyFile (a private key without passphrase) and auth.knownHostsFile (the "
                "server's host key, as its administrator gives it): gitvirt trusts no key on first sight"
            )
        self._key, self._known_hosts = spec.auth.ssh_key_file, spec.auth.known_hosts_file

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[ProcessTalk]:
        """See `Transport.talk`."""
        check_key_file(self._key, "auth.sshKeyFile")
        if not os.access(self._known_hosts, os.R_OK):
            raise CredentialError(
                f"auth.knownHostsFile {self._known_hosts} cannot be read: put the server's host key into it"
            )
        program = shutil.which("ssh")
        if program is None:
            raise UnreachableError("the program ssh is not on this machine: apt-get install openssh-client")
        process = await asyncio.create_subprocess_exec(
            program,
            *self._arguments(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "GIT_PROTOCOL": "version=2"},
            start_new_session=True,
        )
        talk = ProcessTalk(process, self._limits)
        try:
            yield talk
            await talk.bid_farewell()
        except (ServerError, NotGivenError, CredentialError):
            raise
        except (UnreachableError, ConnectionError) as fault:
            said = await talk.last_words()
            explained = fault_of_ssh(said, process.returncode, self._url, self._key, self._known_hosts)
            if explained:
                raise UnreachableError(explained) from fault
            if isinstance(fault, ConnectionError):
                raise UnreachableError("the connection broke") from fault
            raise
        finally:
            await talk.end()

    async def forget(self) -> None:
        """See `Transport.forget`; nothing is kept."""

    def _arguments(self) -> tuple[str, ...]:
        """Everything is said here: no configuration file, agent, password or question, and no new host key.

        ``-v`` makes ssh tell the fingerprint that it saw, which it else keeps to itself when a key is unknown.
        """
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _quoted(str(self._known_hosts)),
            "GlobalKnownHostsFile": "none",
            "UpdateHostKeys": "no",
            "CheckHostIP": "no",
            "IdentityFile": _quoted(str(self._key)),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ControlMaster": "no",
            "ControlPath": "none",
            "RequestTTY": "no",
            "ConnectTimeout": str(max(1, round(self._limits.connect_timeout_s))),
            "ServerAliveInterval": str(max(1, round(self._limits.stall_timeout_s / 2))),
            "SendEnv": "GIT_PROTOCOL",
        }
        said = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        url = self._url
        command = f"{self._service} {_for_shell(url.path)}"
        return ("-F", "none", "-v", "-x", *said, "-p", str(url.port), "-l", url.user, "--", url.host, command)


def _for_shell(path: str) -> str:
    """One word for the server's shell, as Git writes it."""
    return "'" + path.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def _quoted(path: str) -> str:
    """A path for an option of ssh: one word, without the ``%`` and ``${}`` that it would expand."""
    return '"' + path.replace("%", "%%") + '"'
