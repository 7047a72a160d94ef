"""What is brought up to date change by change is what it would be if it were worked out from nothing."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from nodeexec.kubevirt.compare import compare as on_cluster
from nodeexec.libvirt.support import check
from nodeexec.spec_difference import compare
from reconciler.manifests.declared_set import DeclaredSet
from reconciler.manifests.load import LoadedFile, load_blob
from reconciler.model.declared import Declared, Reading
from reconciler.model.keys import ObjectKey
from reconciler.model.live import HostFacts, LiveObject, LiveResource, LiveVm, LiveVolume, Observation, Unreadable
from reconciler.model.origin import Origin
from reconciler.model.plan import Plan
from reconciler.model.policy import Mode, Policy, StorageClassPolicy
from reconciler.model.power import Override, OverrideAction, PowerState
from reconciler.model.resolved import DesiredState
from reconciler.model.sync_wave import ANNOTATIONS
from reconciler.planning.offline import as_if_live
from reconciler.planning.planner import Planner
from reconciler.planning.resolve import Resolver
from reconciler.wiring_engines import PureEngine
from tests.simulation.by_change import COMPARED, differing

ORIGINS = (Origin(name="a", identity="a=main"), Origin(name="b", identity="b=main"))
POLICY = Policy(
    mode=Mode.ENFORCE,
    host="here",
    host_labels={"kubernetes.io/hostname": "here"},
    storage_classes={"fast": StorageClassPolicy(pool="nvme"), "slow": StorageClassPolicy(pool="hdd")},
    sources=ORIGINS,
)
ENGINE = PureEngine("libvirt", check=check, compare=compare, describe=lambda _: "")
CLUSTER = replace(POLICY, on_cluster=True)
PLATFORM = PureEngine("kubevirt", check=lambda _: (), compare=on_cluster, describe=lambda _: "", is_platform=True)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
NAMES = ("one", "two", "three")
KINDS = ("VirtualMachine", "PersistentVolumeClaim", "NetworkAttachmentDefinition")

VM = """\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, namespace: lab{wave}}}
spec:
  runStrategy: {strategy}
  {templates}
  template:
    spec:
      {selector}
      domain:
        cpu: {{cores: {cores}}}
        memory: {{guest: {memory}Mi}}
        devices:
          disks: [{{name: root, disk: {{bus: virtio}}}}, {{name: seed, disk: {{bus: virtio}}}}]
          interfaces: [{{name: default, masquerade: {{}}{mac}}}, {{name: lan, bridge: {{}}}}]
      networks: [{{name: default, pod: {{}}}}, {{name: lan, multus: {{networkName: {network}}}}}]
      volumes:
      - name: root
        {disk}
      - name: seed
        cloudInitNoCloud: {{secretRef: {{name: {secret}}}}}
"""
CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}, namespace: lab{wave}}}
spec: {{accessModes: [ReadWriteOnce], {storage_class}resources: {{requests: {{storage: {size}Gi}}}}}}
"""
CLONE = """\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {{name: {name}, namespace: lab}}
spec:
  source: {{pvc: {{namespace: lab, name: {other}}}}}
  storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
"""
NETWORK = """\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {{name: {name}, namespace: lab{wave}}}
spec: {{config: '{{"cniVersion": "0.3.1", "name": "{name}", "type": "bridge", "bridge": "br-{bridge}"}}'}}
"""
SECRET = """\
apiVersion: v1
kind: Secret
metadata: {{name: {name}, namespace: lab{wave}}}
stringData: {{userdata: "#cloud-config {content}"}}
"""
CLASS = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {name}, annotations: {{storageclass.kubernetes.io/is-default-class: "{default}"}}}}
provisioner: gitvirt.io/pool
"""
BROKEN = (
    "kind: VirtualMachine\nmetadata: {name: one, namespace: lab, annotations: {gitvirt.io/sync-wave: '-1'}}\napiVersion: kubevirt.io/v1\nspec: {}\n",
    "a: [",
    "",
)

SETTLED = (ORIGINS[0], "w.yaml")
"""A file that stays, with a VM that has all it needs, and one that names what others may or may not declare."""

names = st.sampled_from(NAMES)
waves = st.sampled_from(
    ("", "", *(f", annotations: {{{name}: '{number}'}}" for name in ANNOTATIONS for number in ("-3", "0", "7", "late")))
)
templates = "dataVolumeTemplates: [{metadata: {name: %s}, spec: {source: {blank: {}}, storage: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}]"


@st.composite
def vms(draw: st.DrawFn) -> str:
    claim = draw(names)
    made = draw(st.booleans())
    return VM.format(
        name=draw(names),
        strategy=draw(st.sampled_from(("Always", "Halted"))),
        templates=templates % claim if made else "",
        selector=draw(st.sampled_from(("", "", "nodeSelector: {kubernetes.io/hostname: elsewhere}"))),
        cores=draw(st.sampled_from((1, 1, 2))),
        memory=draw(st.sampled_from((64, 128))),
        mac=draw(st.sampled_from(("", "", ', macAddress: "02:00:00:00:00:01"'))),
        network=draw(names),
        disk=f"dataVolume: {{name: {claim}}}" if made else f"persistentVolumeClaim: {{claimName: {claim}}}",
        secret=draw(names),
        wave=draw(waves),
    )


def settled() -> list[str]:
    about = {"strategy": "Always", "templates": "", "selector": "", "memory": 64, "cores": 2, "mac": "", "wave": ""}
    four = {"network": "four", "disk": "persistentVolumeClaim: {claimName: four}", "secret": "four"}
    five = {"network": "one", "disk": "persistentVolumeClaim: {claimName: one}", "secret": "four"}
    return [
        VM.format(name="four", **about, **four),
        VM.format(name="five", **about, **five),
        CLAIM.format(name="four", size=1, storage_class="", wave=""),
        NETWORK.format(name="four", bridge="four", wave=""),
        SECRET.format(name="four", content="x", wave=""),
    ]


documents = st.one_of(
    vms(),
    vms(),
    st.builds(
        CLAIM.format,
        name=names,
        size=st.integers(1, 2),
        storage_class=st.sampled_from(("", "storageClassName: fast, ")),
        wave=waves,
    ),
    st.builds(CLONE.format, name=names, other=names),
    st.builds(NETWORK.format, name=names, bridge=names, wave=waves),
    st.builds(SECRET.format, name=names, content=st.sampled_from(("x", "y")), wave=waves),
    st.builds(CLASS.format, name=st.sampled_from(("fast", "slow")), default=st.sampled_from(("true", "false"))),
    st.sampled_from(BROKEN),
)
files = st.tuples(st.sampled_from(ORIGINS), st.sampled_from(("x.yaml", "y.yaml", "z.yaml")))
commits = st.lists(st.tuples(files, st.none() | st.lists(documents, min_size=1, max_size=5)), min_size=1, max_size=3)
wishes = st.dictionaries(
    st.builds(ObjectKey, st.sampled_from(KINDS),
              st.just("lab"), st.sampled_from((*NAMES, "four", "five"))),
    st.sampled_from(("gone", "made", "made", "foreign", "off", "growing", "old source", "paused", "unwell", "larger", "smaller",
                     "stopped for a while", "paused for a while", "stopped", "to stop for a while", "theirs", "theirs")),
    max_size=4,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What else may be another at each step: the minutes since the last one, the host's CPUs, what cannot be read."""

    minutes: int = 0
    cpus: int = 1
    gaps: tuple[Unreadable, ...] = ()
    complete: bool = True


weathers = st.builds(
    Weather,
    minutes=st.sampled_from((0, 0, 7, -4)),
    cpus=st.sampled_from((1, 1, 1, 2)),
    gaps=st.sampled_from(((), (), (), (Unreadable(reason="away", kinds=frozenset({"PersistentVolumeClaim"})),))),
    complete=st.sampled_from((True, True, True, False)),
)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


@functools.lru_cache(maxsize=4096)
def _loaded(text: str, path: str, origin: Origin) -> LoadedFile:
    return load_blob(text.encode(), origin.shown(path), origin=origin.identity)


def loaded(text: str, path: str, origin: Origin) -> LoadedFile:
    """Another file each time, as a reader makes it, of what was parsed once."""
    file = _loaded(text, path, origin)
    return replace(file, documents=tuple(copy.copy(one) for one in file.documents),
                   invalid=tuple(copy.copy(one) for one in file.invalid))  # fmt: skip


_BY_HAND = {
    "stopped for a while": (OverrideAction.STOP, False),
    "stopped": (OverrideAction.STOP, False),
    "paused for a while": (OverrideAction.PAUSE, True),
    "to stop for a while": (OverrideAction.STOP, True),
}


class World:
    """Files, what is live, and everything that follows from them by change."""

    def __init__(self, policy: Policy, engine: PureEngine) -> None:
        self.policy, self.engine = policy, engine
        self.files: dict[tuple[Origin, str], LoadedFile] = {}
        self.live: dict[ObjectKey, LiveObject] = {}
        self.weather, self.now = Weather(), NOW
        self.set, self.resolver, self.planner = self.reader(), Resolver(policy, digest), self.beginner()
        self.declared = self.set.declared(self.readings())
        self.desired = DesiredState(readings={})

    def readings(self) -> Mapping[str, Reading]:
        whole = (True, self.weather.complete)
        return {
            origin.identity: Reading(source=origin.name, revision="r", complete=complete)
            for origin, complete in zip(ORIGINS, whole, strict=True)
        }

    def reader(self) -> DeclaredSet:
        return DeclaredSet(self.engine.check, is_open=self.engine.is_platform)

    def beginner(self) -> Planner:
        return Planner(self.policy, self.engine)

    def commit(self, changes: list[tuple[tuple[Origin, str], list[str] | None]]) -> frozenset[ObjectKey]:
        touched: set[tuple[Origin, str]] = {name for name, _ in changes}
        before = [self.files.pop(name) for name in sorted(touched, key=str) if name in self.files]
        for (origin, path), texts in changes:
            self.files.pop((origin, path), None)
            if texts is not None:
                self.files[origin, path] = loaded("---\n".join(texts), path, origin)
        after = [self.files[name] for name in touched if name in self.files]
        changed = self.set.update(before, after, holders=self.holders())
        self.declared = self.set.declared(self.readings())
        return changed

    def holders(self) -> dict[ObjectKey, str]:
        return dict.fromkeys(self.live, "a=main")

    def change_live(self, wished: Mapping[ObjectKey, str]) -> frozenset[ObjectKey]:
        for key, what in wished.items():
            wanted = self.desired.objects.get(key)
            if what == "theirs" and wanted is None and key.kind != "VirtualMachine" and self.policy.on_cluster:
                self.live[key] = LiveResource(key=key, fingerprint="theirs", marks=None)
            elif what == "gone":
                self.live.pop(key, None)
            elif wanted is not None:
                self.live[key] = _live(as_if_live(wanted, self.policy, "r"), what, self.now)
        return frozenset(wished)

    def change_weather(self, weather: Weather) -> None:
        self.weather, self.now = weather, self.now + timedelta(minutes=weather.minutes)

    def observation(self) -> Observation:
        host = HostFacts(hostname="here", labels=POLICY.host_labels, bridges=("br-one",), cpus=self.weather.cpus)
        return Observation(taken_at=NOW, host=host, objects=dict(self.live), unreadable=self.weather.gaps)

    def fresh(self) -> tuple[Declared, tuple[object, ...], DesiredState, Plan]:
        one = self.reader()
        one.update((), self.files.values(), holders=self.holders())
        declared = one.declared(self.readings())
        desired = Resolver(self.policy, digest).update(declared, self.observation(), None)
        plan = self.beginner().plan(desired, self.observation(), touched=None, now=self.now)
        return declared, one.problems, desired, plan


def _live(thing: LiveObject, what: str, now: datetime) -> LiveObject:
    marks = thing.marks
    assert marks is not None
    if isinstance(thing, LiveVm) and what in _BY_HAND:
        action, running = _BY_HAND[what]
        until = now + timedelta(minutes=5) if what.endswith("a while") else None
        override = Override(action=action, by="alice", at=now, until=until)
        power = (PowerState.PAUSED if action is OverrideAction.PAUSE else thing.power) if running else PowerState.OFF
        return replace(
            thing, marks=replace(marks, override=override), power=power, running=thing.running if running else None
        )
    if isinstance(thing, LiveVm) and what == "paused" and thing.running is not None:
        return replace(thing, power=PowerState.PAUSED)
    if isinstance(thing, LiveVm | LiveVolume) and what == "unwell":
        return replace(thing, fault="it is not well")
    if isinstance(thing, LiveVolume) and what in ("larger", "smaller"):
        return replace(thing, size_bytes=thing.size_bytes * 2 if what == "larger" else thing.size_bytes // 2)
    if isinstance(thing, LiveVm) and what == "smaller" and thing.running is not None:
        return replace(thing, running=replace(thing.running, memory_mib=32))
    if what == "foreign":
        return replace(thing, marks=None)
    if what == "off" and isinstance(thing, LiveVm):
        return replace(thing, running=None, power=PowerState.OFF)
    if what == "growing" and isinstance(thing, LiveVolume):
        return replace(thing, phase="ImportInProgress")
    return thing


def same(one: Mapping[object, object], other: Mapping[object, object]) -> bool:
    return not differing(one, other)


def live_through(steps: list[tuple[list, dict, Weather]], policy: Policy, engine: PureEngine) -> None:
    """A history, compared after each step with what a beginner makes of the same files and the same host. ``--hypothesis-show-statistics``
    tells which notes were kept from one plan to the next.
    """
    world = World(policy, engine)
    begun: list[tuple[list, dict, Weather]] = [([(SETTLED, settled())], {}, Weather())]
    begun += [([], {ObjectKey(kind, "lab", name): "made" for kind in KINDS for name in ("four", "five")}, Weather())]
    for changes, wished, weather in (*begun, *steps):
        world.change_weather(weather)
        touched = world.change_live(wished)
        changed = world.commit(changes)
        observation = world.observation()
        world.desired = world.resolver.update(world.declared, observation, changed | touched)
        plan = world.planner.plan(
            world.desired, observation, touched=world.resolver.touched | changed | touched, now=world.now
        )
        for code in {note.code for note in plan.notes if note.key not in world.planner.thought_about}:
            event(f"kept: {code}")
        declared, problems, desired, expected = world.fresh()
        assert sorted(world.set.problems, key=repr) == sorted(problems, key=repr)
        assert same(world.declared.documents, declared.documents)
        assert same(world.declared.invalid, declared.invalid)
        assert same(world.declared.template_owners, declared.template_owners)
        assert same(world.declared.waves, declared.waves)
        assert (world.declared.contests, world.declared.readings) == (declared.contests, declared.readings)
        for field in COMPARED:
            assert same(getattr(world.desired, field), getattr(desired, field)), field
        assert (plan.plan_id, plan.to_dict(), plan.retry_after_s) == (
            expected.plan_id,
            expected.to_dict(),
            expected.retry_after_s,
        )


histories = st.lists(st.tuples(commits, wishes, weathers), min_size=1, max_size=4)


@given(histories)
@settings(max_examples=40, deadline=None)
def test_by_change_is_as_from_nothing(steps: list[tuple[list, dict, Weather]]) -> None:
    live_through(steps, POLICY, ENGINE)


@given(histories)
@settings(max_examples=40, deadline=None)
def test_so_it_is_on_a_cluster(steps: list[tuple[list, dict, Weather]]) -> None:
    live_through(steps, CLUSTER, PLATFORM)
