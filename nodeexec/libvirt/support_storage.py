"""What this engine honours in PersistentVolumeClaims and DataVolumes. Paths are below ``spec``."""

from __future__ import annotations

from dataclasses import dataclass

from nodeexec.libvirt.table import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported:
    """Patterns of leaves that are honoured, and refusals for the rest."""

    honoured: tuple[str, ...]
    refused: tuple[Refused, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        """All patterns there are."""
        return (*self.honoured, *(pattern for refused in self.refused for pattern in refused.paths))


_CLAIM_FIELDS = (
    "accessModes[]",
    "resources.requests.storage",
    "storageClassName",
    "volumeMode",
    "dataSource.*",
    "dataSourceRef.*",
)


def _claim_refusals(prefix: str) -> tuple[Refused, ...]:
    return (
        Refused(
            paths=(f"{prefix}selector.*", f"{prefix}volumeName"),
            reason="there are no PersistentVolumes to choose from; the volume is made in the class's pool",
        ),
        Refused(
            paths=(f"{prefix}resources.limits.*", f"{prefix}volumeAttributesClassName"),
            reason="a volume has the size that is requested and no other attributes",
            harmless=True,
        ),
    )


CLAIM = Supported(honoured=_CLAIM_FIELDS, refused=_claim_refusals(""))

DATA_VOLUME = Supported(
    honoured=(
        "source.http.url",
        "source.http.checksum",
        "source.http.secretRef",
        "source.http.extraHeaders[]",
        "source.http.secretExtraHeaders[]",
        "source.http.certConfigMap",
        "source.blank",
        "source.pvc.name",
        "source.pvc.namespace",
        *(f"{form}.{field}" for form in ("pvc", "storage") for field in _CLAIM_FIELDS),
    ),
    refused=(
        Refused(
            paths=tuple(
                f"source.{name}.*" for name in ("registry", "s3", "gcs", "upload", "imageio", "vddk", "snapshot")
            ),
            reason="this engine does not read images from there",
            hint="use source.http, source.pvc or source.blank",
        ),
        Refused(
            paths=("sourceRef.*",),
            reason="DataSource objects are not read",
            hint="name the image in source.http or the claim in source.pvc",
        ),
        Refused(
            paths=("contentType",), reason="archives are not unpacked into volumes", allowed=("kubevirt", "", None)
        ),
        Refused(paths=("checkpoints[].*", "finalCheckpoint"), reason="there are no imports in several stages"),
        Refused(
            paths=("preallocation", "priorityClassName"),
            reason="volumes are made sparse, in the order they are declared",
            harmless=True,
        ),
        *_claim_refusals("pvc."),
        *_claim_refusals("storage."),
    ),
)
