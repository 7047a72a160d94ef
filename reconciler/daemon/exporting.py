"""``gitvirt export``: existing domains as manifests that were read back and compared before anyone sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import yaml

from reconciler.daemon.key import Digest
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.foreign_kinds import served
from reconciler.manifests.load import load_blob
from reconciler.manifests.scalars import read_plain
from reconciler.model.declared import Reading
from reconciler.model.errors import EngineError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, Observation
from reconciler.model.plain_text import one_line
from reconciler.model.plan import Difference
from reconciler.model.policy import Policy, StorageClassPolicy
from reconciler.model.problem import Severity
from reconciler.model.resolved import ResolvedVm
from reconciler.planning.adoption import Findings, findings, match
from reconciler.planning.export_cluster import export_documents
from reconciler.planning.export_vm import Documents, Exported, export_vm
from reconciler.planning.resolve import resolve
from reconciler.ports import Engine

_WIDTH = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedVm:
    """One domain: its manifests, and what reading them back came to. ``findings`` None: they could not be read back, and
    ``faults`` say why.
    """

    name: str
    exported: Exported
    findings: Findings | None
    faults: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the manifests are that very domain, but for what stays as it was found."""
        found = self.findings
        return found is not None and not (found.differences or found.obstacles or self.exported.missing or self.faults)


def export(
    engine: Engine, names: Sequence[str], *, namespace: str, policy: Policy, digest: Digest, now: datetime
) -> tuple[ExportedVm, ...]:
    """Each domain of ``names``, in that order.

    Raises:
        EngineError: there is none of a name, or the host cannot be read.
    """
    done: list[ExportedVm] = []
    taken: dict[ObjectKey, Mapping[str, Any]] = {}
    for name in names:
        done.append(_export(engine, name, taken, namespace=namespace, policy=policy, digest=digest, now=now))
        taken.update(done[-1].exported.documents)
    return tuple(done)


def _export(
    engine: Engine, name: str, taken: Documents, *, namespace: str, policy: Policy, digest: Digest, now: datetime
) -> ExportedVm:
    found = engine.survey(qualified(engine, name, namespace))
    if found is None:
        raise EngineError(not_there(engine, name))
    if found.documents:
        name, exported = found.name, export_documents(found, taken)
    else:
        exported = export_vm(found, namespace=namespace, policy=policy, taken=taken)
    whole = {**exported.documents, **exported.read_back}
    loaded = load_blob(_stream(whole.values()).encode(), f"{exported.vm.name}.yaml")
    together = DeclaredSet(served(engine.check, engine.is_platform), is_open=engine.is_platform)
    together.update((), [loaded])
    faults = tuple(f"{p.path or p.place}: {p.message}" for p in together.problems if p.severity is Severity.ERROR)
    host = HostFacts(hostname=policy.host, labels=policy.host_labels)
    nothing = Observation(taken_at=now, host=host, objects={})
    desired = resolve(
        together.declared({"": Reading()}), nothing, policy=_with_settings(policy, exported), digest=digest
    )
    wanted = desired.objects.get(exported.vm)
    if not isinstance(wanted, ResolvedVm):
        reason = desired.invalid.get(exported.vm) or desired.blocked.get(exported.vm, ("", ()))[0]
        return ExportedVm(name=name, exported=exported, findings=None, faults=faults or (reason,))
    matching = match(wanted, desired.objects, found, ())
    live = engine.as_adopted(matching.adoption)
    if live is None:
        raise EngineError(f"{one_line(name)} went away while it was read.")
    read_back = findings(wanted, matching, found, live, engine.compare, now)
    return ExportedVm(name=name, exported=exported, findings=read_back, faults=faults)


def qualified(engine: Engine, name: str, namespace: str) -> str:
    """The name that `Engine.survey` takes: on a platform a VM is named with its namespace."""
    return f"{namespace}/{name}" if engine.is_platform and "/" not in name else name


def not_there(engine: Engine, name: str) -> str:
    """That there is no such VM, and where to look."""
    if engine.is_platform:
        return (
            f"there is no VirtualMachine {one_line(name)} on this cluster; `kubectl get vm -A` names those there are."
        )
    return f"there is no domain {one_line(name)!r} on this host; `virsh list --all` names those there are."


def _with_settings(policy: Policy, exported: Exported) -> Policy:
    """The policy as it will be with the lines that the export asks for."""
    classes = {name: StorageClassPolicy(pool=pool) for name, pool in exported.classes.items()}
    return replace(
        policy,
        storage_classes={**policy.storage_classes, **classes},
        allowed_bridges=(*policy.allowed_bridges, *exported.bridges),
    )


def files_of(exports: Sequence[ExportedVm]) -> Mapping[str, str]:
    """File name → text: one file a VM with what is its alone, and one for networks and disks that may be others' too."""
    users = Counter(key for entry in exports for key in entry.exported.documents)
    files: dict[str, str] = {}
    shared: dict[ObjectKey, str] = {}
    for entry in exports:
        own = []
        for key in entry.exported.documents:
            text = _commented(entry, key)
            if key.kind == "NetworkAttachmentDefinition" or users[key] > 1:
                shared[key] = text
            else:
                own.append(text)
        if own:
            files[f"{entry.exported.vm.name}.yaml"] = "---\n".join(own)
    if shared:
        files["shared.yaml"] = "---\n".join(text for _, text in sorted(shared.items()))
    return files


def text_of(exports: Sequence[ExportedVm]) -> str:
    """All as one stream, every object once."""
    texts = {key: _commented(entry, key) for entry in exports for key in entry.exported.documents}
    return "---\n".join(texts.values())


def remarks(entry: ExportedVm) -> tuple[str, ...]:
    """What a person has to know, one line each."""
    said = [f"not exported: {text}" for text in entry.exported.missing]
    said += [f"the manifest does not read back: {text}" for text in entry.faults]
    said += [f"the settings need: {line}" for line in entry.exported.settings]
    if entry.findings is not None:
        said += [f"would change once adopted: {difference_line(d)}" for d in entry.findings.differences]
        said += [text for text in entry.findings.obstacles if text not in entry.exported.missing]
        said += [f"stays as it is, the manifest does not say it: {kept_line(d)}" for d in entry.findings.kept]
    return tuple(dict.fromkeys(one_line(text, 300) for text in said))


def difference_line(difference: Difference) -> str:
    """``path: before → after [impact] reason``."""
    before, after = (_shown(value) for value in (difference.before, difference.after))
    return f"{difference.path}: {before} → {after} [{difference.impact}] {difference.reason}"


def kept_line(difference: Difference) -> str:
    """``path: what is there``."""
    return f"{difference.path.removeprefix('xml:')}: {_shown(difference.before)}"


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "", {}, ()) else str(value)


def _commented(entry: ExportedVm, key: ObjectKey) -> str:
    """A document with its comments above it."""
    lines = list(entry.exported.notes.get(key, ()))
    if key == entry.exported.vm:
        lines += [
            f"Exported from {one_line(entry.name)}. Once this is in the repository,",
            f"`gitvirt adopt {one_line(entry.name)}` takes it over as it is, without a restart.",
            *remarks(entry),
        ]
    comments = "".join(f"# {line}\n" for line in lines)
    text = comments + _stream([entry.exported.documents[key]])
    return text if text.endswith("\n") else f"{text}\n"


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, and text of several lines as it stands."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Lists are indented too."""
        del indentless
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None if _is_read_as_text(value) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


def _is_read_as_text(value: str) -> bool:
    """Whether kubectl's reader, and so gitvirt's, takes it for a string without quotes: ``y``, ``1e3`` and the like are none."""
    try:
        return read_plain(value) == value
    except ValueError:
        return False


_Dumper.add_representer(str, _text)


def _stream(documents: Iterable[Mapping[str, Any]]) -> str:
    texts = (
        yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=_WIDTH)
        for document in documents
    )
    return "---\n".join(texts)
