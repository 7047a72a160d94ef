"""A repository with a canary in every place where a secret may stand, right and wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml

from tests.canary.canaries import Canaries
from tests.canary.sealing import sealed


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def secret(name: str, **entries: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **entries}


def vm(name: str, volumes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """A small VM; ``volumes`` are seeds by name."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name},
        "spec": {
            "runStrategy": "Always",
            "template": {
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "domain": {
                        "memory": {"guest": "64Mi"},
                        "devices": {
                            "autoattachPodInterface": False,
                            "disks": [{"name": volume, "disk": {"bus": "virtio"}} for volume in volumes],
                        },
                    },
                    "volumes": [{"name": volume, **source} for volume, source in volumes.items()],
                    **spec,
                }
            },
        },
    }


def data_volume(name: str, url: str, **http: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"name": name},
        "spec": {
            "source": {"http": {"url": url, **http}},
            "storage": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        },
    }


def text(*bodies: Any) -> str:
    return "---\n".join(body if isinstance(body, str) else yaml.safe_dump(body, sort_keys=False) for body in bodies)


def cloud_init(data: str) -> dict[str, Any]:
    return {"cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {data}\n"}}


def valid_files(canaries: Canaries, identity: Any, image: str) -> dict[str, str]:
    """Manifests that are right. ``image`` is ``HOST:PORT/PATH`` of an image."""
    plant = canaries.plant
    named = {"accessCredentials": [{"userPassword": {"source": {"secret": {"secretName": "login"}},
                                                     "propagationMethod": {"qemuGuestAgent": {}}}}]}  # fmt: skip
    encrypted = secret("sealed", stringData={"userdata": f"#cloud-config\npassword: {plant('sops secret')}\n"})
    inline = vm("sealed-inline", {"seed": cloud_init(plant("sops userData"))})
    return {
        "inline.yaml": text(
            vm("inline", {
                "seed": {"cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {plant('userData')}\n",
                                              "networkData": f"version: 2\nkey: {plant('networkData')}\n"}},
            }, **named),
            secret("login", stringData={"root": plant("password for the agent")}),
            vm("encoded", {"seed": {"cloudInitConfigDrive": {"userDataBase64": _b64(plant("userDataBase64"))}}}),
        ),
        "referenced.yaml": text(
            vm("plain", {"seed": {"cloudInitNoCloud": {"secretRef": {"name": "plain"}}},
                         "files": {"secret": {"secretName": "files"}}}),
            secret("plain", stringData={"userdata": f"#cloud-config\nx: {plant('plain secret')}\n"}),
            secret("files", data={"token": _b64(plant("plain secret in base64"))}),
            vm("sealed", {"seed": {"cloudInitNoCloud": {"secretRef": {"name": "sealed"}}}}),
            vm("hosted", {"seed": {"cloudInitNoCloud": {"secretRef": {"name": "hosted"}}}}),
        ),
        "sealed.yaml": sealed(encrypted, identity, ("data", "stringData")),
        "sealed-inline.yaml": sealed(_all_text(inline), identity, ("userData",)),
        "images.yaml": text(
            data_volume("good", f"http://{plant('user in a URL')}:{plant('password in a URL')}@{image}"
                                f"?sig={plant('query of a URL')}",
                        extraHeaders=[f"X-Plain: {plant('extraHeaders')}"], secretExtraHeaders=["headers"]),
            secret("headers", stringData={"one": f"X-Token: {plant('secretExtraHeaders')}"}),
            data_volume("missing", f"http://{image}-not-there?sig={plant('query of a failing URL')}", secretRef="user"),
            secret("user", stringData={"accessKeyId": plant("accessKeyId"), "secretKey": plant("secretKey")}),
            data_volume("nowhere", f"http://{plant('user of no server')}:x@127.0.0.1:1/i?t={plant('query of no server')}"),
        ),
    }  # fmt: skip


def _all_text(body: dict[str, Any]) -> dict[str, Any]:
    """The test's writer of SOPS knows text only; a VM of text alone is still one."""
    spec = body["spec"]["template"]["spec"]
    spec.pop("terminationGracePeriodSeconds")
    spec["domain"]["devices"].pop("autoattachPodInterface")
    return body


def broken_files(canaries: Canaries) -> dict[str, str]:
    """Manifests that are wrong at, around or because of a secret; each its own fault."""
    plant = canaries.plant
    seeds: dict[str, Any] = {
        "mapping": {"userData": {"password": plant("userData as a mapping")}},
        "number": {"userData": canaries.number("userData as a number")},
        "list": {"userData": [plant("userData in a list")]},
        "not-base64": {"userDataBase64": f"{plant('userDataBase64 that is none')}!"},
        "misspelt": {"userdata": plant("userData misspelt")},
        "twice": {"userData": plant("userData beside base64"), "userDataBase64": plant("base64 beside userData")},
    }
    files = {
        f"vm-{name}.yaml": text(vm(f"broken-{name}", {"seed": {"cloudInitNoCloud": source}}))
        for name, source in seeds.items()
    }
    return files | {
        "secret-number.yaml": text(secret("number", stringData={"pin": canaries.number("Secret with a number")})),
        "secret-text.yaml": text(secret("text", stringData=plant("Secret that is text"))),
        "secret-list.yaml": text(secret("list", data=[plant("Secret that is a list")])),
        "secret-mapping.yaml": text(secret("mapping", stringData={"a": {"b": plant("Secret with a mapping")}})),
        "secret-base64.yaml": text(secret("base64", data={"a": f"{plant('data that is no base64')}!"})),
        "secret-field.yaml": text(secret("field", stringdata={"a": plant("stringData misspelt")})),
        "secret-kind.yaml": text({**secret("kind", stringData={"a": plant("Secret misspelt")}), "kind": "Secrett"}),
        "secret-null.yaml": f"{text(secret('null', stringData={'a': plant('Secret beside null')}))}  b:\n",
        "header.yaml": text(
            data_volume("header", "http://127.0.0.1/i", extraHeaders=[plant("extraHeaders that is none")])
        ),
        "header-text.yaml": text(
            data_volume("headers-text", "http://127.0.0.1/i", extraHeaders=plant("extraHeaders as text"))
        ),
        "url.yaml": text(data_volume("url", f"ftp://me:{plant('password in a bad URL')}@host/i?{plant('bad query')}")),
        "url-number.yaml": text(data_volume("url-number", [f"http://a:{plant('URL in a list')}@host/"])),
        "syntax-tab.yaml": f"apiVersion: v1\nkind: Secret\nstringData:\n\tpassword: {plant('beside a tab')}\n",
        "syntax-quote.yaml": f'apiVersion: v1\nkind: Secret\nstringData:\n  a: "{plant("in an open quote")}\n',
        "syntax-colon.yaml": f"apiVersion: v1\nkind: Secret\nstringData:\n  a: b: {plant('after two colons')}\n",
        "syntax-anchor.yaml": f"apiVersion: v1\nkind: Secret\nstringData:\n  a: *{plant('as an alias')}\n",
        "syntax-own-tag.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: own}}\nstringData:\n"
        f"  a: !{plant('as a tag')} x\n",
        "syntax-tag.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: tag}}\nstringData:\n"
        f"  a: !!int {plant('under a tag')}\n",
        "syntax-twice.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: twice}}\nstringData:\n"
        f"  a: {plant('first of two')}\n  a: {plant('second of two')}\n",
        "syntax-indent.yaml": f"apiVersion: v1\nkind: Secret\nmetadata: {{name: indent}}\nstringData:\n"
        f"    a: {plant('before bad indentation')}\n  b: {plant('at bad indentation')}\n",
        "broken.json": json.dumps(secret("json", stringData={"a": plant("in broken JSON")}))[:-3],
        "binary.yaml": f"# {plant('beside a control character')}\x07\napiVersion: v1\n",
    }
