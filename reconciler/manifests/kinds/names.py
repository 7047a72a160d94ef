"""The forms of names in Kubernetes. *Source*: the Kubernetes documentation on object names and labels."""

from __future__ import annotations

import base64
import binascii
import re

MAX_LABEL = 63
MAX_SUBDOMAIN = 253

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)


def fault_of_dns_label(name: str) -> str:
    """Why ``name`` is no DNS label; empty when it is one."""
    if len(name) > MAX_LABEL:
        return f"has {len(name)} characters; at most {MAX_LABEL} are allowed"
    if not _DNS_LABEL.fullmatch(name):
        return "must be lower-case letters, digits and -, and begin and end with a letter or digit"
    return ""


def fault_of_dns_subdomain(name: str) -> str:
    """Why ``name`` is no DNS subdomain (labels joined by dots); empty when it is one."""
    if len(name) > MAX_SUBDOMAIN:
        return f"has {len(name)} characters; at most {MAX_SUBDOMAIN} are allowed"
    if not _DNS_SUBDOMAIN.fullmatch(name):
        return "must be lower-case letters, digits, - and ., and begin and end with a letter or digit"
    return ""


def fault_of_qualified_name(key: str) -> str:
    """Why ``key`` is no label or annotation key (``name`` or ``prefix/name``); empty when it is one."""
    prefix, slash, name = key.rpartition("/")
    if slash and fault_of_dns_subdomain(prefix):
        return f"the part before the / {fault_of_dns_subdomain(prefix)}"
    if len(name) > MAX_LABEL:
        return f"the name has {len(name)} characters; at most {MAX_LABEL} are allowed"
    if not _QUALIFIED.fullmatch(name):
        return "the name must be letters, digits, -, _ and ., and begin and end with a letter or digit"
    return ""


def fault_of_label_value(value: str) -> str:
    """Why ``value`` is no label value; empty when it is one."""
    if len(value) > MAX_LABEL:
        return f"has {len(value)} characters; at most {MAX_LABEL} are allowed"
    if value and not _QUALIFIED.fullmatch(value):
        return "must be letters, digits, -, _ and ., and begin and end with a letter or digit"
    return ""


def fault_of_interface_name(name: str) -> str:
    """Why ``name`` cannot be that of a VM's interface or network; empty when it can. *Source*: KubeVirt's admission."""
    if len(name) > MAX_LABEL:
        return f"has {len(name)} characters; at most {MAX_LABEL} are allowed"
    return "" if _INTERFACE.fullmatch(name) else "must be letters, digits, - and _"


def is_data_key(key: str) -> bool:
    """Whether ``key`` may be a key of a Secret or ConfigMap."""
    return len(key) <= MAX_SUBDOMAIN and key not in (".", "..") and _DATA_KEY.fullmatch(key) is not None


def is_base64(text: str) -> bool:
    """Whether ``text`` is standard base64; line breaks are allowed."""
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def fault_of_file_path(path: str) -> str:
    """Why ``path`` is no absolute path of a file; empty when it is one."""
    if not path.startswith("/") or path == "/":
        return "must be the absolute path of a file"
    if any(part in ("", ".", "..") for part in path[1:].rstrip("/").split("/")):
        return "must not hold . or .. or empty parts"
    return ""
