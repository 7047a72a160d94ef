"""Rules for a VM's other devices: watchdog, screen, sound, inputs, GPUs, host devices, I/O threads.

*Source*: KubeVirt's admission of devices.
"""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.vm_paths import DEVICES, DOMAIN, Section, SectionRule, is_on
from reconciler.model.document import FieldPath

VIDEO_TYPES: Mapping[str, tuple[str, ...]] = {
    "amd64": ("vga", "cirrus", "virtio", "ramfb", "bochs"),
    "arm64": ("virtio", "ramfb"),
    "s390x": ("virtio",),
}
SOUND_MODELS = ("ich9", "ac97")
WATCHDOGS = {"amd64": "i6300esb", "s390x": "diag288"}


def _architecture(vmi: Section) -> str:
    return vmi.get("architecture") or "amd64"


def _check_watchdog(findings: Findings, vmi: Section) -> None:
    watchdog = vmi["domain"]["devices"]["watchdog"]
    path = (*DEVICES, "watchdog")
    given = [name for name in ("i6300esb", "diag288") if name in watchdog]
    right = WATCHDOGS.get(_architecture(vmi), "")
    if given != [right]:
        text = f"the watchdog is {' and '.join(given)}" if given else "the watchdog has no type"
        findings.add("vm-watchdog-type", path, text, f"write {right}: {{}}" if right else "remove it")


def _check_video(findings: Findings, vmi: Section) -> None:
    devices = vmi["domain"]["devices"]
    path = (*DEVICES, "video")
    types = VIDEO_TYPES.get(_architecture(vmi), ())
    kind = devices["video"].get("type", "")
    if types and kind not in types:
        text = f"{kind[:40]!r} is not a screen of this architecture" if kind else "video has no type"
        findings.add("vm-video-type", (*path, "type"), text, f"take one of {', '.join(types)}")
    if devices.get("autoattachGraphicsDevice") is False:
        text = "video describes a screen, and autoattachGraphicsDevice says that there is none"
        findings.add("vm-video-off", path, text, "remove one of the two", at_key=True)


def _check_sound(findings: Findings, vmi: Section) -> None:
    sound = vmi["domain"]["devices"]["sound"]
    path = (*DEVICES, "sound")
    model = sound.get("model", "")
    if model and model not in SOUND_MODELS:
        text = f"{model[:40]!r} is not a sound device"
        findings.add("vm-sound-model", (*path, "model"), text, f"take {' or '.join(SOUND_MODELS)}")
    if not sound["name"]:
        findings.add("vm-device-name", (*path, "name"), "the sound device has no name")


def _named(part: str, what: str) -> SectionRule:
    """The rule that entries of a list of devices have names, each its own."""

    def check(findings: Findings, vmi: Section) -> None:
        seen: set[str] = set()
        for index, device in enumerate(vmi["domain"]["devices"][part]):
            name = device["name"]
            path = (*DEVICES, part, index)
            if not name or name in seen:
                text = f"a {what} named {name[:80]!r} stands above" if name else f"the {what} has no name"
                findings.add("vm-device-name", (*path, "name"), text, "give each a name of its own")
            seen.add(name)
            if part != "inputs":
                _check_host_device(findings, device, path)

    return check


def _check_host_device(findings: Findings, device: Section, path: FieldPath) -> None:
    by_claim = bool(device.get("claimName") or device.get("requestName"))
    if bool(device.get("deviceName")) == by_claim:
        text = "deviceName and claimName are both set" if by_claim else "nothing says which device of the host it is"
        findings.add("vm-device-source", path, text, "set deviceName")


def _check_gpus(findings: Findings, vmi: Section) -> None:
    _check_gpu_names(findings, vmi)
    displays = []
    for index, gpu in enumerate(vmi["domain"]["devices"]["gpus"]):
        display = gpu.get("virtualGPUOptions", {}).get("display")
        if is_on(display) and is_on(display.get("ramFB", {})):
            displays.append(index)
    if len(displays) > 1:
        text = "more than one GPU shows the guest's boot screen"
        path = (*DEVICES, "gpus", displays[1], "virtualGPUOptions", "display")
        findings.add("vm-gpu-display", path, text, "add ramFB: {enabled: false} to all but one")


_check_gpu_names = _named("gpus", "GPU")


def check_io_threads(findings: Findings, vmi: Section) -> None:
    """A pool of I/O threads says how many there are."""
    domain = vmi["domain"]
    count = domain.get("ioThreads", {}).get("supplementalPoolThreadCount", 0)
    if domain["ioThreadsPolicy"] == "supplementalPool" and count < 1:
        text = "ioThreadsPolicy is supplementalPool, and nothing says how many threads there are"
        hint = "add ioThreads: {supplementalPoolThreadCount: 2}"
        findings.add("vm-io-threads", (*DOMAIN, "ioThreadsPolicy"), text, hint)


DEVICE_RULES: Mapping[str, SectionRule] = {
    "watchdog": _check_watchdog,
    "video": _check_video,
    "sound": _check_sound,
    "inputs": _named("inputs", "input device"),
    "gpus": _check_gpus,
    "hostDevices": _named("hostDevices", "host device"),
}
