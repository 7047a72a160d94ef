"""Where the API server is and who we are there: kubeconfig and context, or the service account of a pod."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.config.config_exception import ConfigException

from nodeexec.kubevirt.settings import KubevirtSettings
from reconciler.model.errors import EngineError

_IN_POD = "KUBERNETES_SERVICE_HOST"


def connection_of(settings: KubevirtSettings) -> Any:
    """A ``client.Configuration``. Tokens that expire are renewed by it: service account files are read again each minute,
    plugins of a kubeconfig are asked again.

    Raises:
        EngineError: no file, no such context, or a file that makes no sense.
    """
    made = client.Configuration()
    in_pod: Any = config.load_incluster_config
    by_file: Any = config.load_kube_config
    try:
        if not settings.kubeconfig and not settings.context and os.environ.get(_IN_POD):
            in_pod(client_configuration=made)
        else:
            by_file(
                config_file=settings.kubeconfig or None,
                context=settings.context or None,
                client_configuration=made,
                persist_config=False,
            )
    except (ConfigException, OSError) as error:
        raise EngineError(
            f"{_named(settings)}: {str(error).rstrip('.')}. Set engine.kubevirt.kubeconfig and context."
        ) from error
    return made


def _named(settings: KubevirtSettings) -> str:
    where = settings.kubeconfig or os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    return f"the kubeconfig {where} cannot be used" + (f" with context {settings.context}" if settings.context else "")
