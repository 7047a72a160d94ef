"""Where the API server is and who we are there: kubeconfig and context, or the service account of a pod.

A connection is verified or refused: what is written holds Secrets, and what is read decides about VMs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from kubernetes import client, config
from kubernetes.config import kube_config
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.dateutil import parse_rfc3339
from urllib3.util import make_headers

from nodeexec.kubevirt.exec_plugin import exec_credential
from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.errors import EngineError

_IN_POD = "KUBERNETES_SERVICE_HOST"
_official: Any = kube_config
_read_time: Any = parse_rfc3339
_SENSELESS = (ConfigException, OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError)
"""What the official client raises of files that make no sense."""


def connection_of(settings: KubevirtSettings) -> Any:
    """A ``client.Configuration``. Tokens that expire are renewed by it: service account files are read again each minute,
    plugins of a kubeconfig are asked again when what they gave is over.

    Raises:
        EngineError: no file, no such context, a file that makes no sense, a plugin that gives nothing, or a connection that nothing protects.
    """
    made = client.Configuration()
    in_pod: Any = config.load_incluster_config
    try:
        if not settings.kubeconfig and not settings.context and os.environ.get(_IN_POD):
            in_pod(client_configuration=made)
        else:
            _load(settings, made)
    except _SENSELESS as error:
        raise EngineError(f"{_named(settings)}: {_said(error)}. Set engine.kubevirt.kubeconfig and context.") from error
    _require_protection(settings, made)
    asked_by = urlsplit(made.proxy or "")
    if asked_by.username:
        # Of an address with a name and password the official client sends neither.
        known = f"{unquote(asked_by.username)}:{unquote(asked_by.password or '')}"
        made.proxy_headers = make_headers(proxy_basic_auth=known)
    return made


class _Loader(_official.KubeConfigLoader):  # type: ignore[misc]  # the official client has no types
    """The official loader, but for plugins: its own runs them without a time limit, and goes on without credentials when they fail."""

    def _load_from_exec_plugin(self) -> bool | None:
        if "exec" not in self._user:
            return None
        spec: Mapping[str, Any] = self._user["exec"].value
        cluster: Mapping[str, Any] | None = self._cluster.value if spec.get("provideClusterInfo") else None
        status = exec_credential(spec, cluster, self._get_base_path(self._cluster.path))
        if status.get("token"):
            self.token = f"Bearer {status['token']}"
        else:
            self.cert_file, self.key_file = (
                _official.FileOrData(status, None, data_key_name=name, base64_file_content=False).as_file()
                for name in ("clientCertificateData", "clientKeyData")
            )
        if status.get("expirationTimestamp"):
            self.expiry = _read_time(status["expirationTimestamp"])
        return True


def _load(settings: KubevirtSettings, made: Any) -> None:
    found = _official.KubeConfigMerger(_path(settings)).config
    if found is None:
        raise ConfigException("there is no such file")
    _Loader(found, active_context=settings.context or None, config_base_path=None).load_and_set(made)


def _require_protection(settings: KubevirtSettings, made: Any) -> None:
    where = urlsplit(str(made.host))
    if where.scheme == "https" and not made.verify_ssl:
        raise EngineError(
            f"{_named(settings)}: it says insecure-skip-tls-verify, so anybody between here and {made.host} could read Secrets and "
            "answer in its place. Name the cluster's certificate-authority instead."
        )
    if where.scheme != "https" and not _is_here(where.hostname or ""):
        raise EngineError(
            f"{_named(settings)}: {made.host} is not https, so anybody between could read Secrets and answer in its place. Name the "
            "https address and its certificate-authority; only this machine itself (kubectl proxy) may be spoken to without."
        )


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _said(error: BaseException) -> str:
    """What is wrong, without what stands in the file: that may be a token."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    if isinstance(error, ConfigException | OSError):
        return re.sub(r"\{.*\}", "{…}", str(error)).rstrip(".")
    return f"it is no kubeconfig ({type(error).__name__})"


def _path(settings: KubevirtSettings) -> str:
    return settings.kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())


def _named(settings: KubevirtSettings) -> str:
    if not settings.kubeconfig and not settings.context and os.environ.get(_IN_POD):
        return "the pod's service account cannot be used"
    of_context = f" with context {settings.context}" if settings.context else ""
    return f"the kubeconfig {_path(settings)} cannot be used{of_context}"
