"""All joins and defaults of a manifest."""

from __future__ import annotations

import base64
from dataclasses import replace

from reconciler.model.domain import ClaimSource, CpuSpec, InterfaceSpec, SeedSource
from reconciler.model.keys import POD_NETWORK, ObjectKey
from reconciler.model.live import LiveVolume, Marks
from reconciler.model.policy import Policy, StorageClassPolicy
from reconciler.model.power import RunStrategy
from reconciler.model.resolved import DesiredState, ResolvedNetwork, ResolvedVm, ResolvedVolume, SourceKind
from reconciler.planning.offline import as_if_live
from reconciler.planning.resolve import Resolver, resolve
from tests.unit.manifests.samples import WEBSERVER as AS_REQUIRED
from tests.unit.planning.building import POLICY, claim, declared, digest, observed, vm

WEBSERVER = (
    AS_REQUIRED
    + """\
---
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: multus-external-network}
spec: {config: '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "br-ext"}'}
---
"""
    + claim("webserver-pvc", "20Gi")
)
VM_KEY = ObjectKey("VirtualMachine", "default", "webserver-vm")


def state(text: str, **more: object) -> DesiredState:
    return resolve(declared(text, **more), observed(), policy=POLICY, digest=digest)


def the_vm(text: str) -> ResolvedVm:
    (found,) = (thing for thing in state(text).objects.values() if isinstance(thing, ResolvedVm))
    return found


def test_the_manifest_of_the_readme() -> None:
    desired = state(WEBSERVER)
    web = desired.objects[VM_KEY]
    assert isinstance(web, ResolvedVm)
    assert web.run_strategy is RunStrategy.ALWAYS and web.run_strategy_path == "spec.running"
    assert web.domain.name == "default_webserver-vm"
    assert web.domain.cpu == CpuSpec(sockets=1, cores=2, threads=1, max_sockets=1)
    assert web.domain.memory_mib == 4096
    assert web.domain.origins["memory_mib"] == "spec.template.spec.domain.resources.requests.memory"
    (disk,) = web.domain.disks
    assert disk.source == ClaimSource(namespace="default", claim="webserver-pvc", pool="default", format="qcow2")
    assert [nic.network for nic in web.domain.interfaces] == ["PodNetwork/pod", "default/multus-external-network"]
    assert web.networks == (POD_NETWORK, ObjectKey("NetworkAttachmentDefinition", "default", "multus-external-network"))
    assert POD_NETWORK in desired.objects and POD_NETWORK in desired.present
    volume = desired.objects[ObjectKey("PersistentVolumeClaim", "default", "webserver-pvc")]
    assert isinstance(volume, ResolvedVolume) and volume.size_bytes == 20 << 30
    assert volume.size_path == "spec.resources.requests.storage"


def test_a_vm_without_networks_gets_the_pod_network_unless_it_says_no() -> None:
    (nic,) = the_vm(vm("a") + claim("a-root")).domain.interfaces
    assert nic == InterfaceSpec(name="default", network="PodNetwork/pod", mac=nic.mac)
    text = (vm("a") + claim("a-root")).replace("devices:", "devices:\n          autoattachPodInterface: false")
    assert the_vm(text).domain.interfaces == ()


def test_memory_and_cpu_from_resources() -> None:
    text = (vm("a") + claim("a-root")).replace(
        "memory: {guest: 128Mi}", "resources: {limits: {cpu: 1500m, memory: 1G}}"
    )
    domain = the_vm(text).domain
    assert domain.cpu.sockets == 2 and domain.origins["cpu"] == "spec.template.spec.domain.resources.limits.cpu"
    assert domain.memory_mib == 954  # 10**9 bytes, rounded up to whole MiB


def test_enlightenments_bring_what_they_need_along() -> None:
    features = "features: {hyperv: {synictimer: {}, ipi: {enabled: false}, evmcs: {}, vapic: {enabled: false}}}"
    text = vm("web").replace("memory: {guest: 128Mi}", f"memory: {{guest: 128Mi}}\n        {features}")
    hyperv = dict(the_vm(text + claim("web-root")).domain.hyperv)
    assert hyperv == {
        "evmcs": "on",
        "ipi": "off",
        "synic": "on",
        "synictimer": "on",
        "vapic": "off",
        "vpindex": "on",
    }


def test_native_and_shared_disks_have_no_host_cache() -> None:
    for option, cache in (("io: native", "none"), ("shareable: true", "none"), ("io: threads", "")):
        text = vm("web").replace("{name: root, disk", f"{{name: root, {option}, disk")
        assert the_vm(text + claim("web-root")).domain.disks[0].cache == cache


def test_addresses_of_a_network_that_make_no_sense() -> None:
    text = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan}
spec:
  config: '{"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.1.0.0/30"}}'
"""
    assert [one.code for one in state(text).trouble.values()] == ["nad-ipam-invalid"]


def test_cloud_init_goes_to_an_iso_and_its_content_only_into_the_digest() -> None:
    text = (vm("a") + claim("a-root")).replace(
        "volumes: [", "volumes: [{name: ci, cloudInitNoCloud: {userData: 'password: hunter2'}}, "
    ).replace("disks: [", "disks: [{name: ci, cdrom: {}}, ")  # fmt: skip
    one = the_vm(text)
    (seed,) = one.seeds
    assert seed.label == "cidata" and seed.files["user-data"].reveal == b"password: hunter2"
    assert b'local-hostname: "a"' in seed.files["meta-data"].reveal
    assert "hunter2" not in repr(one) and "hunter2" not in repr(one.applied)
    (first, _) = one.domain.disks
    assert first.source == SeedSource(digest=seed.digest) and first.read_only
    assert the_vm(text.replace("hunter2", "hunter3")).seeds[0].digest != seed.digest


def test_user_data_from_a_secret_and_a_missing_one_blocks() -> None:
    text = (vm("a") + claim("a-root")).replace(
        "volumes: [", "volumes: [{name: ci, cloudInitNoCloud: {secretRef: {name: ci-secret}}}, "
    ).replace("disks: [", "disks: [{name: ci, cdrom: {}}, ")  # fmt: skip
    value = base64.b64encode(b"#cloud-config").decode()
    secret = f"\napiVersion: v1\nkind: Secret\nmetadata: {{name: ci-secret}}\ndata: {{userdata: {value}}}\n"
    assert the_vm(text + secret).seeds[0].files["user-data"].reveal == b"#cloud-config"
    blocked = state(text).blocked[ObjectKey("VirtualMachine", "default", "a")]
    assert blocked[1] == (ObjectKey("Secret", "default", "ci-secret"),)


def test_class_to_pool_and_an_unknown_class_is_the_claims_fault_alone() -> None:
    text = claim("fast", extra=", storageClassName: nvme, volumeMode: Block") + claim("plain")
    policy = replace(POLICY, storage_classes={"nvme": StorageClassPolicy(pool="nvme-pool")})
    desired = resolve(declared(text), observed(), policy=policy, digest=digest)
    fast = desired.objects[ObjectKey("PersistentVolumeClaim", "default", "fast")]
    assert isinstance(fast, ResolvedVolume) and (fast.pool, fast.format) == ("nvme-pool", "raw")
    without = state(text)
    assert "settings.storageClasses" in without.invalid[ObjectKey("PersistentVolumeClaim", "default", "fast")]
    assert ObjectKey("PersistentVolumeClaim", "default", "plain") in without.objects


def test_the_class_recorded_at_creation_is_kept() -> None:
    key = ObjectKey("PersistentVolumeClaim", "default", "old")
    before = state(claim("old")).objects[key]
    live = as_if_live(before, POLICY, "r0")
    moved = resolve(
        declared(claim("old")), observed(live), policy=replace(POLICY, default_pool="elsewhere"), digest=digest
    )
    volume = moved.objects[key]
    assert isinstance(volume, ResolvedVolume) and volume.pool == "default"


def test_data_volume_sources() -> None:
    text = """
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: img}
spec:
  source: {http: {url: "http://user:pw@images.example/x.qcow2"}}
  storage: {resources: {requests: {storage: 1Gi}}}
---
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {name: copy}
spec:
  source: {pvc: {name: img}}
  pvc: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 2Gi}}}
"""
    objects = state(text).objects
    image = objects[ObjectKey("DataVolume", "default", "img")]
    copy = objects[ObjectKey("DataVolume", "default", "copy")]
    assert isinstance(image, ResolvedVolume) and image.source.kind is SourceKind.HTTP
    assert "pw" not in repr(image.applied)
    assert isinstance(copy, ResolvedVolume) and copy.source.claim == ObjectKey(
        "PersistentVolumeClaim", "default", "img"
    )
    assert copy.size_path == "spec.pvc.resources.requests.storage"


def test_networks() -> None:
    text = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: n}
spec: {config: '{"type": "bridge", "bridge": "br7", "ipam": {"type": "host-local", "subnet": "10.1.2.0/24"}}'}
"""
    key = ObjectKey("NetworkAttachmentDefinition", "default", "n")
    network = state(text).objects[key]
    assert isinstance(network, ResolvedNetwork)
    assert network.network.bridge == "br7" and not network.network.host_bridge
    assert network.network.address == "10.1.2.1/24" and network.network.dhcp_range == ("10.1.2.2", "10.1.2.254")
    host = replace(observed().host, bridges=("br7",))
    refused = resolve(declared(text), replace(observed(), host=host), policy=POLICY, digest=digest)
    assert "allowedBridges" in refused.invalid[key]
    allowed = replace(POLICY, allowed_bridges=("br7",))
    used = resolve(declared(text), replace(observed(), host=host), policy=allowed, digest=digest).objects[key]
    assert isinstance(used, ResolvedNetwork) and used.network.host_bridge and not used.network.address


def test_node_selector_puts_a_vm_and_its_claim_elsewhere() -> None:
    text = (
        vm("far", extra="nodeSelector: {kubernetes.io/hostname: host-b}")
        + claim("far-root")
        + vm("a")
        + claim("a-root")
    )
    desired = state(text)
    assert ObjectKey("VirtualMachine", "default", "far") in desired.not_here
    assert ObjectKey("PersistentVolumeClaim", "default", "far-root") in desired.not_here
    assert ObjectKey("VirtualMachine", "default", "a") in desired.objects
    assert ObjectKey("VirtualMachine", "default", "far") in desired.present


def test_what_has_the_name_of_a_claim_that_is_elsewhere_is_here() -> None:
    network = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: far-root}
spec: {config: '{"type": "bridge", "bridge": "br7"}'}
"""
    desired = state(vm("far", extra="nodeSelector: {kubernetes.io/hostname: host-b}") + claim("far-root") + network)
    key = ObjectKey("NetworkAttachmentDefinition", "default", "far-root")
    assert key in desired.objects and key not in desired.not_here


def test_an_invalid_vm_is_held_at_its_last_applied_document() -> None:
    good = vm("a") + claim("a-root")
    live = as_if_live(the_vm(good), POLICY, "r0")
    key = ObjectKey("VirtualMachine", "default", "a")
    held = resolve(declared(claim("a-root"), invalid={key: "bad"}), observed(live), policy=POLICY, digest=digest)
    assert key in held.objects and held.invalid[key] == "bad"
    assert held.objects[key].applied == the_vm(good).applied


def test_a_vm_that_lacks_a_claim_stays_blocked_when_it_only_moves_on_the_host() -> None:
    live = as_if_live(the_vm(vm("a") + claim("a-root")), POLICY, "r0")
    key = ObjectKey("VirtualMachine", "default", "a")
    disk = as_if_live(
        state(claim("a-root")).objects[ObjectKey("PersistentVolumeClaim", "default", "a-root")], POLICY, "r0"
    )
    lacking, resolver = declared(vm("a")), Resolver(POLICY, digest)
    first = resolver.update(lacking, observed(live, disk), None)
    assert key in first.objects and key in first.blocked
    moved = resolver.update(lacking, observed(replace(live, fingerprint="moved"), disk), {key})
    assert moved.blocked[key] == first.blocked[key]
    assert moved.objects[key].applied == first.objects[key].applied


def test_two_vms_with_one_mac_are_both_invalid_unless_one_has_it() -> None:
    def with_mac(name: str) -> str:
        nics = "devices:\n          interfaces: [{name: default, macAddress: '02:00:00:00:00:01'}]"
        return vm(name, extra="networks: [{name: default, pod: {}}]").replace("devices:", nics) + claim(f"{name}-root")

    both = with_mac("a") + with_mac("b")
    keys = [ObjectKey("VirtualMachine", "default", name) for name in "ab"]
    desired = state(both)
    assert set(keys) <= set(desired.invalid) and not set(keys) & set(desired.objects)
    holder = as_if_live(the_vm(with_mac("a")), POLICY, "r0")
    kept = resolve(declared(both), observed(holder), policy=POLICY, digest=digest)
    assert keys[0] in kept.objects and "VirtualMachine/default/a" in kept.invalid[keys[1]]


def test_whether_a_volume_is_encrypted_is_settled_when_it_is_made() -> None:
    text = (
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: a}\nspec:\n  storageClassName: vault\n"
        "  volumeMode: Block\n  accessModes: [ReadWriteOnce]\n  resources: {requests: {storage: 1Gi}}\n"
    )
    key = ObjectKey("PersistentVolumeClaim", "default", "a")
    plain, vault = (
        replace(POLICY, storage_classes={"vault": StorageClassPolicy(pool="default", passphrase_file=file)})
        for file in ("", "/etc/luks")
    )

    def resolved(policy: Policy, *live: LiveVolume) -> ResolvedVolume:
        found = resolve(declared(text), observed(*live), policy=policy, digest=digest).objects[key]
        assert isinstance(found, ResolvedVolume)
        return found

    fresh = resolved(vault)
    assert (fresh.encrypted, fresh.format) == (True, "qcow2")
    assert not resolved(plain).encrypted
    for encrypted in (True, False):
        marks = Marks(owner=POLICY.owner, host="host-a", revision="r", applied=None)
        live = LiveVolume(
            key=key, fingerprint="", marks=marks, pool="default", volume="v", format="qcow2", size_bytes=1 << 30,
            storage_class="vault", encrypted=encrypted,
        )  # fmt: skip
        assert {resolved(policy, live).encrypted for policy in (plain, vault)} == {encrypted}


def test_an_ordinary_users_host_has_no_networks_to_make() -> None:
    policy = replace(POLICY, user_network=True)
    nad = """
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: lan}
spec: {config: '{"type": "bridge", "bridge": "br7"}'}
---
"""
    state = resolve(declared(vm("web") + claim("web-root") + nad), observed(), policy=policy, digest=digest)
    web = state.objects[ObjectKey("VirtualMachine", "default", "web")]
    assert isinstance(web, ResolvedVm)
    assert (web.networks, [nic.network for nic in web.domain.interfaces]) == ((), ["PodNetwork/pod"])
    assert ObjectKey("PodNetwork", "", "pod") not in state.objects
    assert [found.code for found in state.trouble.values()] == ["network-needs-root"]
