"""What went wrong over ssh, from what the OpenSSH client says, as a clause that says what to do."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.model.plain_text import one_line
from reconciler.source.remote_url import SshUrl

_SEEN = re.compile(r"^debug1: Server host key: (\S+ SHA256:\S+)", re.MULTILINE)
_CHATTER = ("debug1:", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: ", "Warning: Permanently")
_FAILED_OF_SSH, _NOT_FOUND = 255, 127


def fault_of_ssh(said: str, exit_code: int | None, url: SshUrl, key: Path, known_hosts: Path) -> str:
    """What ssh or the server's program complained of; empty when neither did."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(_CHATTER)]
    words = "\n".join(lines)
    if "Host key verification failed" in words:
        return _host_key(said, words, url, known_hosts)
    if "Permission denied (" in words:
        return _key_refused(said, words, url, key)
    if exit_code == _FAILED_OF_SSH and "Could not resolve hostname" in words:
        return "the name of the host cannot be resolved: is it spelt right, does DNS work?"
    if exit_code == _NOT_FOUND:
        return "git is not installed there"
    return f"it says: {one_line(' '.join(lines), 300)}" if lines else ""


def _host_key(said: str, words: str, url: SshUrl, known_hosts: Path) -> str:
    seen = _SEEN.search(said)
    fingerprint = f" ({one_line(seen[1], 120)})" if seen else ""
    name = url.host if url.port == 22 else f"[{url.host}]:{url.port}"
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in words or "Offending" in words:
        return (
            f"its host key{fingerprint} is NOT the one that {known_hosts} has for {name}: somebody may stand between. "
            f"Ask its administrator for the fingerprint; only if it is this one, replace the lines of {name} in {known_hosts}"
        )
    if "REVOKED HOST KEY" in words:
        return f"its host key{fingerprint} is marked as revoked in {known_hosts}"
    port = "" if url.port == 22 else f"-p {url.port} "
    return (
        f"its host key{fingerprint} is not known. Compare the fingerprint with the one its administrator gives; if it is "
        f"the same, add the key to {known_hosts} (ssh-keyscan {port}{url.host} prints the lines)"
    )


def _key_refused(said: str, words: str, url: SshUrl, key: Path) -> str:
    if "debug1: Server accepts key" in said:
        return f"the key {key} is known there and has a passphrase, which nobody is there to type: ssh-keygen -p takes it off"
    if "Load key" in words:
        return f"the key {key} cannot be used ({one_line(words, 200)})"
    return f"it does not accept the key {key} for the user {one_line(url.user, 60)}: add its public half there"
