"""SOPS documents: files that the real sops wrote, and what was done to them afterwards."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from reconciler.manifests.load import LoadedFile, load_blob
from reconciler.manifests.sops import open_documents
from reconciler.manifests.sops_metadata import data_key_of, read_metadata
from reconciler.manifests.strict_yaml import parse_stream
from reconciler.manifests.unseal import open_file
from reconciler.model.keys import ObjectKey
from reconciler.model.secret import Secret
from tests.unit.manifests.samples import joined

FILES = Path(__file__).parent / "sops"
DB = ObjectKey("Secret", "prod", "db")
PLAIN = {"password": "s3cret: ü", "empty": "", "number": "0042"}


def _key(name: str) -> Secret:
    lines = (FILES / name).read_bytes().splitlines()
    return Secret(next(line for line in lines if line.startswith(b"AGE-SECRET-KEY-1")))


FIRST, SECOND, STRANGER = _key("first.agekey"), _key("second.agekey"), _key("stranger.agekey")


def _opened(data: bytes, *identities: Secret) -> LoadedFile:
    return open_file(load_blob(data, "secret.yaml"), identities)


def _file(name: str) -> bytes:
    return (FILES / name).read_bytes()


@pytest.mark.parametrize(
    "name",
    ["all.yaml", "mac_only.yaml", "encrypted_suffix.yaml", "unencrypted_suffix.yaml", "all.json", "several.yaml"],
)
def test_files_of_sops_are_read(name: str) -> None:
    opened = _opened(_file(name), STRANGER, FIRST)
    assert opened.problems == ()
    documents = {document.key: document for document in opened.documents}
    assert documents[DB].body["stringData"] == PLAIN
    assert "sops" not in documents[DB].body


def test_several_documents_and_recipients_share_one_mac() -> None:
    opened = _opened(_file("several.yaml"), SECOND)
    bodies = {document.key.name: document.body for document in opened.documents}
    assert base64.b64decode(bodies["second"]["data"]["key"]) == b"hello"
    assert bodies["plainish"]["data"] == {"greeting": "hello"}


def test_an_ssh_key_opens_what_was_encrypted_for_it() -> None:
    opened = _opened(_file("ssh.yaml"), FIRST, Secret(_file("throwaway_ssh")))
    assert opened.documents[0].body["stringData"] == PLAIN


def test_numbers_dates_and_words_count_in_the_mac_as_sops_counts_them() -> None:
    body = dict(parse_stream(_file("odd.yaml"), "odd.yaml").documents[0].body)
    metadata = read_metadata(body.pop("sops"))
    opened = open_documents([body], metadata, data_key_of(metadata, [FIRST]))
    assert opened[0].body["stringData"] == {"a": "x"}
    assert opened[0].body["secretcount"] == 12
    assert opened[0].encrypted == (("stringData", "a"), ("secretcount",))


def test_values_stand_where_they_stood() -> None:
    opened = _opened(_file("vm.yaml"), FIRST)
    document = opened.documents[0]
    path = ("spec", "template", "spec", "volumes", 0, "cloudInitNoCloud", "userData")
    lines = _file("vm.yaml").decode().splitlines()
    assert "userData" in lines[document.place(path).line - 1]
    assert document.spec["template"]["spec"]["volumes"][0]["cloudInitNoCloud"]["userData"].startswith("#cloud-config")


def test_what_is_kept_of_a_loaded_file_is_cipher_text() -> None:
    loaded = load_blob(_file("mac_only.yaml"), "secret.yaml")
    assert loaded.documents == ()
    assert loaded.sealed == _file("mac_only.yaml")
    assert "ENC" not in repr(loaded)


def _tampered(name: str, old: str, new: str) -> bytes:
    text = _file(name).decode()
    assert len(re.findall(old, text)) >= 1
    return re.sub(old, new, text, count=1).encode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (_tampered("several.yaml", r"name: second", "name: third"), "sops-mac"),
        (_tampered("several.yaml", r"(?s)---\napiVersion: v1\nkind: ConfigMap.*", ""), "sops-mac"),
        (_tampered("several.yaml", r"password: ENC\[AES256_GCM,data:.", "password: ENC[AES256_GCM,data:A"), "sops-value"),
        (_tampered("several.yaml", r"password: ENC\S+", "password: plain"), "sops-value"),
        (_tampered("several.yaml", r"password: ENC", "renamed: ENC"), "sops-value"),
        (_tampered("mac_only.yaml", r"type:str\]\n    encrypted", "type:int]\n    encrypted"), ""),
        (_tampered("mac_only.yaml", r"lastmodified: \"20", 'lastmodified: "21'), "sops-value"),
        (_tampered("mac_only.yaml", r"mac_only_encrypted: true", "mac_only_encrypted: false"), "sops-mac"),
        (_tampered("mac_only.yaml", r"mac: \S+", "mac: ''"), "sops-metadata"),
        (_tampered("mac_only.yaml", r"encrypted_regex: .*", "encrypted_regex: '('"), "sops-metadata"),
        (_tampered("mac_only.yaml", r"encrypted_regex: ", "encrypted_comment_regex: "), "sops-metadata"),
        (_tampered("mac_only.yaml", r"YWdl\S+", "YWdlYWdl"), "sops-metadata"),
        (_file("pgp.yaml"), "sops-key-service"),
    ],
)  # fmt: skip
def test_what_cannot_be_opened_is_present_and_invalid(data: bytes, code: str) -> None:
    opened = _opened(data, FIRST)
    if not code:
        assert opened.documents[0].body["stringData"]["password"] == PLAIN["password"]
        return
    assert opened.documents == ()
    assert opened.unidentified == ()
    assert DB in {entry.key for entry in opened.invalid}
    assert {one.code for one in opened.problems} == {code}
    assert all(one.hint or one.code == "sops-value" for one in opened.problems)
    said = "\n".join(map(str, opened.problems))
    assert "s3cret" not in said
    assert "AGE-SECRET" not in said


def test_without_the_right_key_the_object_is_held_and_the_recipients_are_named() -> None:
    opened = _opened(_file("mac_only.yaml"), STRANGER)
    (problem,) = opened.problems
    assert problem.code == "sops-no-key"
    assert "age1" in problem.message
    assert set(joined([opened]).invalid) == {DB}


def test_an_encrypted_name_that_cannot_be_read_stops_deletions() -> None:
    opened = _opened(_file("all.yaml"), STRANGER)
    assert [one.code for one in opened.unidentified] == ["sops-no-key"]
    assert opened.invalid == ()


def test_in_a_pull_request_cipher_text_stands_for_the_values() -> None:
    opened = open_file(load_blob(_file("several.yaml"), "s.yaml"), None)
    assert {one.code for one in opened.problems} == {"sops-not-decrypted"}
    bodies = {document.key.name: document.body for document in opened.documents}
    assert base64.b64decode(bodies["second"]["data"]["key"]).startswith(b"ENC[")
    hidden = open_file(load_blob(_file("all.yaml"), "s.yaml"), None)
    assert [one.code for one in hidden.unidentified] == ["sops-no-key"]


def test_only_what_is_kept_secret_may_be_encrypted() -> None:
    opened = _opened(_file("vm_number.yaml"), FIRST)
    (problem,) = opened.problems
    assert problem.code == "sops-value-shown"
    assert "terminationGracePeriodSeconds" in problem.message
    assert opened.invalid[0].key == ObjectKey("VirtualMachine", "default", "web")


@pytest.mark.parametrize(
    ("name", "codes"),
    [("bad_values.yaml", {"schema-type"}), ("bad_rules.yaml", {"base64-invalid", "label-invalid"})],
)
def test_a_fault_of_a_decrypted_value_does_not_quote_it(name: str, codes: set[str]) -> None:
    opened = _opened(_file(name), FIRST)
    assert {one.code for one in opened.problems} == codes
    said = "\n".join(map(str, opened.problems))
    assert "hunter2" not in said
    assert "727272" not in said


def test_plain_documents_beside_encrypted_ones_are_read_and_warned_about() -> None:
    plain = b"---\napiVersion: v1\nkind: Secret\nmetadata: {name: open}\nstringData: {password: x}\n"
    opened = _opened(_file("mac_only.yaml") + plain, FIRST)
    assert {document.key.name for document in opened.documents} == {"db", "open"}
    assert [(one.code, str(one.object)) for one in opened.problems] == [("secret-in-plain-text", "Secret/default/open")]


def test_public_keys_are_nobodys_secret() -> None:
    text = b"apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {me: ssh-ed25519 AAAAC3Nz me@here}\n"
    assert load_blob(text, "keys.yaml").problems == ()
