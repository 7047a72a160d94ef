"""What can be held of the images without building them: they are made of what there is, for the users that the manifests name."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "Containerfile").read_text()
STEPS = [
    tuple(step.split(maxsplit=1))
    for step in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", TEXT, flags=re.M)).splitlines()
    if step.strip()
]
STAGES = [step[1].split() for step in STEPS if step[0] == "FROM"]


def steps_of(stage: str) -> list[tuple[str, ...]]:
    """The steps of one stage."""
    starts = [number for number, step in enumerate(STEPS) if step[0] == "FROM"] + [len(STEPS)]
    begin = next(number for number in starts if STEPS[number][1].endswith(f" AS {stage}"))
    return STEPS[begin : next(number for number in starts if number > begin)]


def installed(stage: str) -> set[str]:
    """The Debian packages of one stage."""
    runs = " && ".join(step[1] for step in steps_of(stage) if step[0] == "RUN")
    found = re.findall(r"apt-get install ([^&]*)", runs)
    return {word for words in found for word in words.split() if not word.startswith("-")}


def test_every_stage_stands_on_the_base_or_on_one_before() -> None:
    names = [name for _, _, name in STAGES]
    for number, (origin, _, _) in enumerate(STAGES):
        assert origin == "${BASE}" or origin in names[:number]
    assert next(step[1] for step in STEPS if step[0] == "ARG").startswith("BASE=")
    assert names[-1] == "cluster"


def test_what_is_copied_and_installed_is_there() -> None:
    for verb, rest in STEPS:
        if verb == "COPY" and not rest.startswith("--from="):
            *sources, _ = rest.split()
            assert all((ROOT / source).exists() for source in sources), rest
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = set(project["project"]["optional-dependencies"])
    named = re.findall(r"/src\[([a-z,]+)\]", TEXT)
    assert named == ["kubevirt", "libvirt"]
    assert {extra for group in named for extra in group.split(",")} <= extras
    for package in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        assert f"COPY {package.rstrip('*')} " in TEXT


def test_only_what_runs_is_in_the_images() -> None:
    assert {"git", "openssh-client", "gpgv", "python3", "ca-certificates"} <= installed("runtime")
    assert not {"gcc", "libvirt-dev", "python3-dev", "python3-venv", "make"} & (
        installed("runtime") | installed("host") | installed("cluster")
    )
    assert installed("host") == {"libvirt0", "qemu-utils"}
    assert not installed("cluster")


def test_nothing_of_a_machine_that_builds_gets_in() -> None:
    assert not re.search(r"(?i)index-url|trusted-host|proxy|token|password", TEXT)
    assert set(re.findall(r"https?://[^\s\"]+", TEXT)) == set()


def test_the_cluster_image_runs_as_the_user_that_the_pod_names() -> None:
    user = [step[1] for step in steps_of("cluster") if step[0] == "USER"]
    deployment = yaml.safe_load((ROOT / "deploy/kubernetes/base/deployment.yaml").read_text())
    security = deployment["spec"]["template"]["spec"]["securityContext"]
    assert user == [f"{security['runAsUser']}:{security['runAsGroup']}"]
    assert not any(step[0] == "USER" for step in steps_of("host"))
    assert [shlex.split(step[1].strip("[]")) for step in steps_of("runtime") if step[0] == "ENTRYPOINT"] == [
        ["gitvirt"]
    ]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["run"]
