"""Kinds that gitvirt does not know: applied as they are written, silent afterwards, told when the cluster lacks them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodeexec.kubevirt.errors import ApiError
from reconciler.manifests.load import load_blob
from reconciler.model.document import Document
from reconciler.model.live import LiveResource
from reconciler.model.outcome import Result
from reconciler.model.resolved import ResolvedResource
from reconciler.planning.resolve_cluster import resource_of_cluster
from tests.cluster.crds import minimal
from tests.cluster.hands import wait_until
from tests.cluster.place import place_of
from tests.cluster.planes import Cluster
from tests.cluster.site import ClusterSite
from tests.contract.builders import create, delete, digest, update

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: said}\ndata: {a: b}\n"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NAMESPACE}
spec:
  selector: {app: web}
  ports: [{port: 80}]
"""
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: NAMESPACE-reader}
rules:
- {apiGroups: [""], resources: [pods], verbs: [get]}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: NAMESPACE}
stringData: {password: PASSWORD}
"""


def wanted(text: str, site: ClusterSite, **words: str) -> ResolvedResource:
    for word, value in {"NAMESPACE": site.namespace, **words}.items():
        text = text.replace(word, value)
    (document,) = load_blob(text.encode(), "other.yaml").documents
    return resource_of_cluster(document, digest)


@pytest.mark.parametrize("text", [SERVICE, ROLE])
def test_they_are_applied_and_silent_in_a_second_life(real_site: ClusterSite, text: str) -> None:
    site, thing = real_site, wanted(text, real_site)
    site.engine.observe(None)
    assert site.look(thing.key) is None
    assert site.engine.apply(create(thing)).result is Result.APPLIED
    live = site.look(thing.key)
    assert isinstance(live, LiveResource)
    assert site.engine.compare(thing, live) == ()
    again = site.another_engine()
    try:
        seen = again.observe([thing.key]).objects[thing.key]
        assert again.compare(thing, seen) == ()
        assert thing.key in again.observe(None).objects
        assert again.apply(update(thing, seen)).result is Result.UNCHANGED
        assert again.apply(delete(seen)).result is Result.APPLIED
        assert again.observe([thing.key]).objects == {}
    finally:
        again.close()


def test_a_kind_that_nobody_serves(site: ClusterSite) -> None:
    site.engine.observe(None)
    thing = wanted("apiVersion: x.example.org/v1\nkind: Thing\nmetadata: {name: a, namespace: NAMESPACE}\n", site)
    outcome = site.engine.apply(create(thing))
    assert outcome.result is Result.RETRY
    assert "the cluster has no kind Thing (x.example.org/v1)" in outcome.reason


def test_a_secret_is_applied_compared_and_never_shown(real_site: ClusterSite) -> None:
    site = real_site
    site.engine.observe(None)
    first, second = (wanted(SECRET, site, PASSWORD=text) for text in ("hunter2", "hunter3"))
    assert site.engine.apply(create(first)).result is Result.APPLIED
    wait_until(lambda: not site.engine.observe([first.key]).is_unknown(first.key), "Secrets are listed")
    live: Any = site.look(first.key)
    assert site.engine.compare(first, live) == ()
    found = site.engine.compare(second, live)
    assert [one.path for one in found] == ["data.password"]
    assert "hunter" not in repr((live, found, site.engine.document_of(live), site.engine.describe(first)))
    assert site.engine.apply(update(second, live)).result is Result.APPLIED
    assert site.engine.compare(second, site.look(second.key)) == ()


@pytest.mark.parametrize("part", ["stringData: {password: hunter2}", "data: {password: aHVudGVyMg==}"])
def test_a_secret_that_is_held_keeps_its_values_when_the_rest_is_put_right(real_site: ClusterSite, part: str) -> None:
    """Its manifest is not at hand: of its values the last applied document has digests."""
    site = real_site
    text = SECRET.replace("stringData: {password: PASSWORD}", part).replace("{name:", "{labels: {team: shop}, name:")
    first = wanted(text, site)
    assert site.engine.apply(create(first)).result is Result.APPLIED
    wait_until(lambda: not site.engine.observe([first.key]).is_unknown(first.key), "Secrets are listed")
    masked = {"apiVersion": "v1", "kind": "Secret", **first.applied}
    document = Document(key=first.key, api_version="v1", body=masked, digest="held", file="other.yaml")
    held = replace(first, document=document)
    assert "hunter2" not in repr(masked)
    site.hands.patch("Secret", site.namespace, "login", {"metadata": {"labels": {"team": None}}}, manager="gitvirt")
    live = wait_until(lambda: site.engine.compare(held, site.look(held.key)) and site.look(held.key), "it is seen")
    outcome = site.engine.apply(update(held, live))
    assert outcome.result is Result.APPLIED, outcome
    there = site.hands.get("Secret", site.namespace, "login")
    assert there is not None
    assert (there["data"], there["metadata"]["labels"]["team"]) == ({"password": "aHVudGVyMg=="}, "shop")


def test_somebody_else_s_object_is_not_taken(real_site: ClusterSite) -> None:
    site, thing = real_site, wanted(SERVICE, real_site)
    site.engine.observe(None)
    body = {**thing.document.body, "metadata": {"name": "web", "namespace": site.namespace}}
    site.hands.call("POST", f"/api/v1/namespaces/{site.namespace}/services", body)
    assert site.engine.apply(create(thing)).result is Result.REFUSED
    try:
        site.hands.call("DELETE", f"/api/v1/namespaces/{site.namespace}/services/web")
    except ApiError as error:
        assert error.status == 404


def test_all_means_other_kinds_too(tmp_path: Path, emulated: Cluster) -> None:
    emulated.hands.make_namespace("all-kinds")
    place = place_of(tmp_path, emulated, "all-kinds", {"map.yaml": MAP})
    place.gitvirt("apply")
    assert place.gitvirt("get", "all", "-o", "name").split() == ["ConfigMap/all-kinds/said"]


def test_a_pool_that_left_git_while_nobody_looked_is_shown_as_left_behind(
    tmp_path: Path, cluster: Cluster, namespace: str
) -> None:
    if cluster.plane is None:
        pytest.skip("this cluster's kinds are not ours to make")
    group, plural = "pool.kubevirt.io", "virtualmachinepools"
    cluster.hands.serve([minimal(group, "v1beta1", "VirtualMachinePool", plural, status=True)])
    try:
        pool = (
            f"apiVersion: {group}/v1beta1\nkind: VirtualMachinePool\nmetadata: {{name: farm}}\nspec: {{replicas: 2}}\n"
        )
        place = place_of(tmp_path, cluster, namespace, {"pool.yaml": pool, "map.yaml": MAP})
        assert "applied" in place.gitvirt("apply")
        place.home.commit({"pool.yaml": None})
        plan = place.plan()
        assert (plan["changes"], plan["held"]) == ([], [])
        assert [one["code"] for one in plan["notes"]] == ["resource-kept"]
    finally:
        cluster.hands.remove_definition(f"{plural}.{group}", f"/apis/{group}/v1beta1/{plural}")
