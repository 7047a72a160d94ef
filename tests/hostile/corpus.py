"""Files that a careless or malicious person pushes, made by code; each with what must be said of it.

``SMALL`` are cheap and go into one repository together (and seed the fuzzers); ``LARGE`` have a process each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

VM = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}{metadata}}}
spec:
  runStrategy: Always
{spec}
  template:
    metadata: {{labels: {labels}}}
    spec:
      domain:
        memory: {{guest: {memory}}}
{domain}
        devices:
          disks: [{disks}]
          interfaces: [{interfaces}]
{devices}
      networks: [{networks}]
      volumes: [{volumes}]
{template}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"


def vm(name: str, **parts: str) -> str:
    """A VM's manifest; ``parts`` are YAML texts for places of it."""
    empty = dict.fromkeys(
        ("metadata", "spec", "domain", "devices", "disks", "interfaces", "networks", "volumes", "template"), ""
    )
    return VM.format(name=name, **{**empty, "labels": "{}", "memory": "64Mi", **parts})


def network(name: str, config: object) -> str:
    """A NetworkAttachmentDefinition; ``config`` is JSON text, or data."""
    text = config if isinstance(config, str) else json.dumps(config)
    meta = f"apiVersion: k8s.cni.cncf.io/v1\nkind: NetworkAttachmentDefinition\nmetadata: {{name: {name}}}\n"
    return f"{meta}spec:\n  config: {json.dumps(text)}\n"


def volume(kind: str) -> str:
    """A VM with one volume of a KubeVirt type, given as YAML of one entry."""
    name = "v-" + "".join(c for c in kind.partition(":")[0].lower() if c.isalnum())
    return vm(name, disks="{name: x, disk: {bus: virtio}}", volumes=f"{{name: x, {kind}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``code`` is one of the problem codes that must be said of the file; empty: it must be taken without an error."""

    name: str
    data: Callable[[], bytes]
    code: str


def _text(name: str, code: str, text: str, encoding: str = "utf-8") -> Case:
    return Case(name=name, code=code, data=lambda: text.encode(encoding, "surrogatepass"))


def _bytes(name: str, code: str, data: bytes) -> Case:
    return Case(name=name, code=code, data=lambda: data)


def laughs(levels: int = 12, width: int = 10) -> str:
    """Each level holds the one below ten times."""
    lines = ["l0: &l0 lol", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels))]
    return "\n".join(lines) + "\n"


def merges(levels: int = 12, width: int = 10) -> str:
    """The same with mappings that are merged."""
    lines = ["l0: &l0 {a: {b: c}}"]
    for n in range(1, levels):
        entries = ", ".join(f"k{i}: {{<<: *l{n - 1}}}" for i in range(width))
        lines.append(f"l{n}: &l{n} {{{entries}}}")
    return "\n".join(lines) + "\n"


YAML = (
    _text("alias-bomb", "yaml-too-large", laughs()),
    _text("merge-bomb", "yaml-too-large", merges()),
    _text("alias-of-itself", "yaml-alias", "a: &a [*a]\n"),
    _text("merge-of-itself", "yaml-alias", "a: &a {<<: *a}\n"),
    _text("merge-of-a-number", "yaml-merge", "a: {<<: 5}\n"),
    _text("deep-flow", "yaml-too-large", "[" * 100_000),
    _text("deep-braces", "yaml-too-large", '{"a":' * 20_000),
    _text("deep-blocks", "yaml-too-large", "".join(" " * n + f"a{n}:\n" for n in range(300)) + " " * 300 + "x"),
    _text("deep-dashes", "yaml-too-large", "- " * 5_000 + "x\n"),
    _text("huge-key", "document-unidentified", "? " + "k" * 1_000_000 + "\n: v\n"),
    _text("huge-plain-key", "yaml-syntax", "k" * 100_000 + ": v\n"),
    _text("list-as-key", "yaml-key", "? [a, b]\n: v\n"),
    _text("null-as-key", "yaml-key", "~: v\n"),
    _text("many-duplicates", "yaml-duplicate-key", "a: 1\n" * 20_000),
    _text("duplicate-identity", "yaml-duplicate-key", CONFIG_MAP % "one" + "metadata: {name: two}\n"),
    _text("python-tag", "yaml-tag", "a: !!python/object/apply:os.system ['touch /tmp/pwned']\n"),
    _text("own-tag", "yaml-tag", "%TAG ! tag:evil.example,2000:\n---\na: !x y\n"),
    _text("odd-directive", "yaml-syntax", "%YAML 9.9\n---\na: b\n"),
    _text("infinity", "yaml-number", "a: .inf\n"),
    _bytes("nul", "yaml-encoding", b"a: b\0c\n"),
    _bytes("escape", "yaml-encoding", b"a: \x1b[2J\n"),
    _bytes("not-utf-8", "yaml-encoding", b"a: \xff\xfe\xfd\n"),
    _bytes("overlong-utf-8", "yaml-encoding", b"a: \xc0\xaf\n"),
    _text("surrogate", "yaml-encoding", "a: \ud800\n"),
    _text("surrogate-escape", "yaml-syntax", '{"a": "\\ud800"}'),
    _text("utf-16", "yaml-encoding", "\ufeffa: b\n", "utf-16-le"),
    _text("utf-32", "yaml-encoding", "\ufeffa: b\n", "utf-32-be"),
    _text("byte-order-mark", "", "\ufeff" + CONFIG_MAP % "with-a-mark"),
    _text("two-byte-order-marks", "document-unidentified", "\ufeff\ufeffa: b\n"),
    _text("million-digits", "document-unidentified", "a: " + "9" * 1_000_000 + "\n"),
    _text("million-hex-digits", "document-unidentified", "a: 0x" + "f" * 1_000_000 + "\n"),
    _text("million-digit-key", "document-unidentified", "? " + "9" * 1_000_000 + "\n: v\n"),
    _text("absurd-exponents", "document-unidentified", "a: [1e999999999, 1e-999999999, -1e308, 1e309, 0e99999999999999]\n"),
    _text("underscores", "document-unidentified", "a: 1" + "_" * 500_000 + "1\n"),
    _text("colons", "document-unidentified", "a: 1" + ":5" * 200_000 + "\n"),
    _text("scalar", "document-unidentified", "just text\n"),
    _text("list", "document-unidentified", "- a\n- b\n"),
    _text("empty", "", ""),
    _text("comments", "", "# nothing\n" * 1000),
    _text("separators", "", "---\n" * 5000),
    _text("json-with-comment", "yaml-syntax", '{"a": 1 // no\n, "b": [}'),
    _text("json-with-nan", "document-unidentified", '{"a": NaN}'),
    _text("json-cut", "yaml-syntax", '{"apiVersion": "v1", "kind": "ConfigMap"'),
    _text("json-one-line", "", json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "json"}})),
    _text("list-kind", "", json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "in-a-list"}}]})),
    _text("nested-lists", "document-unidentified", json.dumps({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "List", "items": []}]})),
    _text("list-of-scalars", "document-unidentified", "apiVersion: v1\nkind: List\nitems: [1, x, null, [], {}]\n"),
    _text("list-without-items", "document-unidentified", "apiVersion: v1\nkind: List\nitems: 5\n"),
)  # fmt: skip

_UNSAFE_NAMES = (
    "../../etc/passwd", "..", "a/b", "a b", "'; reboot; '", "$(reboot)", "`reboot`", "-rf", "<x/>&\\\"", "\\e[2J", "\\0",
    "a\\nb", "\\u202egnp.exe", "\\u200bzero", "\\ud83d\\ude00", "CON:", "a\\\\b", "A" * 300, "a" * 60_000 + "!", "a-" * 30_000,
)  # fmt: skip
NAMES = (
    *(_text(f"name-{n}", "name-invalid", CONFIG_MAP % f'"{name}"') for n, name in enumerate(_UNSAFE_NAMES[:14])),
    *(_text(f"name-{n}", "name-invalid", CONFIG_MAP % f'"{name}"') for n, name in enumerate(_UNSAFE_NAMES[15:], 15)),
    _text("namespace", "name-invalid", 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: "../x"}\n'),
    _text("generated", "document-unidentified", "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n"),
    _text("name-of-a-list", "document-unidentified", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: [a]}\n"),
    _text("kind-path", "kind-unknown", 'apiVersion: v1\nkind: "../../x"\nmetadata: {name: x}\n'),
    _text("label", "label-invalid", vm("label", metadata=', labels: {"a\\"b<>": "\\u202e", "../x": "z"}')),
    _text("annotation", "annotation-invalid", vm("annotation", metadata=', annotations: {"a\\nb": "x"}')),
    _text("annotation-values", "", vm("annotation-values", metadata=", annotations: {a: \"]]><x a='&' \\u2028 \\uFFFD\"}")),
    _text("many-annotations", "annotation-invalid", vm("many", metadata=", annotations: {a: " + "x" * 300_000 + "}")),
    _text("long-vm-name", "name-too-long", vm("a" * 63 + "." + "b" * 63 + "." + "c" * 63 + "." + "d" * 50)),
    _text("hostname", "vm-hostname-invalid", vm("hostname", template='      hostname: "$(reboot).x\\ny"')),
    _text("cloud-init", "", vm("cloud-init", disks="{name: x, disk: {bus: virtio}}",
        volumes='{name: x, cloudInitNoCloud: {userData: "#!/bin/sh\\nrm -rf /\\n\\u0007]]>"}}')),
    _text("device-names", "schema-enum", vm("device-names", disks='{name: "a b<x>", disk: {bus: "virtio\\" x=\\""}}')),
    _text("volume-names", "name-invalid", vm("volume-names",
        disks='{name: "../x", disk: {bus: virtio}}', volumes='{name: "../x", emptyDisk: {capacity: 1Mi}}')),
    _text("claim-path", "claim-missing", vm("claim-path",
        disks="{name: x, disk: {bus: virtio}}", volumes='{name: x, persistentVolumeClaim: {claimName: "../../etc/shadow"}}')),
    _text("serial", "vm-serial-invalid", vm("serial", disks="{name: x, serial: \"a'<&>\\\"]]>\", disk: {bus: virtio}}",
        volumes="{name: x, emptyDisk: {capacity: 1Mi}}")),
    _text("mac", "vm-mac-invalid", vm("mac", interfaces="{name: nic, masquerade: {}, macAddress: '" + "00:" * 10_000 + "00'}",
        networks="{name: nic, pod: {}}")),
    _text("secret-key", "data-key-invalid", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {../x: z}\n"),
    _text("quantity", "schema-pattern", vm("quantity", memory='"1e999999999Gi"')),
    _text("long-quantity", "quantity-invalid", vm("long-quantity", memory='"' + "9" * 100_000 + 'Gi"')),
    _text("selector", "", vm("selector", template='      nodeSelector: {kubernetes.io/hostname: "nowhere"}')),
)  # fmt: skip

HOST = (
    *(_text(f"volume-{kind.partition(':')[0]}", "field-not-supported", volume(kind)) for kind in (
        "hostDisk: {path: /etc/shadow, type: Disk}", "downwardMetrics: {}",
        "downwardAPI: {fields: []}", "serviceAccount: {serviceAccountName: x}",
        "memoryDump: {claimName: x}",
        "containerDisk: {image: 'evil.example/x:latest'}",
    )),
    _text("volume-containerPath", "vm-container-path", volume("containerPath: {path: /etc}")),
    _text("kernel-boot", "field-not-supported", vm("kernel-boot",
        domain="        firmware: {kernelBoot: {kernelArgs: 'init=/bin/sh', container: {image: x, kernelPath: /boot/vmlinuz}}}")),
    _text("host-device", "field-not-supported", vm("host-device",
        devices="          hostDevices: [{name: gpu, deviceName: 'vendor.com/gpu'}]")),
    _text("gpu", "field-not-supported", vm("gpu", devices="          gpus: [{name: g, deviceName: 'x.com/y'}]")),
    _text("passthrough", "field-not-supported", vm("passthrough", devices="          clientPassthrough: {}")),
    _text("share", "field-not-supported", vm("share", devices="          filesystems: [{name: x, virtiofs: {}}]",
        volumes="{name: x, emptyDisk: {capacity: 1Mi}}")),
    _text("metrics", "field-not-supported", vm("metrics", devices="          downwardMetrics: {}")),
    _text("lun", "vm-disk-lun", vm("lun", disks="{name: x, lun: {}}", volumes="{name: x, emptyDisk: {capacity: 1Mi}}")),
    _text("hook", "", vm("hook", metadata=", annotations: {hooks.kubevirt.io/hookSidecars: '[{\"image\": \"evil\"}]'}")),
    _text("image-scheme", "url-invalid", "apiVersion: cdi.kubevirt.io/v1beta1\nkind: DataVolume\nmetadata: {name: file}\nspec:\n"
        "  source: {http: {url: 'file:///etc/shadow'}}\n  storage: {resources: {requests: {storage: 1Mi}}}\n"),
    _text("bridge-of-the-host", "bridge-not-allowed", network("lo", {"type": "bridge", "bridge": "lo"})),
)  # fmt: skip

NETWORKS = (
    _text("cni-not-json", "nad-config-json", network("a1", "{")),
    _text("cni-deep", "nad-config-json", network("a2", "[" * 50_000)),
    _text("cni-digits", "nad-config-json", network("a3", '{"type": "bridge", "mtu": ' + "9" * 100_000 + "}")),
    _text("cni-list", "nad-config-json", network("a4", "[]")),
    _text("cni-no-type", "nad-config-type", network("a5", {})),
    _text("macvlan-not-allowed", "interface-not-allowed", network("m1", {"type": "macvlan", "master": "eth0"})),
    _text("macvlan-no-master", "nad-config-value", network("m2", {"type": "macvlan"})),
    _text("macvlan-path", "nad-config-value", network("m3", {"type": "macvlan", "master": "../../etc"})),
    _text("macvlan-mode", "nad-config-value", network("m4", {"type": "macvlan", "master": "eth0", "mode": "<x>"})),
    _text("macvlan-mode-list", "nad-config-value", network("m5", {"type": "macvlan", "master": "eth0", "mode": ["bridge"]})),
    _text("macvlan-pod", "field-not-supported", network("m6", {"type": "macvlan", "master": "eth0", "linkInContainer": True})),
    _text("cni-path", "field-not-supported", network("a6", {"type": "/bin/sh"})),
    _text("cni-dots", "field-not-supported", network("a7", {"type": "../../bin/sh"})),
    _text("cni-unknown", "field-not-supported", network("a8", {"type": "ovs", "bridge": "x"})),
    _text("cni-chain", "field-without-effect", network("a9", {"plugins": [{"type": "bridge", "bridge": "x9"}, {"type": "tuning"}]})),
    _text("cni-bridge-path", "nad-config-value", network("a10", {"type": "bridge", "bridge": "../x"})),
    _text("cni-bridge-long", "nad-config-value", network("a11", {"type": "bridge", "bridge": "b" * 16})),
    _text("cni-bridge-xml", "nad-config-value", network("a12", {"type": "bridge", "bridge": "<a b='"})),
    _text("cni-mtu", "nad-config-value", network("a13", {"type": "bridge", "bridge": "x13", "mtu": 10**9})),
    _text("cni-ipam-type", "field-not-supported", network("a14", {"type": "bridge", "bridge": "x14", "ipam": {"type": "/bin/sh"}})),
    _text("cni-ipam-subnet", "nad-config-value", network("a15",
        {"type": "bridge", "bridge": "x15", "ipam": {"type": "host-local", "subnet": "10.0.0.0/99"}})),
    _text("cni-ipam-tiny", "nad-ipam-invalid", network("a16",
        {"type": "bridge", "bridge": "x16", "ipam": {"type": "host-local", "subnet": "10.0.0.0/31"}})),
    _text("cni-ipam-outside", "nad-ipam-invalid", network("a17", {"type": "bridge", "bridge": "x17",
        "ipam": {"type": "host-local", "subnet": "10.0.0.0/24", "rangeStart": "192.168.0.1", "gateway": "1.1.1.1"}})),
    _text("cni-ipam-list", "nad-config-value", network("a18",
        {"type": "bridge", "bridge": "x18", "ipam": {"type": "host-local", "ranges": "x"}})),
)  # fmt: skip

SMALL: tuple[Case, ...] = (*YAML, *NAMES, *HOST, *NETWORKS)


def invalid_documents(count: int) -> bytes:
    """Many small VMs, each with faults of its schema."""
    one = "---\napiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: vm-%d}\nspec: {runStrategie: Always, templat: {}, x: [1]}\n"
    return "".join(one % number for number in range(count)).encode()


def tiny_documents(count: int, first: int = 0) -> bytes:
    """As many good documents as fit."""
    return "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c-{number}}}\n"
        for number in range(first, first + count)
    ).encode()


LARGE: tuple[Case, ...] = (
    Case(name="fifty-megabytes", code="file-refused", data=lambda: b"a: " + b"x" * (50 << 20)),
    Case(name="one-scalar", code="annotation-invalid", data=lambda: vm(
        "one-scalar", metadata=", annotations: {a: " + "x" * (7 << 20) + "}").encode()),
    Case(name="quotes", code="yaml-syntax", data=lambda: b'a: "' + b"\\\\" * (4_000_000)),
    Case(name="syntax-faults", code="yaml-syntax", data=lambda: b"---\n}\n" * 90_000),
    Case(name="invalid-documents", code="problems-untold", data=lambda: invalid_documents(12_000)),
    Case(name="too-many-documents", code="yaml-too-large", data=lambda: tiny_documents(100_001)),
    Case(name="disks", code="schema-value", data=lambda: vm(
        "many-disks", disks=",".join(f"{{name: d{n}, disk: {{bus: virtio}}}}" for n in range(60_000))).encode()),
    Case(name="labels", code="problems-untold", data=lambda: vm(
        "labels", labels="{" + ",".join(f"/{n}: v" for n in range(200_000)) + "}").encode()),
)  # fmt: skip

LARGER: tuple[Case, ...] = (
    Case(name="tiny-documents", code="", data=lambda: tiny_documents(99_000)),
    Case(name="more-invalid-documents", code="problems-untold", data=lambda: invalid_documents(50_000)),
    Case(name="items", code="yaml-too-large", data=lambda: b"a: [" + b"1," * 1_100_000 + b"]\n"),
    Case(name="anchors", code="yaml-too-large", data=lambda: b"a: [" + b"".join(b"&a%d x," % n for n in range(550_000)) + b"]\n"),
    Case(name="keys", code="document-unidentified", data=lambda: "".join(f"k{n}: v\n" for n in range(480_000)).encode()),
)  # fmt: skip
"""For ``make corpus``: they take half a minute each on a slow machine."""
