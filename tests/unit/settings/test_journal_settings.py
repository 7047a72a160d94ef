"""Where the journal's copy is kept: what is usual, what is refused, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.model.errors import SettingsError
from reconciler.settings import Settings
from reconciler.settings.file import read_settings
from reconciler.settings.load import build_settings

Load = Callable[[str], Settings]
URL = "ssh://git@git.example.org/infra/journal.git"


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Settings]:
    """Settings of a host with a known name."""

    def loaded(text: str) -> Settings:
        (tmp_path / "settings.yaml").write_text(text)
        return build_settings(read_settings(tmp_path / "settings.yaml", ()), hostname="host-a")

    return loaded


def test_it_is_pushed_nowhere_unless_a_place_is_named(load: Load) -> None:
    assert load("owner: lab\n").journal.push is None
    assert "journal" not in load("owner: lab\n").to_dict()


def test_the_branch_is_the_owners_and_on_a_host_the_hosts(load: Load) -> None:
    host = load(f"owner: lab\njournal: {{push: {{url: '{URL}'}}}}\n").journal.push
    cluster = load(f"owner: lab\nengine: {{kubevirt: {{}}}}\njournal: {{push: {{url: '{URL}'}}}}\n").journal.push
    named = load(f"journal: {{push: {{url: '{URL}', branch: history}}}}\n").journal.push
    assert [push.ref for push in (host, cluster, named) if push] == [
        "refs/heads/journal/lab-host-a", "refs/heads/journal/lab", "refs/heads/history"
    ]  # fmt: skip


def test_everything_that_reaches_it_is_kept_and_shown(load: Load) -> None:
    text = f"""journal:
  push:
    url: {URL}
    timeout: 1m
    auth: {{sshKeyFile: /etc/gitvirt/journal-key, knownHostsFile: /etc/gitvirt/known_hosts}}
"""
    loaded = load(text)
    push = loaded.journal.push
    assert push is not None
    assert (push.spec.auth.ssh_key_file, push.spec.timeout_s) == (Path("/etc/gitvirt/journal-key"), 60.0)
    shown = loaded.to_dict()["journal"]["push"]
    assert shown["auth"] == {"sshKeyFile": "/etc/gitvirt/journal-key", "knownHostsFile": "/etc/gitvirt/known_hosts"}
    assert (shown["branch"], shown["timeout"]) == ("journal/gitvirt-host-a", "1m")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"source: {{url: '{URL}', branch: main}}\njournal: {{push: {{url: '{URL}', branch: main}}}}", "is the branch that manifests"),
        ("journal: {push: {url: 'https://ada:secret@h/x.git'}}", "journal.push.url holds a password"),
        ("journal: {push: {branch: main}}", "url"),
        (f"journal: {{push: {{url: '{URL}', auth: {{passwordFile: /p}}}}}}", "journal.push.auth.passwordFile needs"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(load: Load, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace(".", r"\.")) as refused:
        load(text)
    assert "secret" not in str(refused.value)
