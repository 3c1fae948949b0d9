"""The systemd units and the Kubernetes example: hardened, with probes, commands of ours."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.compose import ROOT
from tests.unit.deploy.test_compose import taken
from worker.config.describe import describe

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
MANIFEST = ROOT / "deploy" / "kubernetes" / "bulkdel.yaml"
KNOWN = {row.name for row in describe()}

Values = dict[str, list[str]]


def service(unit: Path) -> Values:
    """What stands under [Service]; a key may stand there more than once."""
    text = unit.read_text(encoding="utf-8").partition("[Service]")[2].partition("\n[")[0]
    found: Values = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_runs_a_command_of_ours_with_settings_of_ours(unit: Path) -> None:
    said = service(unit)

    program, *args = shlex.split(said["ExecStart"][0])
    assert program == "/opt/bulkdel/bin/bulkdel"
    taken(args)
    assert {line.partition("=")[0] for line in said["Environment"]} <= KNOWN


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_has_few_rights_and_its_secrets_from_files(unit: Path) -> None:
    said = service(unit)

    assert said["User"] == ["bulkdel"]
    assert said["NoNewPrivileges"] == ["yes"]
    assert said["ProtectSystem"] == ["strict"]
    assert said["CapabilityBoundingSet"] == [""]
    handed_in = {line.partition(":")[0] for line in said["LoadCredential"]}
    used = {line.partition("%d/")[2] for line in said["Environment"] if "%d/" in line}
    assert used == handed_in


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_a_unit(unit: Path, tmp_path: Path) -> None:
    # The program is not installed here; everything else is looked at as it stands.
    text = unit.read_text(encoding="utf-8").replace("/opt/bulkdel/bin/bulkdel", "/bin/true")
    copy = tmp_path / unit.name.replace("@.", "@1.")
    copy.write_text(text, encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )

    ours = [
        line for line in done.stderr.splitlines() if str(tmp_path) in line or unit.stem in line
    ]
    assert ours == []


def test_units_are_files_of_sections() -> None:
    for unit in UNITS:
        parser = configparser.RawConfigParser(strict=False)
        parser.read(unit)
        assert {"Unit", "Service"} <= set(parser.sections())


# --- Kubernetes -------------------------------------------------------------------------------

Document = dict[str, Any]


def documents() -> list[Document]:
    return list(yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")))


def pod(document: Document) -> Document:
    spec: Document = document["spec"]["template"]["spec"]
    return spec


def containers() -> list[Document]:
    return [one for document in documents() for one in pod(document)["containers"]]


def test_the_example_has_workers_beat_and_the_migration() -> None:
    kinds = [
        (document["kind"], pod(document)["containers"][0]["name"]) for document in documents()
    ]

    assert kinds == [("Job", "migrate"), ("Deployment", "worker"), ("Deployment", "beat")]


def test_a_selector_finds_its_pods() -> None:
    for document in documents():
        if document["kind"] == "Deployment":
            labels = document["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"] == labels


def test_no_pod_runs_as_root_or_writes_into_its_image() -> None:
    for document in documents():
        context = pod(document)["securityContext"]
        assert context["runAsNonRoot"] is True
        assert pod(document)["automountServiceAccountToken"] is False
    for container in containers():
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert re.search(r":[0-9.]+$", container["image"])


def test_every_mount_has_its_volume() -> None:
    for document in documents():
        volumes = {volume["name"] for volume in pod(document)["volumes"]}
        mounts = {m["name"] for c in pod(document)["containers"] for m in c["volumeMounts"]}
        assert mounts == volumes


def test_probes_and_commands_are_ours() -> None:
    for container in containers():
        taken([str(word) for word in container["args"]])
        assert {setting["name"] for setting in container["env"]} <= KNOWN
        probes = {name: container[name] for name in container if name.endswith("Probe")}
        assert container["name"] == "migrate" or {"startupProbe", "livenessProbe"} <= probes.keys()
        for probe in probes.values():
            program, *args = probe["exec"]["command"]
            assert program == "bulkdel"
            taken(args)
            assert probe["timeoutSeconds"] >= 5
