"""The scenes of the story, in order. Each acts, waits for the truth, and prints the evidence."""

from __future__ import annotations

import subprocess

from demo.stage import NAMESPACE, OWNER, URI, Stage, StoryError, git, say

IMAGE = """\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {{name: demo-image, namespace: story}}
spec:
  source: {{http: {{url: "{url}"}}}}
  storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 64Mi}}}}}}
"""

NETWORK = """\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {name: backend, namespace: story}
spec:
  config: '{"cniVersion": "0.3.1", "type": "bridge", "bridge": "gvstory1",
            "ipam": {"type": "host-local", "subnet": "10.80.0.0/24"}}'
"""

CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: db-data, namespace: story}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
"""


def vm(name: str, *, backend: bool = False, data: str = "") -> str:
    nic = "\n          - {name: backend, bridge: {}}" if backend else ""
    network = "\n      - {name: backend, multus: {networkName: backend}}" if backend else ""
    disk = "\n          - {name: data, disk: {bus: virtio}}" if data else ""
    volume = f"\n      - {{name: data, persistentVolumeClaim: {{claimName: {data}}}}}" if data else ""
    return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}, namespace: story}}
spec:
  runStrategy: Always
  dataVolumeTemplates:
  - metadata: {{name: {name}-system}}
    spec:
      source: {{pvc: {{namespace: story, name: demo-image}}}}
      storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 96Mi}}}}}}
  template:
    metadata: {{labels: {{kubevirt.io/domain: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 15
      domain:
        cpu: {{cores: 1}}
        memory: {{guest: 128Mi}}
        devices:
          disks:
          - {{name: system, disk: {{bus: virtio}}, bootOrder: 1}}{disk}
          - {{name: cloudinit, disk: {{bus: virtio}}}}
          interfaces:
          - {{name: default, masquerade: {{}}}}{nic}
      networks:
      - {{name: default, pod: {{}}}}{network}
      volumes:
      - {{name: system, dataVolume: {{name: {name}-system}}}}{volume}
      - name: cloudinit
        cloudInitNoCloud:
          userData: |
            #cloud-config
            hostname: {name}
            password: gitvirt
"""


def vms_come_up(stage: Stage) -> None:
    """A repository becomes running VMs."""
    stage.commit(
        "Two VMs, their image and a network",
        {
            "image.yaml": IMAGE.format(url=stage.image_url),
            "network.yaml": NETWORK,
            "web.yaml": vm("web"),
            "db.yaml": vm("db", data="db-data"),
            "db-data.yaml": CLAIM,
        },
    )
    stage.start_daemon()
    stage.until_running("web", "db")
    stage.show("get", "vm")
    for name in ("web", "db"):
        say(f"    {stage.answers(name).splitlines()[0]}")


def drift_is_corrected(stage: Stage) -> None:
    """Someone destroys one VM and edits another by hand; both are put right."""
    domain = stage.domain("web")
    before = domain.ID()
    say(f"  $ virsh destroy {NAMESPACE}_web")
    domain.destroy()
    stage.until("web runs again", lambda: stage.domain("web").isActive() and stage.domain("web").ID() != before)
    say(f"  $ virsh attach-interface {NAMESPACE}_db network gitvirt-pod.{OWNER} --live --config")
    nics = stage.domain("db").XMLDesc().count("<interface ")
    subprocess.run(
        ["virsh", "-c", URI, "attach-interface", f"{NAMESPACE}_db", "network", f"gitvirt-pod.{OWNER}",
         "--model", "virtio", "--live", "--config"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip

    def gone() -> bool:
        db = stage.domain("db")
        return all(db.XMLDesc(flags).count("<interface ") == nics for flags in (0, 2))

    stage.until("the NIC that nobody declared is gone from db, running and stored", gone)
    stage.until("the journal tells of both", lambda: stage.gitvirt("audit").count("drift") >= 2 or None)


def live_changes(stage: Stage) -> None:
    """A commit adds a VM and a second NIC to a running one, without a restart."""
    boot = stage.boot_id("web")
    stage.commit("Add app; plug web into the backend", {"web.yaml": vm("web", backend=True), "app.yaml": vm("app")})

    def sees_two() -> str | None:
        found = stage.in_guest("web", "ls /sys/class/net | grep -v lo | tr '\\n' ' '")
        return found if len(found.split()) == 2 else None

    say(f"    the guest sees: {stage.until('the guest of web sees a second NIC', sees_two)}")
    stage.until_running("app", "web")
    if stage.boot_id("web") != boot:
        raise StoryError("web was restarted")
    say(f"  ✓ web was not restarted (boot id {boot} as before)")
    stage.show("get", "vm")


def deletion_keeps_the_data(stage: Stage) -> None:
    """A commit deletes a VM with its disk; the disk goes to the trash."""
    stage.in_guest("db", "echo 'the ledger of 2026' > /data/ledger && sync")
    say(f"    in db, /data/ledger: {stage.in_guest('db', 'cat /data/ledger')}")
    stage.commit("db is not needed any more", {"db.yaml": None, "db-data.yaml": None})

    def gone() -> bool:
        return "db" not in stage.vms() and "db-data" in stage.gitvirt("trash", "list")

    stage.until("db is gone and its disks are in the trash", gone)
    stage.show("trash", "list")


def revert_brings_it_back(stage: Stage) -> None:
    """`git revert` brings the VM back with its data intact."""
    git(stage.work, "revert", "--no-edit", "HEAD")
    stage.push()
    stage.until_running("db")
    found = stage.in_guest("db", "cat /data/ledger")
    if found != "the ledger of 2026":
        raise StoryError(f"/data/ledger reads {found!r}")
    say(f"  ✓ in db, /data/ledger: {found}")


def the_audit(stage: Stage) -> None:
    """`gitvirt audit` tells who did what."""
    text = stage.show("audit")
    for expected in ("Ada Admin", "drift", "VirtualMachine/story/db"):
        if expected not in text:
            raise StoryError(f"the audit does not mention {expected!r}")
    journal = stage.directory / "state" / "journal.git"
    say("  $ git -C journal.git log --oneline")
    say("\n".join(f"    {line}" for line in git(journal, "log", "--oneline").splitlines()))


STORY = (vms_come_up, drift_is_corrected, live_changes, deletion_keeps_the_data, revert_brings_it_back, the_audit)
