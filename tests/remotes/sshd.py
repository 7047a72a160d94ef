"""An OpenSSH server with keys of its own, which lets one key run git-upload-pack and nothing else."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path

from tests.ports import free_port
from tests.remotes.processes import Running, listens, program


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> str:
    """A key pair; its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


def fingerprint(public: Path) -> str:
    told = subprocess.run(["ssh-keygen", "-lf", public], check=True, capture_output=True, text=True).stdout
    return told.split()[1]


class SshServer:
    """``speaks_2`` tells whether it passes the wish for protocol version 2 on to git; a stock sshd does not."""

    def __init__(self, directory: Path, public_key: str, *, speaks_2: bool) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = free_port()
        self.user = getpass.getuser()
        self.host_public = make_key(directory / "host")
        (directory / "authorized").write_text(
            f'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\"" {public_key}\n'
        )
        config = directory / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {directory}/host\nPidFile {directory}/pid\n"
            f"AuthorizedKeysFile {directory}/authorized\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel VERBOSE\n"
            + ("AcceptEnv GIT_PROTOCOL\n" if speaks_2 else "")
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._running = Running(
            [program("sshd"), "-D", "-e", "-f", str(config)], directory / "log", lambda: listens(self.port)
        )

    def url(self, repository: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{repository}"

    def known_hosts(self, path: Path, public: str = "") -> Path:
        """A file that knows this server by its key, or by another one."""
        kind, key = (public or self.host_public).split()[:2]
        path.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")
        return path

    def log(self) -> str:
        return self._running.log.read_text()

    def stop(self) -> None:
        self._running.stop()
