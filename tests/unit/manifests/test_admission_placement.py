"""KubeVirt's rules for placement, probes, credentials, names and instancetypes: each broken once."""

from __future__ import annotations

import pytest

from reconciler.model.problem import Severity
from tests.unit.manifests.samples import broken, edited, load, only

REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
PLACED = f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: placed, annotations: {{gitvirt.io/prune: "false"}}}}
spec:
  runStrategy: Always
  dataVolumeTemplates:
  - metadata: {{name: placed-root, namespace: default}}
    spec: {{source: {{blank: {{}}}}, storage: {{resources: {{requests: {{storage: 1Gi}}}}}}}}
  template:
    metadata: {{labels: {{kubevirt.io/domain: placed}}}}
    spec:
      hostname: placed
      subdomain: vms.example
      terminationGracePeriodSeconds: 0
      priorityClassName: high
      dnsPolicy: None
      dnsConfig: {{nameservers: [192.0.2.53], searches: [example.org], options: [{{name: ndots, value: "2"}}]}}
      nodeSelector: {{zone: a, example.org/rack: "4"}}
      tolerations: [{{key: gpu, operator: Exists, effect: NoExecute, tolerationSeconds: 60}}, {{operator: Exists}}]
      topologySpreadConstraints:
      - {{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, minDomains: 2, labelSelector: {{matchLabels: {{app: web}}}}}}
      affinity:
        nodeAffinity:
          {REQUIRED}: {{nodeSelectorTerms: [{{matchExpressions: [{{key: cores, operator: Gt, values: ["8"]}}], matchFields: [{{key: metadata.name, operator: In, values: [host-a]}}]}}]}}
          {PREFERRED}: [{{weight: 5, preference: {{matchExpressions: [{{key: ssd, operator: Exists}}]}}}}]
        podAntiAffinity:
          {REQUIRED}: [{{topologyKey: kubernetes.io/hostname, namespaces: [prod], labelSelector: {{matchExpressions: [{{key: app, operator: In, values: [web]}}]}}}}]
          {PREFERRED}: [{{weight: 100, podAffinityTerm: {{topologyKey: zone}}}}]
      readinessProbe: {{httpGet: {{port: 80}}, periodSeconds: 5}}
      livenessProbe: {{guestAgentPing: {{}}, successThreshold: 1}}
      accessCredentials:
      - sshPublicKey: {{source: {{secret: {{secretName: keys}}}}, propagationMethod: {{noCloud: {{}}}}}}
      - userPassword: {{source: {{secret: {{secretName: words}}}}, propagationMethod: {{qemuGuestAgent: {{}}}}}}
      domain:
        memory: {{guest: 1Gi}}
        devices: {{disks: [{{name: root, disk: {{}}}}, {{name: seed, disk: {{}}}}], interfaces: [{{name: pod, masquerade: {{}}}}]}}
      networks: [{{name: pod, pod: {{}}}}]
      volumes: [{{name: root, dataVolume: {{name: placed-root}}}}, {{name: seed, cloudInitNoCloud: {{userData: a}}}}]
"""
TYPED = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: typed}
spec:
  runStrategy: Always
  instancetype: {name: small, kind: VirtualMachineInstancetype}
  preference: {inferFromVolume: root}
  template:
    spec:
      domain:
        cpu: {maxSockets: 4}
        devices: {disks: [{name: root, disk: {}}]}
      volumes: [{name: root, persistentVolumeClaim: {claimName: root}}]
"""


@pytest.mark.parametrize("text", [PLACED, TYPED])
def test_the_bases_are_valid(text: str) -> None:
    assert [str(one) for one in load(text).problems] == []


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("hostname: placed", "hostname: placed.example", "vm-hostname-invalid", "hostname"),
        ("vms.example", "vms_example", "vm-subdomain-invalid", "subdomain"),
        ("PeriodSeconds: 0", "PeriodSeconds: -1", "vm-grace-period", "terminationGracePeriodSeconds"),
        ("priorityClassName: high", "priorityClassName: High", "vm-priority-class", "priorityClassName"),
        ("nameservers: [192.0.2.53]", "nameservers: []", "vm-dns-config", "dnsPolicy"),
        ("192.0.2.53", "dns.example.org", "vm-dns-config", "dnsConfig.nameservers[0]"),
        ("[192.0.2.53]", "[1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]", "vm-dns-config", "dnsConfig.nameservers"),
        ("[example.org]", "[a, b, c, d, e, f, g]", "vm-dns-config", "dnsConfig.searches"),
        ("[example.org]", "[exa_mple.org]", "vm-dns-config", "dnsConfig.searches[0]"),
        ("{name: ndots,", "{", "vm-dns-config", "dnsConfig.options[0]"),
        ("zone: a,", "zone: 'a b',", "vm-node-selector", "nodeSelector.zone"),
        ("example.org/rack", "example.org/ra/ck", "vm-node-selector", None),
        ("tolerationSeconds: 60", "value: a", "vm-toleration", "tolerations[0].value"),
        ("effect: NoExecute", "effect: NoSchedule", "vm-toleration", "tolerations[0].tolerationSeconds"),
        (", {operator: Exists}]", ", {value: a}]", "vm-toleration", "tolerations[1]"),
        ("key: gpu", "key: g pu", "vm-toleration", "tolerations[0].key"),
        ("maxSkew: 1", "maxSkew: 0", "vm-topology-spread", "topologySpreadConstraints[0].maxSkew"),
        ("DoNotSchedule", "ScheduleAnyway", "vm-topology-spread", "topologySpreadConstraints[0].minDomains"),
        ("topologyKey: zone, when", "topologyKey: '', when", "vm-topology-spread", "topologySpreadConstraints[0].topologyKey"),
        ("{app: web}", "{app: we b}", "vm-topology-spread", None),
        ("      affinity:", "      - {maxSkew: 2, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}\n      affinity:", "vm-topology-spread", "topologySpreadConstraints[1]"),
        ('values: ["8"]', "values: [many]", "vm-affinity", None),
        ("operator: Exists}]}}]", "operator: Exists, values: [a]}]}}]", "vm-affinity", None),
        ("operator: In, values: [web]", "operator: In", "vm-affinity", None),
        ("operator: In, values: [web]", "operator: Is, values: [web]", "vm-affinity", None),
        ("weight: 5", "weight: 0", "vm-affinity", None),
        ("weight: 100", "weight: 101", "vm-affinity", None),
        ("key: metadata.name", "key: metadata.uid", "vm-affinity", None),
        ("topologyKey: kubernetes.io/hostname", "topologyKey: ''", "vm-affinity", None),
        ("[prod]", "[Prod]", "vm-affinity", None),
        ("[{matchExpressions: [{key: cores, operator: Gt, values: [\"8\"]}], matchFields: [{key: metadata.name, operator: In, values: [host-a]}]}]", "[]", "vm-affinity", None),
        ("httpGet: {port: 80}", "httpGet: {port: 80}, exec: {command: [a]}", "vm-probe-handler", "readinessProbe"),
        ("httpGet: {port: 80}, ", "", "vm-probe-handler", "readinessProbe"),
        ("httpGet: {port: 80}", "exec: {}", "vm-probe-handler", "readinessProbe.exec"),
        ("httpGet: {port: 80}", "tcpSocket: {port: 0}", "vm-probe-port", "readinessProbe.tcpSocket.port"),
        ("httpGet: {port: 80}", "httpGet: {port: http}", "vm-probe-port", "readinessProbe.httpGet.port"),
        ("periodSeconds: 5", "periodSeconds: -5", "vm-probe-numbers", "readinessProbe.periodSeconds"),
        ("successThreshold: 1", "successThreshold: 2", "vm-probe-numbers", "livenessProbe.successThreshold"),
        ("interfaces: [{name: pod, masquerade", "interfaces: [{name: pod, bridge", "", None),
        ("      dnsPolicy", "      startStrategy: Paused\n      dnsPolicy", "vm-probe-paused", "livenessProbe"),
        ("{secretName: keys}", "{secretName: ''}", "vm-credential", "accessCredentials[0].sshPublicKey.source"),
        ("{noCloud: {}}", "{}", "vm-credential", "accessCredentials[0].sshPublicKey.propagationMethod"),
        ("{noCloud: {}}", "{noCloud: {}, qemuGuestAgent: {users: [a]}}", "vm-credential", None),
        ("{noCloud: {}}", "{qemuGuestAgent: {users: []}}", "vm-credential", None),
        ("{noCloud: {}}", "{configDrive: {}}", "vm-credential-volume", "accessCredentials[0].sshPublicKey.propagationMethod.configDrive"),
        ("      - userPassword", "        userPassword", "vm-credential", "accessCredentials[0]"),
        ("dataVolume: {name: placed-root}", "dataVolume: {name: placed-roof}", "vm-template-unused", "spec.dataVolumeTemplates[0].metadata.name"),
        ("namespace: default", "namespace: other", "vm-template-namespace", "spec.dataVolumeTemplates[0].metadata.namespace"),
        ("{kubevirt.io/domain: placed}", "{kubevirt.io/nodeName: a}", "label-reserved", "spec.template.metadata.labels.kubevirt.io/nodeName"),
        ("gitvirt.io/prune", "gitvirt.io/prunes", "annotation-unknown", "metadata.annotations.gitvirt.io/prunes"),
        ('gitvirt.io/prune: "false"', "gitvirt.io/prune: never", "annotation-value", "metadata.annotations.gitvirt.io/prune"),
        ('gitvirt.io/prune: "false"', "gitvirt.io/mode: reprot", "annotation-value", "metadata.annotations.gitvirt.io/mode"),
        ("gitvirt.io/prune", "gitvirt.io/owner", "annotation-reserved", "metadata.annotations.gitvirt.io/owner"),
    ],
)  # fmt: skip
def test_each_rule(old: str, new: str, code: str, path: str | None) -> None:
    broken(PLACED, old, new, code, path, {"": "spec.template.spec."})


@pytest.mark.parametrize(
    ("old", "new", "code", "path"),
    [
        ("name: small, ", "", "vm-instancetype-name", "spec.instancetype"),
        ("inferFromVolume: root", "inferFromVolume: root, name: a", "vm-instancetype-name", "spec.preference"),
        ("inferFromVolume: root", "inferFromVolume: rot", "vm-instancetype-name", "spec.preference.inferFromVolume"),
        ("inferFromVolume: root", "inferFromVolume: root, kind: VirtualMachinePreference", "vm-instancetype-name", "spec.preference.kind"),
        ("cpu: {maxSockets: 4}", "cpu: {cores: 2}", "vm-instancetype-conflict", "spec.template.spec.domain.cpu.cores"),
        ("cpu: {maxSockets: 4}", "memory: {guest: 1Gi}", "vm-instancetype-conflict", "spec.template.spec.domain.memory.guest"),
        ("cpu: {maxSockets: 4}", "resources: {limits: {cpu: 1}}", "vm-instancetype-conflict", "spec.template.spec.domain.resources.limits.cpu"),
    ],
)  # fmt: skip
def test_each_rule_of_instancetypes(old: str, new: str, code: str, path: str) -> None:
    found = only(load(edited(TYPED, old, new)).problems)
    assert (found.code, found.path) == (code, path)


def test_probes_over_the_network_need_the_pod_network() -> None:
    text = edited(PLACED, "networks: [{name: pod, pod: {}}]", "networks: [{name: pod, multus: {networkName: lan}}]")
    text = edited(text, "masquerade: {}", "bridge: {}")
    assert only(load(text).problems).code == "vm-probe-network"
    assert load(edited(text, "httpGet: {port: 80}", "guestAgentPing: {}")).problems == ()


def test_a_slip_in_an_annotation_is_a_warning_with_the_right_name() -> None:
    found = only(load(edited(PLACED, "gitvirt.io/prune", "gitvirt.io/prun")).problems)
    assert (found.severity, found.hint) == (Severity.WARNING, "did you mean gitvirt.io/prune?")
