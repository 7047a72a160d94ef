"""The settings file: what it means, what it refuses, and how a refusal reads."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from reconciler.model.errors import SettingsError
from reconciler.model.follow import Follow, FollowKind
from reconciler.model.origin import Origin
from reconciler.model.policy import Mode, Policy
from reconciler.settings import (
    Settings,
    build_settings,
    format_duration,
    load_settings,
    parse_duration_s,
    redacted_url,
)
from reconciler.settings.file import parse_settings, read_settings, settings_schema


def _load(tmp_path: Path, text: str, *overrides: str) -> Settings:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    return load_settings(path, overrides)


def test_defaults_are_the_policy_defaults() -> None:
    settings = build_settings(read_settings(None), hostname="alpha")
    assert settings.policy.pod_network == Policy().pod_network
    assert settings.policy.blast_radius == Policy().blast_radius
    assert settings.policy.host_labels == {"kubernetes.io/hostname": "alpha"}
    assert settings.policy.mode is None
    assert settings.key_file == Path("/etc/gitvirt/key")
    assert str(settings.control_socket) == "/run/gitvirt/control.sock"
    assert settings.engine.name == "libvirt"


def test_a_whole_file(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        """
owner: lab
source: {url: /srv/vms.git, branch: prod, path: clusters/a/, interval: 1m, jitter: 2s, acceptRewrites: true}
engine: {libvirt: {uri: "qemu:///session", accelerator: qemu}}
storageClasses: {fast: {pool: nvme, format: raw}, slow: {pool: hdd}}
defaultPool: hdd
podNetwork: {address: 10.9.0.1/24, mtu: 1400}
allowedBridges: [br0]
hostName: node-1
hostLabels: {zone: a}
mode: report
namespaceModes: {prod: enforce}
blastRadius: {few: 1, window: 2h}
resyncInterval: 90s
web: {listen: off}
""",
    )
    assert settings.sources[0].follow == Follow(kind=FollowKind.BRANCH, name="prod")
    assert settings.sources[0].path == "clusters/a"
    assert (settings.sources[0].interval_s, settings.sources[0].jitter_s) == (60.0, 2.0)
    assert settings.sources[0].accept_rewrites
    assert settings.engine.options == {"uri": "qemu:///session", "accelerator": "qemu"}
    policy = settings.policy
    assert policy.storage_classes["fast"].format == "raw"
    assert policy.storage_classes["slow"].format == ""
    assert policy.pod_network.dhcp_range == ("10.9.0.10", "10.9.0.250")
    assert policy.pod_network.bridge == Policy().pod_network.bridge
    assert policy.host_labels == {"kubernetes.io/hostname": "node-1", "zone": "a"}
    assert policy.mode is Mode.REPORT
    assert policy.namespace_modes == {"prod": Mode.ENFORCE}
    assert policy.blast_radius.few == 1
    assert policy.blast_radius.window_s == 7200.0
    assert policy.sources == (Origin(identity="refs/heads/prod:clusters/a"),)
    assert settings.resync_interval_s == 90.0
    assert settings.web.host == ""


def test_what_is_printed_reads_back_as_the_same(tmp_path: Path) -> None:
    first = _load(tmp_path, "source: {url: /srv/x, interval: 45s}\nmode: enforce\nstorageClasses: {a: {pool: p}}\n")
    printed = yaml.safe_dump(first.to_dict())
    assert _load(tmp_path, printed).to_dict() == first.to_dict()


@pytest.mark.parametrize(
    ("text", "follow", "identity"),
    [
        ("source: {path: a}", Follow(kind=FollowKind.BRANCH, name="main"), "refs/heads/main:a"),
        ("source: {ref: refs/heads/x}", Follow(kind=FollowKind.BRANCH, name="x"), "refs/heads/x"),
        ("source: {ref: refs/pull/7/head}", Follow(kind=FollowKind.REF, name="refs/pull/7/head"), "refs/pull/7/head"),
        ("source: {tag: v1, path: a}", Follow(kind=FollowKind.TAG, name="v1"), "tag:a"),
        ("source: {semver: '>=1.2, <2'}", Follow(kind=FollowKind.SEMVER, name=">=1.2, <2"), "semver"),
        (f"source: {{commit: {'A' * 40}}}", Follow(kind=FollowKind.COMMIT, name="a" * 40), "commit"),
    ],
)
def test_what_is_followed(tmp_path: Path, text: str, follow: Follow, identity: str) -> None:
    settings = _load(tmp_path, text)
    assert settings.sources[0].follow == follow
    assert settings.sources[0].origin.identity == identity
    assert _load(tmp_path, yaml.safe_dump(settings.to_dict())).sources == settings.sources


def test_how_a_source_is_reached(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "source: {url: 'git@host:x.git', timeout: 1m, caFile: /ca, proxy: 'http://p:3128', allowPlainHttp: true,\n"
        "  auth: {username: me, tokenFile: /t, sshKeyFile: /k, knownHostsFile: /h}}\n",
    )
    assert settings.sources[0].timeout_s == 60.0
    assert settings.sources[0].auth.token_file == Path("/t")
    assert settings.sources[0].auth.known_hosts_file == Path("/h")
    assert _load(tmp_path, yaml.safe_dump(settings.to_dict())).sources == settings.sources


def test_trash_expires_only_when_that_is_said_and_not_within_the_hour(tmp_path: Path) -> None:
    assert _load(tmp_path, "owner: lab\n").policy.trash_expire_after_s is None
    assert "trash" not in _load(tmp_path, "trash: {}\n").to_dict()
    settings = _load(tmp_path, "trash: {expireAfter: 30d}\n")
    assert settings.policy.trash_expire_after_s == 30 * 86400.0
    assert settings.to_dict()["trash"] == {"expireAfter": "30d"}
    for said in ("30s", "59m", "0s"):
        with pytest.raises(SettingsError, match=r"trash\.expireAfter must be at least 1h; it destroys disks"):
            _load(tmp_path, f"trash: {{expireAfter: {said}}}\n")
    for said in ("30", "soon", "-1d", "[]"):
        with pytest.raises(SettingsError, match="expireAfter"):
            _load(tmp_path, f"trash: {{expireAfter: {said}}}\n")


def test_the_last_override_wins_and_is_read_as_yaml(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "source: {url: /srv/x}\n",
        "source.interval=5s",
        "source.interval=10s",
        "allowedBridges=[br0, br1]",
        "blastRadius.few=7",
        "web.listen=off",
    )
    assert settings.sources[0].interval_s == 10.0
    assert settings.policy.allowed_bridges == ("br0", "br1")
    assert settings.policy.blast_radius.few == 7
    assert settings.web.host == ""


def test_the_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("owner: mine\n")
    monkeypatch.setenv("GITVIRT_SETTINGS", str(path))
    assert load_settings().policy.owner == "mine"
    assert load_settings().origin == str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source:\n  urll: /x\n", "settings.yaml:2: unknown setting source.urll (did you mean url?)"),
        ("owner: lab\nmode: reprot\n", "settings.yaml:2: mode must be one of report, enforce (did you mean report?)"),
        ("source: {interval: 10}\n", "source.interval must be string, not integer (a duration such as 30s"),
        ("source: {interval: soon}\n", 'source.interval cannot be "soon"'),
        ("source: {interval: 500ms}\n", "source.interval must be at least 1s"),
        ("source: {jitter: 30s}\n", "source.jitter must be shorter"),
        ("source: {branch: a, ref: refs/heads/a}\n", "both branch and ref"),
        ("source: {semver: 1.x, tag: v1}\n", "both tag and semver"),
        ("source: {semver: latest}\n", "'latest' is no range of versions; write for instance '>=1.2 <2'"),
        ("source: {commit: abc123}\n", "full hash of the one commit"),
        ("source: {timeout: 10ms}\n", "source.timeout must be at least 1s"),
        ("source: {url: 'https://secret@host/x'}\n", "take it out"),
        ("source: {proxy: 'http://me:secret@host:3128'}\n", "source.proxy holds a password"),
        ("source: {auth: {passwordFile: /p}}\n", "source.auth.passwordFile needs auth.username"),
        ("source: {auth: {tokenFile: /t, passwordFile: /p, username: me}}\n", "both tokenFile and passwordFile"),
        ("source: {auth: {password: secret}}\n", "unknown setting source.auth.password (did you mean passwordFile?)"),
        ("source: {url: 'https://me:secret@host/x'}\n", "source.url holds a password"),
        ("source: {path: ../x}\n", "source.path"),
        ("owner: a\nowner: b\n", "settings.yaml:2: the key 'owner' stands twice"),
        ("owner: [\n", "not YAML"),
        ("- a\n", "settings are a mapping"),
        ("owner: !!python/object:os.system {}\n", "owner"),
        ("stateDirectory: var\n", "an absolute path"),
        ("stateDirectory: /s\nkeyFile: /s/key\n", "keyFile /s/key lies in stateDirectory /s"),
        ("podNetwork: {address: 10.0.0.0/24}\n", "must be a host's address"),
        ("podNetwork: {address: 10.0.0.300/24}\n", "podNetwork.address"),
        ("podNetwork: {address: 10.0.0.1/24, dhcpRange: [10.0.0.1, 10.0.0.9]}\n", "leave out the host's own 10.0.0.1"),
        ("podNetwork: {address: 10.0.0.1/24, dhcpRange: [10.0.1.5, 10.0.1.9]}\n", "must lie in 10.0.0.0/24"),
        ("web: {listen: '127.0.0.1:99999'}\n", "99999 is not a port"),
        ("engine: {vmware: {}}\n", "unknown setting engine.vmware"),
        ("engine: {libvirt: {}, simulated: {}}\n", "engine"),
        ("resyncInterval: 9000000d\n", "longer than ten years"),
    ],
)
def test_refusals_say_where_and_what(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value).replace("Secrets", "")


def test_every_fault_is_listed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, "ownr: x\nmode: 3\nsource: {interval: x}\n")
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize("override", ["owner", "=x", "owner.deep=1", "source=3"])
def test_overrides_that_make_no_sense(tmp_path: Path, override: str) -> None:
    with pytest.raises(SettingsError, match=r"--set|source"):
        _load(tmp_path, "owner: lab\n", override)


def test_a_missing_file_says_how_to_name_another(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--settings PATH or GITVIRT_SETTINGS"):
        load_settings(tmp_path / "none.yaml")


def test_a_bomb_ends(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(SettingsError, match="not a settings file"):
        _load(tmp_path, "\n".join(lines))


def test_a_value_that_holds_itself_ends(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="levels"):
        _load(tmp_path, "owner: &a [*a]\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [("off", "off"), ("yes", "yes"), ("0777", 777), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("true", True),
     ("1e3", 1000.0), ("~", None), ("0x10", "0x10")],
)  # fmt: skip
def test_scalars_follow_the_core_rules(text: str, value: object) -> None:
    assert parse_settings(f"key: {text}\n".encode(), "s").body == {"key": value}


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("7d", 604800), ("1.5h", 5400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds
    assert parse_duration_s(format_duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5m3", "1y"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration_s(text)


def test_credentials_are_not_shown() -> None:
    assert redacted_url("https://me:pw@host/x") == "https://<redacted>@host/x"
    assert redacted_url("https://token@host:8443/x") == "https://<redacted>@host:8443/x"
    assert redacted_url("/srv/x.git") == "/srv/x.git"


def test_the_schema_is_one_and_every_setting_is_described() -> None:
    schema = settings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    def undescribed(node: dict[str, object], path: str) -> list[str]:
        properties = node.get("properties", {})
        assert isinstance(properties, dict)
        found = [f"{path}.{name}" for name, child in properties.items() if "description" not in child]
        return found + [gap for name, child in properties.items() for gap in undescribed(child, f"{path}.{name}")]

    assert undescribed(dict(schema), "") == []
    assert json.dumps(schema)


TWO_SOURCES = """
sources:
  - {name: infra, url: /srv/infra.git, interval: 1m}
  - {name: shop, url: /srv/shop.git, path: vms, namespaces: [shop, shop-test]}
"""


def test_several_sources_each_with_a_name_of_its_own(tmp_path: Path) -> None:
    settings = _load(tmp_path, TWO_SOURCES)
    infra, shop = settings.sources
    assert (infra.name, infra.interval_s, infra.namespaces) == ("infra", 60.0, None)
    assert settings.policy.sources == (
        Origin(name="infra", identity="infra@refs/heads/main"),
        Origin(name="shop", identity="shop@refs/heads/main:vms", namespaces=("shop", "shop-test")),
    )
    again = tmp_path / "again.yaml"
    again.write_text(json.dumps(settings.to_dict()))
    assert load_settings(again).sources == (infra, shop)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWO_SOURCES + "source: {url: /srv/x}\n", "5: there are both source and sources"),
        (TWO_SOURCES.replace("name: shop", "name: infra"), "4: the name infra stands twice"),
        (
            "sources: [{name: a, url: /x, path: v}, {name: b, url: /x, path: v/}]",
            "1: b follows the same as a",
        ),
        (
            "sources: [{name: a, url: /x}, {name: b, url: /x, path: vms}]",
            "1: the paths of b and a lie within one another",
        ),
        ("source: {name: a, url: /x}", "1: source has no name"),
        ("sources: [{name: a}]", "'url' is a required property"),
        ("sources: [{name: a, url: /x, interval: 1s, jitter: 2s}]", "sources[0].jitter must be shorter"),
        ("sources: [{name: a, url: /x, interval: 1ms}]", "sources[0].interval must be at least 1s"),
        ("sources: [{name: a@b, url: /x}]", "sources[0].name cannot be"),
    ],
)
def test_sources_that_contradict_each_other(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        _load(tmp_path, text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("storageClasses: {v: {pool: p, format: raw, encryption: {passphraseFile: /k}}}", "qcow2"),
        ("stateDirectory: /s\nstorageClasses: {v: {pool: p, encryption: {passphraseFile: /s/k}}}", "stateDirectory"),
        ("stateDirectory: /s\nsecrets: {directory: /s/x}", "stateDirectory"),
        ("secrets: {ageKeyFile: relative}", "must be a path"),
        ("storageClasses: {v: {pool: p, encryption: {}}}", "passphraseFile"),
    ],
)
def test_secrets_that_would_not_be_safe(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        _load(tmp_path, text)


def test_secrets_are_dumped_as_file_names(tmp_path: Path) -> None:
    text = "secrets: {directory: /d, ageKeyFile: /a}\nstorageClasses: {v: {pool: p, encryption: {passphraseFile: /k}}}"
    said = _load(tmp_path, text).to_dict()
    assert said["secrets"] == {"directory": "/d", "ageKeyFile": "/a"}
    assert said["storageClasses"]["v"] == {"pool": "p", "encryption": {"passphraseFile": "/k"}}
