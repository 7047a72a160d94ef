"""The manifests of the end-to-end world, as text: what a person would keep in the repository.

``$NAMESPACE`` becomes the world's own namespace when they are written.
"""

from __future__ import annotations

IMAGE = """\
apiVersion: cdi.kubevirt.io/v1beta1
kind: DataVolume
metadata: {{name: {name}}}
spec:
  source: {{http: {{url: "{url}"}}}}
  storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 64Mi}}}}}}
"""

WEBSERVER_CLAIM = """\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: webserver-pvc}
spec:
  accessModes: [ReadWriteOnce]
  dataSourceRef: {kind: PersistentVolumeClaim, name: demo-image}
  resources: {requests: {storage: 20Gi}}
"""


def network(name: str, bridge: str, subnet: str) -> str:
    """A NetworkAttachmentDefinition: a bridge between guests, with addresses by DHCP."""
    return f"""\
apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata: {{name: {name}}}
spec:
  config: '{{"cniVersion": "0.3.1", "type": "bridge", "bridge": "{bridge}",
            "ipam": {{"type": "host-local", "subnet": "{subnet}"}}}}'
"""


def claim(name: str, size: str, storage_class: str = "", fresh_disk: str = "") -> str:
    """A blank disk."""
    of_class = f"storageClassName: {storage_class}, " if storage_class else ""
    annotations = f", annotations: {{gitvirt.io/fresh-disk: {fresh_disk}}}" if fresh_disk else ""
    return f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}{annotations}}}
spec: {{{of_class}accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {size}}}}}}}
"""


def vm(
    name: str,
    strategy: str = "Always",
    *,
    nics: tuple[str, ...] = (),
    disks: tuple[str, ...] = (),
    image: str = "demo-image",
    grace_s: int = 20,
) -> str:
    """A demo guest on a clone of its image. ``nics`` are multus networks beside the pod network, ``disks`` claims beside
    the system disk.
    """
    interfaces = "".join(f"\n          - {{name: {nic}, bridge: {{}}}}" for nic in nics)
    networks = "".join(f"\n      - {{name: {nic}, multus: {{networkName: {nic}}}}}" for nic in nics)
    devices = "".join(f"\n          - {{name: {disk}, disk: {{bus: virtio}}}}" for disk in disks)
    volumes = "".join(f"\n      - {{name: {disk}, persistentVolumeClaim: {{claimName: {disk}}}}}" for disk in disks)
    return f"""\
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {{name: {name}}}
spec:
  runStrategy: {strategy}
  dataVolumeTemplates:
  - metadata: {{name: {name}-system}}
    spec:
      source: {{pvc: {{namespace: $NAMESPACE, name: {image}}}}}
      storage: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 80Mi}}}}}}
  template:
    metadata: {{labels: {{kubevirt.io/domain: {name}}}}}
    spec:
      terminationGracePeriodSeconds: {grace_s}
      domain:
        cpu: {{cores: 1}}
        memory: {{guest: 112Mi}}
        devices:
          disks:
          - {{name: system, disk: {{bus: virtio}}, bootOrder: 1}}{devices}
          - {{name: cloudinit, disk: {{bus: virtio}}}}
          interfaces:
          - {{name: default, masquerade: {{}}}}{interfaces}
      networks:
      - {{name: default, pod: {{}}}}{networks}
      volumes:
      - {{name: system, dataVolume: {{name: {name}-system}}}}{volumes}
      - name: cloudinit
        cloudInitNoCloud:
          userData: |
            #cloud-config
            hostname: {name}-guest
            password: sesame
            chpasswd: {{expire: false}}
            runcmd:
            - echo "said by runcmd in $(hostname)" > /run/greeting
"""
