"""Secrets of the host and encrypted documents in the cycle: their users follow, nobody else is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodeexec.simulated.state import GuestBehaviour
from reconciler.daemon.cycle import Cycle
from reconciler.daemon.wake import Wake
from reconciler.model.keys import ObjectKey
from reconciler.model.policy import Mode, Policy
from reconciler.model.status import ObjectState
from reconciler.secrets.host_store import HostStore
from tests.unit.daemon.test_cycle import World
from tests.unit.planning.building import digest

WEB, OTHER = (ObjectKey("VirtualMachine", "default", name) for name in ("web", "other"))
SOPS = Path(__file__).parents[1] / "manifests" / "sops"
CLOUD_INIT = "cloudInitNoCloud: {secretRef: {name: seed}}"


def seeded(name: str, source: str = CLOUD_INIT) -> str:
    return f"""
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  runStrategy: Always
  template:
    spec:
      domain:
        memory: {{guest: 64Mi}}
        devices: {{disks: [{{name: seed, disk: {{bus: virtio}}}}]}}
      volumes: [{{name: seed, {source}}}]
"""


class SecretWorld(World):
    """A world whose host keeps secrets."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self.directory = directory
        directory.mkdir()
        self.age_key = directory.parent / "age.key"
        self.put("seed", "userdata", "#cloud-config\npassword: one\n")
        self.cycle = Cycle(
            sources={"": self.source},
            engine=self.engine,
            journal=self.journal,
            clock=self.clock,
            workers=self.workers,
            policy=Policy(owner="gitvirt", host=self.host.name, mode=Mode.ENFORCE),
            digest=digest,
            secrets=HostStore(directory, self.age_key),
        )

    def put(self, name: str, entry: str, value: str) -> None:
        path = self.directory / "default" / name
        path.mkdir(parents=True, exist_ok=True)
        (path / entry).write_text(value)
        (path / entry).chmod(0o600)

    def use_key(self, name: str) -> None:
        self.age_key.write_bytes((SOPS / name).read_bytes())
        self.age_key.chmod(0o600)

    def state(self, key: ObjectKey) -> ObjectState:
        return {status.key: status.state for status in self.cycle.status()}[key]


@pytest.fixture
def world(tmp_path: Path) -> SecretWorld:
    found = SecretWorld(tmp_path / "secrets")
    found.use_key("first.agekey")
    return found


def run(world: SecretWorld, text: str) -> None:
    world.commit(text)
    world.cycle.run(Wake(fetch=True))
    world.settle()


def seed_of(world: SecretWorld, key: ObjectKey) -> object:
    return world.engine.observe([key]).objects[key].stored.disks[0].source


def test_a_changed_secret_reaches_its_users_and_nobody_else_is_looked_at(world: SecretWorld) -> None:
    run(world, seeded("web") + seeded("other", "emptyDisk: {capacity: 1Mi}"))
    before = seed_of(world, WEB)
    world.put("seed", "userdata", "#cloud-config\npassword: two\n")
    del world.engine.asked[:]
    world.cycle.run(Wake(fetch=True))
    assert world.engine.asked[0] == {WEB}
    assert seed_of(world, WEB) != before
    assert world.state(WEB) is ObjectState.STAGED
    assert "password" not in str(world.journal.records)


def test_a_secret_that_became_readable_by_others_leaves_its_users_as_they_are(world: SecretWorld) -> None:
    run(world, seeded("web"))
    before = seed_of(world, WEB)
    (world.directory / "default" / "seed" / "userdata").chmod(0o644)
    report = world.cycle.run(Wake(fetch=True))
    assert [problem.code for problem in report.problems] == ["secret-file-refused"]
    assert seed_of(world, WEB) == before
    assert world.engine.observe([WEB]).objects[WEB].running is not None


def test_the_hosts_secret_wins_and_the_other_is_told(world: SecretWorld) -> None:
    in_git = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: seed}\nstringData: {userdata: from git}\n"
    run(world, seeded("web"))
    before = seed_of(world, WEB)
    run(world, seeded("web") + in_git)
    assert seed_of(world, WEB) == before
    assert [problem.code for problem in world.cycle.problems] == ["secret-overridden"]


def test_a_lost_key_holds_the_vm_and_the_key_frees_it(world: SecretWorld) -> None:
    encrypted = (SOPS / "vm.yaml").read_text()
    run(world, encrypted)
    assert world.state(WEB) is ObjectState.READY
    world.use_key("stranger.agekey")
    report = world.cycle.run(Wake(fetch=True))
    assert [problem.code for problem in report.problems] == ["sops-no-key"]
    assert world.state(WEB) is ObjectState.INVALID
    assert world.engine.observe([WEB]).objects[WEB].running is not None
    assert world.told()[-1][0] == "VirtualMachine/default/web"
    world.use_key("first.agekey")
    world.cycle.run(Wake(fetch=True))
    assert world.state(WEB) is ObjectState.READY


def test_nothing_is_deleted_while_an_encrypted_document_cannot_be_told(world: SecretWorld) -> None:
    run(world, seeded("other", "emptyDisk: {capacity: 1Mi}") + "---\n" + (SOPS / "vm.yaml").read_text())
    world.use_key("stranger.agekey")
    world.commit((SOPS / "all.yaml").read_text())
    world.cycle.run(Wake(fetch=True))
    world.settle()
    assert {WEB, OTHER} <= set(world.engine.observe(None).objects)


CREDENTIALS = """
---
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: web}
spec:
  runStrategy: Always
  template:
    spec:
      accessCredentials:
      - userPassword: {source: {secret: {secretName: login}}, propagationMethod: {qemuGuestAgent: {}}}
      domain: {memory: {guest: 64Mi}, devices: {}}
"""


def access_of(world: SecretWorld) -> str:
    return world.engine.observe([WEB]).objects[WEB].guest_access


def condition(world: SecretWorld) -> tuple[bool | None, str]:
    (status,) = (status for status in world.cycle.status() if status.key == WEB)
    (found,) = (one for one in status.conditions if one.type == "AccessCredentialsSynchronized")
    return found.status, found.reason


def boot(world: SecretWorld) -> None:
    """Let the guest come up as far as its agent."""
    world.clock.advance(60)
    world.cycle.run(Wake(everything=True))
    world.settle()


def test_credentials_wait_for_the_agent_and_follow_the_secret(world: SecretWorld) -> None:
    world.put("login", "root", "hunter2")
    run(world, CREDENTIALS)
    boot(world)
    first = access_of(world)
    assert first and condition(world) == (True, "")
    world.put("login", "root", "hunter3")
    world.cycle.run(Wake(fetch=True))
    assert access_of(world) not in ("", first)
    assert world.told()[-1][1] == "commit"
    assert "hunter" not in str(world.journal.records)


def test_a_guest_without_agent_is_told_of(world: SecretWorld) -> None:
    world.host.behaviour = GuestBehaviour(agent=False)
    world.put("login", "root", "hunter2")
    run(world, CREDENTIALS)
    boot(world)
    assert access_of(world) == ""
    assert condition(world) == (False, "AgentNotConnected")
    (status,) = (status for status in world.cycle.status() if status.key == WEB)
    assert "guest agent does not answer" in status.message
    assert status.state is ObjectState.READY
