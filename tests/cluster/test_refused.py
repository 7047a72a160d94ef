"""What the real API server refuses, and why: each reason is told so that a person can act, and no other object waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from secrets import token_hex
from typing import Any

import pytest

from nodeexec.kubevirt.errors import ApiError
from nodeexec.kubevirt.kinds import CLAIM, VM
from reconciler.manifests.load import load_blob
from reconciler.model.outcome import Outcome, Result
from reconciler.planning.resolve_cluster import resource_of_cluster
from tests.cluster.hands import Hands, wait_until
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite
from tests.cluster.webhook import Webhook
from tests.contract.builders import create, delete, digest, update

QUOTAS = "/api/v1/namespaces/{}/resourcequotas"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/{}"


def others_go_on(site: ClusterSite) -> None:
    """Another object of the same engine is applied."""
    assert site.engine.apply(create(site.network("other"))).result is Result.APPLIED


@pytest.fixture
def webhook(cluster: Cluster, namespace: str) -> Iterator[Webhook]:
    """In force for the VMs of the test's namespace."""
    if cluster.plane is None:
        pytest.skip("this cluster's admission is not ours to change")
    made = Webhook(cluster.hands, cluster.plane.authority, namespace, namespace)
    made.says = {"message": "not in force yet"}
    probe = {"apiVersion": "kubevirt.io/v1", "kind": VM, "metadata": {"name": "probe"}, "spec": {}}
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines"

    def is_in_force() -> bool:
        try:
            cluster.hands.call("POST", path, probe, {"dryRun": "All"})
        except Exception:  # noqa: BLE001 - whatever it is, it was asked
            return made.asked > 0
        return False

    wait_until(is_in_force, "the webhook is asked")
    yield made
    made.remove()


def test_a_webhook_s_no_stands_at_the_line_that_it_is_about(real_site: ClusterSite, webhook: Webhook) -> None:
    site, field = real_site, "spec.template.spec.domain.memory.guest"
    cause = {"reason": "FieldValueInvalid", "field": field, "message": "too little for this cluster"}
    webhook.says = {"code": 422, "reason": "Invalid", "message": "no", "details": {"causes": [cause]}}
    text = (
        b"apiVersion: kubevirt.io/v1\nkind: VirtualMachine\nmetadata: {name: web, namespace: NS}\nspec:\n  runStrategy: Halted\n"
        b"  template:\n    spec:\n      domain:\n        memory:\n          guest: 64Mi\n        devices: {}\n"
    ).replace(b"NS", site.namespace.encode())
    (document,) = load_blob(text, "vms/web.yaml").documents
    vm = replace(site.vm("web"), document=document)
    outcome = site.engine.apply(create(vm))
    assert outcome.result is Result.FAILED
    assert f"vms/web.yaml:10:18: {field}: too little for this cluster" in outcome.reason
    webhook.says = {"code": 403, "message": "VMs are made on Mondays"}
    outcome = site.engine.apply(create(vm))
    assert (outcome.result, "vms/web.yaml:1:" in outcome.reason) == (Result.FAILED, True)
    assert "VMs are made on Mondays" in outcome.reason
    others_go_on(site)
    webhook.says = None
    assert site.engine.apply(create(vm)).result is Result.APPLIED


def test_a_webhook_that_is_away_is_named_and_waited_for(real_site: ClusterSite, webhook: Webhook) -> None:
    site = real_site
    webhook.go_away()
    outcome = site.engine.apply(create(site.vm("web")))
    assert outcome.result is Result.RETRY
    assert "the cluster's admission webhook vm.example.org does not answer" in outcome.reason
    others_go_on(site)


def test_a_right_that_is_missing_is_named_as_the_server_misses_it(cluster: Cluster, real_site: ClusterSite) -> None:
    if cluster.plane is None:
        pytest.skip("this cluster's users are not ours to make")
    site, who = real_site, f"limited-{real_site.namespace}"
    kubeconfig = cluster.plane.kubeconfig_of(who)
    limited = site.another_engine(kubeconfig=str(kubeconfig))
    rights = [
        {"apiGroups": ["kubevirt.io"], "resources": ["virtualmachines"], "verbs": ["list", "watch", "patch"]},
        {"apiGroups": ["k8s.cni.cncf.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["persistentvolumeclaims"], "verbs": ["list", "watch"]},
    ]
    role = {"metadata": {"name": "limited"}, "rules": rights}
    subject = {"kind": "User", "name": who, "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "Role", "name": "limited", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "limited"}, "subjects": [subject], "roleRef": reference}
    site.hands.call("POST", BINDINGS.format(site.namespace, "roles"), role)
    site.hands.call("POST", BINDINGS.format(site.namespace, "rolebindings"), binding)
    try:
        vm = site.vm("web")

        wait_until(lambda: may_list(Hands(kubeconfig), site.namespace), "the rights are in force")
        made = limited.apply(create(vm))
        assert made.result is Result.FAILED
        assert f"may not create virtualmachines.kubevirt.io in namespace {site.namespace}" in made.reason
        observation = limited.observe(None)
        why = observation.why_unknown(site.data_volume("root").key)
        assert f"may not list datavolumes.cdi.kubevirt.io in namespace {site.namespace}" in why
        assert limited.apply(create(site.network("other"))).result is Result.APPLIED
    finally:
        limited.close()


def may_list(hands: Hands, namespace: str) -> bool:
    try:
        hands.list(VM, namespace)
    except ApiError:
        return False
    return True


def test_a_quota_without_room_is_said_to_be_one(real_site: ClusterSite) -> None:
    site = real_site
    hard = {"persistentvolumeclaims": "1"}
    site.hands.call("POST", QUOTAS.format(site.namespace), {"metadata": {"name": "few"}, "spec": {"hard": hard}})
    status = {"status": {"hard": hard, "used": {"persistentvolumeclaims": "1"}}}
    path = f"{QUOTAS.format(site.namespace)}/few/status"
    site.hands.call("PATCH", path, status, kind="application/merge-patch+json")

    def refused() -> Outcome | None:
        # Until the server knows of the quota, claims are made.
        number = len(site.hands.list(CLAIM, site.namespace))
        outcome = site.engine.apply(create(site.claim(f"data-{number}")))
        return None if outcome.result is Result.APPLIED else outcome

    outcome = wait_until(refused, "the quota is in force")
    assert outcome.result is Result.FAILED
    assert "a quota of the namespace leaves no room" in outcome.reason
    assert "exceeded quota: few" in outcome.reason
    others_go_on(site)


def test_a_namespace_that_ends_or_is_not_there(real_site: ClusterSite) -> None:
    site, ending = real_site, f"{real_site.namespace}-ending"
    site.hands.make_namespace(ending)
    site.hands.call("DELETE", f"/api/v1/namespaces/{ending}")
    elsewhere = replace(site, namespace=ending)
    try:
        vms = (elsewhere.vm(f"web-{number}") for number in count(1))
        outcome = wait_until(
            lambda: (found := elsewhere.engine.apply(create(next(vms)))).result is not Result.APPLIED and found,
            "it ends",
        )
        assert outcome.result is Result.RETRY
        assert "its namespace is being deleted" in outcome.reason
    finally:
        elsewhere.engine.close()
    nowhere = replace(site, namespace="nowhere-at-all")
    try:
        outcome = nowhere.engine.apply(create(nowhere.vm("web")))
        assert outcome.result is Result.RETRY
        assert "there is no such namespace" in outcome.reason
    finally:
        nowhere.engine.close()
    others_go_on(site)


def test_a_finalizer_that_nobody_takes_off_is_named_and_nothing_waits_for_it(real_site: ClusterSite) -> None:
    site, net = real_site, real_site.network("net")
    site.engine.apply(create(net))
    held = {"metadata": {"finalizers": ["example.org/never"]}}
    site.hands.patch(net.key.kind, site.namespace, "net", held)
    live: Any = wait_until(
        lambda: (seen := site.look(net.key)) and "never" in str(seen.served) and seen, "the finalizer is seen"
    )
    outcome = site.engine.apply(delete(live))
    assert outcome.result is Result.PROGRESSING
    assert "example.org/never" in outcome.reason
    again = site.look(net.key)
    before = site.writes()
    assert again is not None
    assert site.engine.apply(delete(again)).result is Result.PROGRESSING
    assert site.writes() == before
    others_go_on(site)


def config_map(site: ClusterSite, text: str) -> Any:
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: big, namespace: {site.namespace}}}\ndata:\n  text: {text}\n"
    (document,) = load_blob(manifest.encode(), "vms/big.yaml").documents
    return resource_of_cluster(document, digest)


def test_a_large_object_is_applied_and_one_that_is_too_large_is_told(real_site: ClusterSite) -> None:
    site = real_site
    site.engine.observe(None)
    large = config_map(site, "a large text " * 30_000)
    assert site.engine.apply(create(large)).result is Result.APPLIED
    live = site.look(large.key)
    assert live is not None
    assert live.marks is not None
    assert live.marks.applied == large.applied
    assert site.engine.compare(large, live) == ()
    assert site.engine.apply(update(large, live)).result is Result.UNCHANGED
    outcome = site.engine.apply(update(config_map(site, "n" + token_hex(250_000)), live))
    assert outcome.result is Result.FAILED
    assert "vms/big.yaml:1:" in outcome.reason
    assert "256 KiB of annotations" in outcome.reason
    others_go_on(site)


def test_a_field_that_the_server_does_not_know_stands_at_its_line(real_site: ClusterSite) -> None:
    site = real_site
    text = f"apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: {site.namespace}}}\nspec:\n  selectr: {{app: web}}\n"
    (document,) = load_blob(text.encode(), "vms/service.yaml").documents
    site.engine.observe(None)
    outcome = site.engine.apply(create(resource_of_cluster(document, digest)))
    assert outcome.result is Result.FAILED
    assert "vms/service.yaml:5:12: spec.selectr: no such field" in outcome.reason
