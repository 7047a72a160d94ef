"""Rules for how a guest is called and how it finds others: host name, subdomain, DNS."""

from __future__ import annotations

from ipaddress import ip_address

from reconciler.manifests.kinds.findings import Findings
from reconciler.manifests.kinds.names import fault_of_dns_label, fault_of_dns_subdomain
from reconciler.manifests.kinds.vm_paths import TEMPLATE, Section
from reconciler.model.document import FieldPath

MAX_NAMESERVERS = 3
MAX_SEARCHES, MAX_SEARCH_CHARACTERS = 6, 256

_CONFIG: FieldPath = (*TEMPLATE, "dnsConfig")


def check_hostname(findings: Findings, vmi: Section) -> None:
    """A host name is one DNS label."""
    if vmi["hostname"] and (fault := fault_of_dns_label(vmi["hostname"])):
        findings.add("vm-hostname-invalid", (*TEMPLATE, "hostname"), f"hostname {fault}")


def check_subdomain(findings: Findings, vmi: Section) -> None:
    """A subdomain is one or more DNS labels."""
    if vmi["subdomain"] and (fault := fault_of_dns_subdomain(vmi["subdomain"])):
        findings.add("vm-subdomain-invalid", (*TEMPLATE, "subdomain"), f"subdomain {fault}")


def check_dns_policy(findings: Findings, vmi: Section) -> None:
    """Without the policy of others, name servers are needed."""
    if vmi["dnsPolicy"] == "None" and not vmi.get("dnsConfig", {}).get("nameservers"):
        text = "dnsPolicy is None, and dnsConfig names no name server"
        findings.add("vm-dns-config", (*TEMPLATE, "dnsPolicy"), text, "add dnsConfig.nameservers")


def check_dns_config(findings: Findings, vmi: Section) -> None:
    """Few name servers that are addresses, few search domains that are domains."""
    config = vmi["dnsConfig"]
    servers, searches = config.get("nameservers", ()), config.get("searches", ())
    if len(servers) > MAX_NAMESERVERS:
        text = f"{len(servers)} name servers are more than the {MAX_NAMESERVERS} that guests ask"
        findings.add("vm-dns-config", (*_CONFIG, "nameservers"), text)
    for index, server in enumerate(servers):
        try:
            ip_address(server)
        except ValueError:
            path = (*_CONFIG, "nameservers", index)
            findings.add("vm-dns-config", path, f"{server[:40]!r} is not an IP address")
    if len(searches) > MAX_SEARCHES or len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        text = f"more than {MAX_SEARCHES} search domains, or {MAX_SEARCH_CHARACTERS} characters of them"
        findings.add("vm-dns-config", (*_CONFIG, "searches"), text)
    for index, search in enumerate(searches):
        if fault := fault_of_dns_subdomain(search.removesuffix(".")):
            findings.add("vm-dns-config", (*_CONFIG, "searches", index), f"the search domain {search[:80]!r} {fault}")
    for index, option in enumerate(config.get("options", ())):
        if not option.get("name"):
            findings.add("vm-dns-config", (*_CONFIG, "options", index), "the option has no name")


def check_grace_period(findings: Findings, vmi: Section) -> None:
    """A shutdown takes no negative time."""
    seconds = vmi["terminationGracePeriodSeconds"]
    if seconds < 0:
        path = (*TEMPLATE, "terminationGracePeriodSeconds")
        findings.add("vm-grace-period", path, f"{seconds} seconds are less than none")
