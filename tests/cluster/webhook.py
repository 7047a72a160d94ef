"""An admission webhook of the tests' own on loopback, over TLS, as the real API server asks it."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.certificates import Authority
from tests.cluster.hands import Hands
from tests.cluster.loopback import Exchange, Loopback

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Webhook:
    """Answers every review with ``says``: the ``status`` of its refusal, or None for yes. Asked of one namespace's VMs only."""

    def __init__(self, hands: Hands, authority: Authority, name: str, namespace: str) -> None:
        self.says: Mapping[str, Any] | None = None
        self.asked = 0
        certificate, key = authority.server()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self._server = Loopback("webhook", self._serve, tls)
        self._hands, self._path = hands, f"{CONFIGURATIONS}/{name}"
        trusted = base64.b64encode(Path(authority.certificate).read_bytes()).decode()
        rule = {
            "apiGroups": ["kubevirt.io"],
            "apiVersions": ["*"],
            "resources": ["virtualmachines"],
            "operations": ["*"],
        }
        hook = {
            "name": "vm.example.org",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "timeoutSeconds": 2,
            "clientConfig": {"url": f"{self._server.url}/review", "caBundle": trusted},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        }
        body = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [hook],
        }
        hands.call("POST", CONFIGURATIONS, body)

    def go_away(self) -> None:
        """Its process ends; the cluster still asks it."""
        self._server.close()

    def remove(self) -> None:
        """The cluster asks it no more."""
        self._hands.call("DELETE", self._path)
        self._server.close()

    def _serve(self, exchange: Exchange) -> None:
        self.asked += 1
        asked = json.loads(exchange.body)
        answer: dict[str, Any] = {"uid": asked["request"]["uid"], "allowed": self.says is None}
        if self.says is not None:
            answer["status"] = dict(self.says)
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        exchange.close_connection = True
        exchange.answer(200, json.dumps(review).encode(), {"Connection": "close"})
