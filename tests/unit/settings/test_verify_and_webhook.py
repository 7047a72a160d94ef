"""``source.verify`` and ``web.webhook`` as the file says them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.model.errors import SettingsError
from reconciler.model.source_spec import VerifyMode, VerifySpec
from reconciler.settings import Settings, WebhookSettings, load_settings


def loaded(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_settings(path)


def test_off_unless_said(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "source: {url: /srv/x}\n")
    assert (settings.sources[0].verify, settings.web.webhook) == (None, None)


def test_what_was_said_is_shown_again(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "source: {url: /srv/x, verify: {mode: all, gpgKeyring: /k, sshAllowedSigners: /s}}\n"
        "web: {listen: off, webhook: {secretFile: /w, listen: '[::1]:9477'}}\n",
    )
    assert settings.sources[0].verify == VerifySpec(
        mode=VerifyMode.ALL, gpg_keyring=Path("/k"), ssh_allowed_signers=Path("/s")
    )
    assert settings.web.webhook == WebhookSettings(secret_file=Path("/w"), host="::1", port=9477)
    again = loaded(tmp_path, yaml.safe_dump(settings.to_dict()))
    assert (again.sources, again.web) == (settings.sources, settings.web)


def test_the_webhook_may_stand_beside_health(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "web: {webhook: {secretFile: /w}}\n")
    assert settings.web.webhook == WebhookSettings(secret_file=Path("/w"))
    assert loaded(tmp_path, yaml.safe_dump(settings.to_dict())).web == settings.web


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: {verify: {mode: head}}\n", "source.verify"),
        ("source: {verify: {gpgKeyring: /k}}\n", "source.verify"),
        ("source: {verify: {mode: some, gpgKeyring: /k}}\n", "head, all"),
        ("source: {verify: {mode: all, gpgKeyring: k}}\n", "an absolute path"),
        ("source: {verify: {mode: all, keyring: /k}}\n", "did you mean gpgKeyring?"),
        ("web: {webhook: {listen: 'x:1'}}\n", "secretFile"),
        ("web: {webhook: {secretFile: /w, listen: off}}\n", "web.webhook.listen"),
        ("web: {webhook: {secretFile: /w, listen: 'x:70000'}}\n", "70000 is not a port"),
        ("web: {webhook: {secret: hunter2}}\n", "unknown setting web.webhook.secret (did you mean secretFile?)"),
        ("web: {listen: off, webhook: {secretFile: /w}}\n", "web.listen is off, so web.webhook needs an address"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)
