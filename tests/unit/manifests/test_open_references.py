"""What a manifest names and nobody declares: a problem on a host, the platform's business on a cluster."""

from __future__ import annotations

import pytest

from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.load import load_blob
from tests.unit.manifests.samples import WEBSERVER


@pytest.mark.parametrize("is_open", [False, True])
def test_a_claim_that_is_not_declared(is_open: bool) -> None:
    together = DeclaredSet(lambda _: (), is_open=is_open)
    together.update((), [load_blob(WEBSERVER.encode(), "vm.yaml")])
    codes = [one.code for one in together.problems if "not declared" in one.message]
    assert bool(codes) is not is_open
    assert len(together.documents) == int(is_open)
    assert bool(together.invalid) is not is_open
