"""accessCredentials as what cloud-init and the guest's agent get."""

from __future__ import annotations

import pytest

from reconciler.planning.guest_access import cloud_init_keys, guest_access
from reconciler.planning.seed import MissingReferenceError
from tests.unit.planning.building import digest, documents

SECRETS = documents("""
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {b: "ssh-ed25519 BBB b\\n\\n# a comment\\nssh-ed25519 CCC c\\n", a: ssh-rsa AAA a}
---
apiVersion: v1
kind: Secret
metadata: {name: more}
stringData: {x: ssh-rsa AAA a}
---
apiVersion: v1
kind: Secret
metadata: {name: passwords}
stringData: {alice: "hunter2\\n", root: " with spaces "}
""")
AAA, BBB, CCC = "ssh-rsa AAA a", "ssh-ed25519 BBB b", "ssh-ed25519 CCC c"


def ssh(secret: str, **method: object) -> dict[str, object]:
    return {"sshPublicKey": {"source": {"secret": {"secretName": secret}}, "propagationMethod": method}}


PASSWORDS = {
    "userPassword": {
        "source": {"secret": {"secretName": "passwords"}},
        "propagationMethod": {"qemuGuestAgent": {}},
    }
}


def test_each_key_goes_where_its_method_says() -> None:
    credentials = [ssh("keys", noCloud={}), ssh("more", configDrive={}), ssh("more", qemuGuestAgent={"users": ["me"]})]
    assert cloud_init_keys(credentials, "default", SECRETS, "noCloud") == (AAA, BBB, CCC)
    assert cloud_init_keys(credentials, "default", SECRETS, "configDrive") == (AAA,)
    access = guest_access(credentials, "default", SECRETS, digest)
    assert access is not None
    assert [(one.user, one.ssh_keys) for one in access.credentials] == [("me", (AAA,))]


def test_keys_of_one_user_are_joined_and_passwords_lose_their_line_break_only() -> None:
    credentials = [
        ssh("more", qemuGuestAgent={"users": ["root", "alice"]}),
        ssh("keys", qemuGuestAgent={"users": ["root"]}),
        PASSWORDS,
    ]
    access = guest_access(credentials, "default", SECRETS, digest)
    assert access is not None
    shown = [(one.user, one.ssh_keys, one.password and one.password.reveal) for one in access.credentials]
    assert shown == [
        ("alice", (AAA,), None),
        ("root", (AAA, BBB, CCC), None),
        ("alice", (), b"hunter2"),
        ("root", (), b" with spaces "),
    ]
    assert "hunter2" not in repr(access)


def test_the_digest_is_of_users_and_values() -> None:
    one = guest_access([ssh("more", qemuGuestAgent={"users": ["a"]})], "default", SECRETS, digest)
    other = guest_access([ssh("more", qemuGuestAgent={"users": ["b"]})], "default", SECRETS, digest)
    assert one is not None and other is not None
    assert one.digest != other.digest


def test_nothing_for_the_agent_is_nothing_to_do() -> None:
    assert guest_access([ssh("keys", noCloud={})], "default", SECRETS, digest) is None
    assert guest_access([], "default", SECRETS, digest) is None


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(MissingReferenceError, match="Secret/default/gone"):
        guest_access([ssh("gone", qemuGuestAgent={"users": ["a"]})], "default", SECRETS, digest)
