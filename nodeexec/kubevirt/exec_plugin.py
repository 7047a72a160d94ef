"""A kubeconfig's ``exec`` plugin: a program that is asked for credentials, with a time limit and no terminal.

*Source*: Kubernetes documentation, "client-go credential plugins".
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from reconciler.model.errors import EngineError

TIMEOUT_S = 60.0
_WORDS = 200


def exec_credential(spec: Mapping[str, Any], cluster: Mapping[str, Any] | None, directory: str) -> Mapping[str, Any]:
    """The ``status`` that the plugin answers: a token, or a client certificate and its key. ``cluster`` is told to one that asks for it.

    Raises:
        EngineError: it is not there, fails, answers something else, or is not done within a minute: one that wants to ask a
            person (a login in a browser) never is.
    """
    command = str(spec.get("command") or "")
    info: dict[str, Any] = {"apiVersion": spec.get("apiVersion"), "kind": "ExecCredential"}
    info["spec"] = {"interactive": False, **({"cluster": dict(cluster)} if cluster is not None else {})}
    given = {str(one["name"]): str(one["value"]) for one in spec.get("env") or ()}
    try:
        done = subprocess.run(
            [command, *(str(one) for one in spec.get("args") or ())],
            env={**os.environ, **given, "KUBERNETES_EXEC_INFO": json.dumps(info)},
            cwd=directory or None, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise EngineError(f"the kubeconfig's plugin {command} gave no credentials within {TIMEOUT_S:.0f} s.") from error
    except (OSError, ValueError) as error:
        raise EngineError(f"the kubeconfig's plugin {command} cannot be run: {error}.") from error
    if done.returncode != 0:
        said = done.stderr.strip()[-_WORDS:] or "it says nothing"
        raise EngineError(f"the kubeconfig's plugin {command} failed (exit code {done.returncode}): {said}.")
    return _status(done.stdout, command, spec.get("apiVersion"))


def _status(text: str, command: str, version: Any) -> Mapping[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise EngineError(f"the kubeconfig's plugin {command} answered without a token or certificate.")
    if said.get("apiVersion") != version:
        raise EngineError(f"the kubeconfig's plugin {command} answers {said.get('apiVersion')}, not {version}.")
    if status.get("clientCertificateData") and not status.get("clientKeyData"):
        raise EngineError(f"the kubeconfig's plugin {command} answered with a certificate that has no key.")
    return status
