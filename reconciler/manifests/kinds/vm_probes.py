"""Rules for probes. *Source*: KubeVirt's admission and Kubernetes' of probes."""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import TEMPLATE, Section

HANDLERS = ("httpGet", "tcpSocket", "exec", "guestAgentPing")
BY_NETWORK = ("httpGet", "tcpSocket")
NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
MAX_PORT = 65535


def check_readiness_probe(findings: Findings, vmi: Section) -> None:
    """``readinessProbe``."""
    _check_probe(findings, vmi, "readinessProbe")


def check_liveness_probe(findings: Findings, vmi: Section) -> None:
    """``livenessProbe``, which has more to ask for."""
    _check_probe(findings, vmi, "livenessProbe")
    path = (*TEMPLATE, "livenessProbe")
    if vmi["livenessProbe"].get("successThreshold", 1) > 1:
        text = "one success is enough for a liveness probe"
        findings.add("vm-probe-numbers", (*path, "successThreshold"), text, "remove it")
    if vmi.get("startStrategy") == "Paused":
        text = "a guest that is paused at its start fails its liveness probe"
        findings.add("vm-probe-paused", path, text, "remove livenessProbe or startStrategy", at_key=True)


def _check_probe(findings: Findings, vmi: Section, field: str) -> None:
    probe, path = vmi[field], (*TEMPLATE, field)
    handlers = [name for name in HANDLERS if name in probe]
    if len(handlers) != 1:
        text = f"the probe is {' and '.join(handlers)} at once" if handlers else "the probe asks nothing"
        findings.add("vm-probe-handler", path, text, f"keep one of {', '.join(HANDLERS)}")
    for name in handlers:
        if name in BY_NETWORK:
            _check_port(findings, vmi, field, name)
    if "exec" in probe and not probe["exec"].get("command"):
        findings.add("vm-probe-handler", (*path, "exec"), "the probe has no command", "add exec.command")
    for name in NUMBERS:
        if probe.get(name, 0) < 0:
            findings.add("vm-probe-numbers", (*path, name), f"{name} {probe[name]} is below 0")


def _check_port(findings: Findings, vmi: Section, field: str, handler: str) -> None:
    path = (*TEMPLATE, field, handler)
    port = vmi[field][handler]["port"]
    if isinstance(port, str) or not 0 < port <= MAX_PORT:
        findings.add("vm-probe-port", (*path, "port"), f"{str(port)[:40]!r} is not a port: 1 to {MAX_PORT}")
    networks = vmi.get("networks", ())
    if networks and not any("pod" in network for network in networks):
        text = f"{handler} reaches guests through the pod network, which this VM does not have"
        findings.add("vm-probe-network", path, text, "use guestAgentPing, or add the pod network", at_key=True)
