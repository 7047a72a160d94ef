"""A Git server behind ssh, through the OpenSSH client: its host key must be known before, and nobody is asked anything.

Source: ssh(1), ssh_config(5), gitprotocol-pack(5) ("SSH Transport").
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.model.errors import SourceError
from reconciler.model.source_spec import SourceSpec
from reconciler.source.errors import CredentialError, NotGivenError, ServerError, UnreachableError
from reconciler.source.limits import SourceLimits
from reconciler.source.pkt_line import Mark, PktReader
from reconciler.source.remote_url import SshUrl
from reconciler.source.secret_file import check_key_file
from reconciler.source.ssh_faults import fault_of_ssh
from reconciler.source.upload_pack import Advertisement, read_advertisement

_PIECE_BYTES = 64 * 1024
_LONGEST_COMPLAINT = 64 * 1024
_LAST_WORDS_S = 2.0


class SshTransport:
    """See `smart_remote.Transport`. One run of ssh a conversation."""

    def __init__(self, url: SshUrl, spec: SourceSpec, limits: SourceLimits) -> None:
        """Nothing is connected or read yet.

        Raises:
            SourceError: the key or the known hosts are not named, or there is a proxy.
        """
        self.shown = url.shown
        self._url = url
        self._limits = limits
        if spec.proxy:
            raise SourceError(f"{self.shown}: proxy is for http and https; ssh connects by itself")
        if spec.auth.ssh_key_file is None or spec.auth.known_hosts_file is None:
            raise SourceError(
                f"{self.shown} needs auth.sshKeyFile (a private key without passphrase) and auth.knownHostsFile (the "
                "server's host key, as its administrator gives it): gitvirt trusts no key on first sight"
            )
        self._key, self._known_hosts = spec.auth.ssh_key_file, spec.auth.known_hosts_file

    @asynccontextmanager
    async def talk(self) -> AsyncIterator[SshTalk]:
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
        talk = SshTalk(process, self._limits)
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
        command = f"git-upload-pack {_for_shell(url.path)}"
        return ("-F", "none", "-v", "-x", *said, "-p", str(url.port), "-l", url.user, "--", url.host, command)


class SshTalk:
    """See `upload_pack.Talk`. The server remembers what was said, so the conversation is one stream."""

    def __init__(self, process: asyncio.subprocess.Process, limits: SourceLimits) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("ssh was started without pipes")
        self._process, self._limits = process, limits
        self._stdin = process.stdin
        self._pieces = _pieces(process.stdout)
        self._complaints = bytearray()
        self._listener = asyncio.ensure_future(_gather(process.stderr, self._complaints))
        self._server: Advertisement | None = None

    async def advertised(self) -> Advertisement:
        """See `Talk.advertised`."""
        if self._server is None:
            self._server = await read_advertisement(PktReader(self._pieces, limit=self._limits.ref_bytes))
        return self._server

    @asynccontextmanager
    async def ask(self, request: bytes, *, limit: int) -> AsyncIterator[PktReader]:
        """See `Talk.ask`."""
        self._stdin.write(request)
        await self._stdin.drain()
        yield PktReader(self._pieces, limit=limit)

    async def bid_farewell(self) -> None:
        """Tell the server that nothing more is wanted."""
        with contextlib.suppress(ConnectionError):
            self._stdin.write(Mark.FLUSH.value)
            self._stdin.close()

    async def last_words(self) -> str:
        """What ssh and the server complained of, once it ended; waits a little for that."""
        self._stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_S):
                await self._process.wait()
                await self._listener
        return self._complaints.decode(errors="replace")

    async def end(self) -> None:
        """Leave no process behind."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listener.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listener


async def _pieces(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await stream.read(_PIECE_BYTES):
        yield piece


async def _gather(stream: asyncio.StreamReader, into: bytearray) -> None:
    """Keep what is complained of up to a limit, and read on, so that nothing blocks."""
    async for piece in _pieces(stream):
        into += piece[: _LONGEST_COMPLAINT - len(into)]


def _for_shell(path: str) -> str:
    """One word for the server's shell, as Git writes it."""
    return "'" + path.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def _quoted(path: str) -> str:
    """A path for an option of ssh: one word, without the ``%`` and ``${}`` that it would expand."""
    return '"' + path.replace("%", "%%") + '"'
