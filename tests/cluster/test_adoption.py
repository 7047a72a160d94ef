"""VMs of a cluster that others made: taken over as they are, refused where two would fight over them, exported, given back."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from nodeexec.kubevirt.kinds import CLAIM, DATA_VOLUME, INSTANCE, VM
from reconciler.model.adoption import Adoption, Takeover
from reconciler.model.outcome import Outcome, Result
from reconciler.model.resolved import ResolvedVm, ResolvedVolume
from reconciler.planning.adoption import Findings, findings, match, with_kept
from reconciler.planning.matching import Matching
from reconciler.planning.resolve_cluster import vm_of_cluster
from reconciler.planning.resolve_vm import References, VolumePlace
from tests.cluster.hands import wait_until
from tests.cluster.place import sample_place
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite
from tests.contract.builders import digest, document, update

SPEC: dict[str, Any] = {
    "runStrategy": "Always",
    "template": {
        "metadata": {"labels": {"app": "shop"}},
        "spec": {
            "domain": {
                "memory": {"guest": "64Mi"},
                "resources": {},
                "devices": {
                    "disks": [{"name": "root", "disk": {"bus": "virtio"}}],
                    "interfaces": [{"name": "default", "masquerade": {}}],
                },
            },
            "networks": [{"name": "default", "pod": {}}],
            "volumes": [{"name": "root", "persistentVolumeClaim": {"claimName": "root"}}],
        },
    },
}
FILLED = {"architecture": "amd64", "evictionStrategy": "LiveMigrate"}


def stranger(site: ClusterSite, metadata: Mapping[str, Any] | None = None) -> None:
    """A running VM on a claim, made with kubectl, with what the platform filled in."""
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}}
    named = {"name": "root", "namespace": site.namespace}
    site.hands.create({"apiVersion": "v1", "kind": CLAIM, "metadata": named, "spec": storage})
    spec = copy.deepcopy(SPEC)
    spec["template"]["spec"] |= FILLED
    spec["template"]["spec"]["domain"]["machine"] = {"type": "pc-q35-rhel9.4.0"}
    about = {**(metadata or {}), "name": "web", "namespace": site.namespace}
    site.hands.create({"apiVersion": "kubevirt.io/v1", "kind": VM, "metadata": about, "spec": spec})
    site.hands.run_instance(site.namespace, "web")
    site.caught_up(site.claim("root").key)
    site.caught_up(_key(site))


def manifest(site: ClusterSite, memory: str = "64Mi", **changes: Any) -> ResolvedVm:
    """What a user would write for it."""
    spec = copy.deepcopy(SPEC)
    spec["template"]["spec"]["domain"]["memory"]["guest"] = memory
    spec["template"]["spec"] |= changes
    made = document(VM, site.namespace, "web", spec, {"gitvirt.io/adopt": "web"})
    places = {key: VolumePlace.of(volume, "") for key, volume in site.volumes.items()}
    references = References(documents={}, volumes=places, networks=frozenset())
    return vm_of_cluster(made, references, policy=site.policy, digest=digest)


def _key(site: ClusterSite) -> Any:
    return manifest(site).key


def between(site: ClusterSite, wanted: ResolvedVm) -> tuple[Matching, Findings]:
    """What stands between a manifest and the VM."""
    found = site.engine.survey(f"{site.namespace}/web")
    assert found is not None
    matching = match(wanted, site.volumes, found, ())
    live = site.engine.as_adopted(matching.adoption)
    assert live is not None
    return matching, findings(wanted, matching, found, live, site.engine.compare, datetime.now(UTC))


def adopted(site: ClusterSite, wanted: ResolvedVm) -> Outcome:
    """The VM, taken over without anything in the way."""
    matching, found = between(site, wanted)
    assert found.obstacles == ()
    adoption = with_kept(matching.adoption, found.kept)
    again = site.engine.as_adopted(adoption)
    assert again is not None
    return taken_over(site, adoption, wanted, matching.claims, again.fingerprint)


def taken_over(
    site: ClusterSite, adoption: Adoption, wanted: ResolvedVm, claims: tuple[ResolvedVolume, ...], expected: str
) -> Outcome:
    """What the engine answers to it."""
    takeover = Takeover(adoption=adoption, wanted=wanted, claims=claims, revision="4" * 40, expected=expected)
    return site.engine.adopt(takeover)


def served(site: ClusterSite, kind: str, name: str) -> dict[str, Any]:
    """An object as the server has it, without what says who wrote it."""
    found = site.hands.get(kind, site.namespace, name)
    assert found is not None
    found["metadata"].pop("managedFields", None)
    return found


def test_a_vm_made_with_kubectl_is_taken_over_with_its_claim_and_nothing_else_of_it_changes(site: ClusterSite) -> None:
    stranger(site, {"annotations": {"team": "shop"}})
    before = {kind: served(site, kind, name) for kind, name in ((VM, "web"), (CLAIM, "root"), (INSTANCE, "web"))}
    wanted = manifest(site)
    assert between(site, wanted)[1].differences == ()
    outcome = adopted(site, wanted)
    assert (outcome.result, len(outcome.steps)) == (Result.APPLIED, 2)
    after = {kind: served(site, kind, name) for kind, name in ((VM, "web"), (CLAIM, "root"), (INSTANCE, "web"))}
    assert after[INSTANCE] == before[INSTANCE]
    for kind in (VM, CLAIM):
        assert after[kind]["spec"] == before[kind]["spec"]
        assert after[kind]["metadata"]["uid"] == before[kind]["metadata"]["uid"]
        assert after[kind]["metadata"]["labels"]["gitvirt.io/owner"] == site.policy.owner
    assert after[VM]["metadata"]["annotations"]["team"] == "shop"
    objects = site.engine.observe(None).objects
    assert set(objects) == {wanted.key, site.claim("root").key}
    assert [site.engine.compare(one, objects[one.key]) for one in (wanted, site.claim("root"))] == [(), ()]
    adoption = between(site, wanted)[0].adoption
    assert taken_over(site, adoption, wanted, (), "").result is Result.UNCHANGED


def test_what_git_changes_afterwards_is_written_and_the_rest_stays_as_it_was_found(site: ClusterSite) -> None:
    stranger(site)
    adopted(site, manifest(site))
    bigger = manifest(site, memory="96Mi")
    live = site.look(bigger.key)
    assert live is not None
    outcome = site.engine.apply(update(bigger, live))
    assert outcome.result is Result.APPLIED, outcome
    template = served(site, VM, "web")["spec"]["template"]["spec"]
    assert template["domain"]["memory"] == {"guest": "96Mi"}
    assert "firmware" not in template["domain"]
    assert "macAddress" not in template["domain"]["devices"]["interfaces"][0]
    assert {name: template[name] for name in FILLED} == FILLED
    assert template["domain"]["machine"] == {"type": "pc-q35-rhel9.4.0"}
    live = site.look(bigger.key)
    assert live is not None
    assert site.engine.compare(bigger, live) == ()


def test_differences_are_told_and_come_about_once_they_were_accepted(site: ClusterSite) -> None:
    stranger(site)
    other = manifest(site, memory="96Mi")
    found = between(site, other)[1]
    assert [d.path for d in found.differences] == ["spec.template.spec.domain.memory.guest"]
    assert len(found.digest) == 12
    assert adopted(site, other).result is Result.APPLIED
    live = site.look(other.key)
    assert live is not None
    assert [d.path for d in site.engine.compare(other, live)] == ["spec.template.spec.domain.memory.guest"]
    assert site.engine.apply(update(other, live)).result is Result.APPLIED


def test_what_the_vm_has_elsewhere_or_more_is_in_the_way(site: ClusterSite) -> None:
    stranger(site)
    moved = manifest(site, volumes=[{"name": "root", "persistentVolumeClaim": {"claimName": "other"}}])
    assert any("re-pointed to other" in text for text in between(site, moved)[1].obstacles)
    site.volumes.clear()
    site.data_volume("root")
    assert any("declare that" in text for text in between(site, manifest(site))[1].obstacles)
    bare = manifest(site, volumes=[], networks=[])
    assert sum("declare it" in text for text in between(site, bare)[1].obstacles) == 2


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:kubevirt.io/VirtualMachine:a/web"}}, "Argo CD"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "Flux"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "Helm"),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "pool.kubevirt.io/v1", "kind": "VirtualMachinePool", "name": "shop", "uid": "1", "controller": True}
                ]
            },
            "VirtualMachinePool shop",
        ),
        (
            {"labels": {"gitvirt.io/owner": "somebody"}, "annotations": {"gitvirt.io/tracking": "VirtualMachine/NAMESPACE/web"}},
            "owned by 'somebody'",
        ),
    ],
)  # fmt: skip
def test_what_another_manages_is_refused(site: ClusterSite, metadata: dict[str, Any], who: str) -> None:
    annotations = metadata.get("annotations", {})
    told = {name: value.replace("NAMESPACE", site.namespace) for name, value in annotations.items()}
    stranger(site, {**metadata, "annotations": told})
    obstacles = between(site, manifest(site))[1].obstacles
    assert any(who in text for text in obstacles), obstacles


def test_a_claim_of_another_owner_is_in_the_way(site: ClusterSite) -> None:
    stranger(site)
    marks = {
        "labels": {"gitvirt.io/owner": "somebody"},
        "annotations": {"gitvirt.io/tracking": f"{CLAIM}/{site.namespace}/root"},
    }
    site.hands.patch(CLAIM, site.namespace, "root", {"metadata": marks})
    wait_until(
        lambda: any("owned by 'somebody'" in text for text in between(site, manifest(site))[1].obstacles), "told"
    )


def test_a_vm_that_is_let_go_of_takes_its_claims_with_it(site: ClusterSite) -> None:
    stranger(site)
    adopted(site, manifest(site))
    assert site.engine.release(manifest(site).key).result is Result.APPLIED
    assert site.engine.observe(None).objects == {}
    for kind, name in ((VM, "web"), (CLAIM, "root")):
        assert "gitvirt" not in yaml.safe_dump(served(site, kind, name))


def test_a_disk_of_a_template_is_adopted_as_its_data_volume(site: ClusterSite) -> None:
    stranger(site)
    site.hands.create(
        {
            "apiVersion": "cdi.kubevirt.io/v1beta1",
            "kind": DATA_VOLUME,
            "metadata": {"name": "root", "namespace": site.namespace},
            "spec": {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "16Mi"}}}},
        }
    )
    site.volumes.clear()
    root = site.data_volume("root")
    wait_until(lambda: site.look(root.key), "the DataVolume is seen")
    assert adopted(site, manifest(site)).result is Result.APPLIED
    assert set(site.engine.observe(None).objects) == {root.key, _key(site)}


def test_an_export_is_committed_and_adopted_as_it_is(site: ClusterSite, either: Cluster, tmp_path: Path) -> None:
    tracked = {"annotations": {"team": "shop", "kubevirt.io/latest-observed-api-version": "v1"}}
    stranger(site, tracked)
    place = sample_place(tmp_path, either, site.namespace)
    shutil.rmtree(place.home.repository / "vms")
    for path in place.home.repository.glob("*/"):
        if path.name != ".git":
            shutil.rmtree(path)
    place.gitvirt("export", "web", "-n", site.namespace, "-o", str(place.home.repository / "vms"))
    text = (place.home.repository / "vms" / "web.yaml").read_text()
    assert f"`gitvirt adopt {site.namespace}/web` takes it over as it is" in text
    told = list(yaml.safe_load_all(text))
    assert [one["kind"] for one in told] == [VM, CLAIM]
    vm, claim = told
    assert vm["metadata"]["annotations"] == {"gitvirt.io/adopt": "web", "team": "shop"}
    assert vm["spec"]["template"]["spec"]["domain"]["machine"] == {"type": "pc-q35-rhel9.4.0"}
    assert "resources" not in vm["spec"]["template"]["spec"]["domain"]
    assert "status" not in vm
    assert set(claim["spec"]) <= {"accessModes", "resources", "storageClassName"}
    place.commit("the VM that is there")
    assert "in the way" not in place.gitvirt("adopt", "web")
    place.gitvirt("adopt", "web", code=16)
    plan = json.loads(place.gitvirt("plan", "-o", "json"))
    assert (plan["changes"], plan["held"], plan["blocked"]) == ([], [], [])
    place.gitvirt("release", "web", "-n", site.namespace)
    for kind, name in ((VM, "web"), (CLAIM, "root")):
        assert "gitvirt" not in yaml.safe_dump(served(site, kind, name))
