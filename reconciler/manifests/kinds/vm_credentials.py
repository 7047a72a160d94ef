"""Rules for access credentials. *Source*: KubeVirt's admission of accessCredentials."""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import TEMPLATE, Section
from reconciler.model.document import FieldPath

KINDS = ("sshPublicKey", "userPassword")
_CLOUD_INIT = {"noCloud": "cloudInitNoCloud", "configDrive": "cloudInitConfigDrive"}


def check_credentials(findings: Findings, vmi: Section) -> None:
    """Each credential has one kind, one source and one way into the guest, which is there."""
    for index, credential in enumerate(vmi["accessCredentials"]):
        path = (*TEMPLATE, "accessCredentials", index)
        kinds = [kind for kind in KINDS if kind in credential]
        if len(kinds) != 1:
            text = f"the credential is {' and '.join(kinds)} at once" if kinds else "the credential has no kind"
            findings.add("vm-credential", path, text, f"keep one of {', '.join(KINDS)}")
        for kind in kinds:
            _check_kind(findings, vmi, credential[kind], (*path, kind))


def _check_kind(findings: Findings, vmi: Section, credential: Section, path: FieldPath) -> None:
    if not credential["source"].get("secret", {}).get("secretName"):
        findings.add("vm-credential", (*path, "source"), "the credential names no Secret", "add source.secret")
    methods = credential["propagationMethod"]
    place = (*path, "propagationMethod")
    if len(methods) != 1:
        text = f"{' and '.join(methods)} are both set" if methods else "nothing says how it gets into the guest"
        findings.add("vm-credential", place, text, "keep one propagationMethod")
    for method in methods:
        volume = _CLOUD_INIT.get(method)
        if volume and not any(volume in one for one in vmi.get("volumes", ())):
            text = f"{method} hands keys over in a {volume} volume, which this VM does not have"
            findings.add("vm-credential-volume", (*place, method), text, f"add a {volume} volume", at_key=True)
    agent = methods.get("qemuGuestAgent", {})
    if "qemuGuestAgent" in methods and "users" in agent and not agent["users"]:
        findings.add("vm-credential", (*place, "qemuGuestAgent", "users"), "users is empty", "name the guest's users")
