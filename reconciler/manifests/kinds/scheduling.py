"""Rules for where a VM may run: node selector, affinity, tolerations, topology spread.

*Source*: Kubernetes' validation of pods, which KubeVirt's admission repeats.
"""

from __future__ import annotations

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import (
    fault_of_dns_label,
    fault_of_dns_subdomain,
    fault_of_label_value,
    fault_of_qualified_name,
)
from reconciler.manifests.kinds.vm_paths import TEMPLATE, Section
from reconciler.model.document import FieldPath

WEIGHTS = range(1, 101)
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)

_LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def check_node_selector(findings: Findings, vmi: Section) -> None:
    """Keys and values are those of labels."""
    for key, value in vmi["nodeSelector"].items():
        fault = fault_of_qualified_name(key) or fault_of_label_value(value)
        if fault:
            path = (*TEMPLATE, "nodeSelector", key)
            findings.add("vm-node-selector", path, f"nodeSelector {key[:80]!r}: {fault}", at_key=True)


def check_tolerations(findings: Findings, vmi: Section) -> None:
    """A toleration's key, operator, value and time fit together."""
    for index, one in enumerate(vmi["tolerations"]):
        path = (*TEMPLATE, "tolerations", index)
        key, exists = one.get("key", ""), one.get("operator") == "Exists"
        if key and (fault := fault_of_qualified_name(key)):
            findings.add("vm-toleration", (*path, "key"), f"the key {key[:80]!r}: {fault}")
        if not key and not exists:
            findings.add("vm-toleration", path, "without a key every taint is meant", "add operator: Exists, or a key")
        if exists and one.get("value"):
            findings.add("vm-toleration", (*path, "value"), "Exists asks for no value", "remove value")
        elif not exists and (fault := fault_of_label_value(one.get("value", ""))):
            findings.add("vm-toleration", (*path, "value"), f"the value {fault}")
        if "tolerationSeconds" in one and one.get("effect") != "NoExecute":
            text = "tolerationSeconds counts for the effect NoExecute only"
            findings.add("vm-toleration", (*path, "tolerationSeconds"), text, "add effect: NoExecute")


def check_topology_spread(findings: Findings, vmi: Section) -> None:
    """Each constraint is well formed, and none stands twice."""
    seen: set[tuple[str, str]] = set()
    for index, one in enumerate(vmi["topologySpreadConstraints"]):
        path = (*TEMPLATE, "topologySpreadConstraints", index)
        for field in ("maxSkew", "minDomains"):
            if one.get(field, 1) < 1:
                findings.add("vm-topology-spread", (*path, field), f"{field} must be at least 1")
        if "minDomains" in one and one["whenUnsatisfiable"] != "DoNotSchedule":
            text = "minDomains counts with whenUnsatisfiable: DoNotSchedule only"
            findings.add("vm-topology-spread", (*path, "minDomains"), text)
        if fault := fault_of_qualified_name(one["topologyKey"]):
            findings.add("vm-topology-spread", (*path, "topologyKey"), f"topologyKey: {fault}")
        pair = (one["topologyKey"], one["whenUnsatisfiable"])
        if pair in seen:
            text = f"a constraint of {pair[0]} and {pair[1]} stands above"
            findings.add("vm-topology-spread", path, text, "keep one")
        seen.add(pair)
        check_label_selector(findings, one.get("labelSelector", {}), (*path, "labelSelector"), "vm-topology-spread")


def check_affinity(findings: Findings, vmi: Section) -> None:
    """Node affinity, and affinity to and from other workloads."""
    affinity, path = vmi["affinity"], (*TEMPLATE, "affinity")
    if "nodeAffinity" in affinity:
        _check_node_affinity(findings, affinity["nodeAffinity"], (*path, "nodeAffinity"))
    for field in ("podAffinity", "podAntiAffinity"):
        for index, term in enumerate(affinity.get(field, {}).get(REQUIRED, ())):
            _check_pod_term(findings, term, (*path, field, REQUIRED, index))
        for index, one in enumerate(affinity.get(field, {}).get(PREFERRED, ())):
            _check_weight(findings, one, (*path, field, PREFERRED, index))
            _check_pod_term(findings, one["podAffinityTerm"], (*path, field, PREFERRED, index, "podAffinityTerm"))


def check_label_selector(findings: Findings, selector: Section, path: FieldPath, code: str) -> None:
    """``matchLabels`` and ``matchExpressions`` of one selector."""
    for key, value in selector.get("matchLabels", {}).items():
        if fault := fault_of_qualified_name(key) or fault_of_label_value(value):
            findings.add(code, (*path, "matchLabels", key), f"the label {key[:80]!r}: {fault}", at_key=True)
    for index, one in enumerate(selector.get("matchExpressions", ())):
        place = (*path, "matchExpressions", index)
        if one["operator"] not in _LABEL_OPERATORS:
            text = f"{one['operator'][:40]!r} is not an operator for labels"
            findings.add(code, (*place, "operator"), text, f"take one of {', '.join(_LABEL_OPERATORS)}")
            continue
        _check_expression(findings, one, place, code)


def _check_expression(findings: Findings, one: Section, path: FieldPath, code: str) -> None:
    """A key, and as many values as the operator takes."""
    operator, values = one["operator"], one.get("values", ())
    if fault := fault_of_qualified_name(one["key"]):
        findings.add(code, (*path, "key"), f"the key {one['key'][:80]!r}: {fault}")
    if operator in ("In", "NotIn") and not values:
        findings.add(code, path, f"{operator} needs values", "add values")
    elif operator in ("Exists", "DoesNotExist") and values:
        findings.add(code, (*path, "values"), f"{operator} takes no values", "remove values")
    elif operator in ("Gt", "Lt") and (len(values) != 1 or not values[0].lstrip("-").isdecimal()):
        findings.add(code, path, f"{operator} compares with one whole number", "write one value")


def _check_node_affinity(findings: Findings, affinity: Section, path: FieldPath) -> None:
    required = affinity.get(REQUIRED)
    if required is not None:
        if not required["nodeSelectorTerms"]:
            findings.add("vm-affinity", (*path, REQUIRED), "no term is given", "add a nodeSelectorTerm")
        for index, term in enumerate(required["nodeSelectorTerms"]):
            _check_node_term(findings, term, (*path, REQUIRED, "nodeSelectorTerms", index))
    for index, one in enumerate(affinity.get(PREFERRED, ())):
        _check_weight(findings, one, (*path, PREFERRED, index))
        _check_node_term(findings, one["preference"], (*path, PREFERRED, index, "preference"))


def _check_node_term(findings: Findings, term: Section, path: FieldPath) -> None:
    for index, one in enumerate(term.get("matchExpressions", ())):
        _check_expression(findings, one, (*path, "matchExpressions", index), "vm-affinity")
    for index, one in enumerate(term.get("matchFields", ())):
        place = (*path, "matchFields", index)
        if one["key"] != "metadata.name" or one["operator"] not in ("In", "NotIn") or len(one.get("values", ())) != 1:
            text = "a node's only field is metadata.name, which is In or NotIn one value"
            findings.add("vm-affinity", place, text, "use matchExpressions for labels")


def _check_pod_term(findings: Findings, term: Section, path: FieldPath) -> None:
    if fault := fault_of_qualified_name(term["topologyKey"]):
        findings.add("vm-affinity", (*path, "topologyKey"), f"topologyKey: {fault}")
    for field in ("labelSelector", "namespaceSelector"):
        check_label_selector(findings, term.get(field, {}), (*path, field), "vm-affinity")
    for index, namespace in enumerate(term.get("namespaces", ())):
        if fault := fault_of_dns_label(namespace):
            findings.add("vm-affinity", (*path, "namespaces", index), f"the namespace {namespace[:80]!r} {fault}")


def _check_weight(findings: Findings, one: Section, path: FieldPath) -> None:
    if one["weight"] not in WEIGHTS:
        findings.add("vm-affinity", (*path, "weight"), f"the weight {one['weight']} is not between 1 and 100")


def check_priority_class(findings: Findings, vmi: Section) -> None:
    """The name of a priority class."""
    name = vmi["priorityClassName"]
    if name and (fault := fault_of_dns_subdomain(name)):
        findings.add("vm-priority-class", (*TEMPLATE, "priorityClassName"), f"the priority class {name[:80]!r} {fault}")
