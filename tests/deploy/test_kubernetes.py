"""The example for Kubernetes: what its objects name exists among them, and its service file is one that roles read."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.metrics import CONTROL, ROLES
from streams.service import load_service
from streams.service_file import ServiceFile
from streams.topics import Names

FOLDER = Path(__file__).resolve().parents[2] / "deploy/kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
OBJECTS: list[dict[str, Any]] = [
    found for file in FILES for found in yaml.safe_load_all(file.read_text("utf-8"))
]
OPERATORS = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}  # not Kubernetes' own kinds


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] in kinds}


WORKLOADS = of_kind("Deployment", "StatefulSet")


def container(role: str) -> dict[str, Any]:
    (only,) = WORKLOADS[role]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_there_is_a_workload_and_a_disruption_budget_for_each_role() -> None:
    assert set(WORKLOADS) == set(ROLES)
    assert WORKLOADS["joiner"]["kind"] == "StatefulSet"
    assert set(of_kind("PodDisruptionBudget")) == set(ROLES)
    names = {(found["kind"], found["metadata"]["name"]) for found in OBJECTS}
    assert len(names) == len(OBJECTS)
    outside = [f["metadata"]["name"] for f in OBJECTS if "namespace" not in f["metadata"]]
    assert outside == ["leeway"]  # the namespace itself


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_may_do_little_and_has_time_to_drain(role: str) -> None:
    pod = WORKLOADS[role]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["terminationGracePeriodSeconds"] > 30
    assert container(role)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= container(role)["resources"].keys()
    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container(role).keys()


@pytest.mark.parametrize("role", ROLES)
def test_a_pod_runs_its_role_and_finds_what_it_mounts(role: str) -> None:
    workload, of = WORKLOADS[role]["spec"], container(role)
    assert of["args"][:3] == ["run", "--role", role]
    assert ("$(POD_NAME)" in of["args"]) == (role != CONTROL)
    assert workload["selector"]["matchLabels"] == workload["template"]["metadata"]["labels"]
    budget = of_kind("PodDisruptionBudget")[role]["spec"]["selector"]["matchLabels"]
    assert budget == workload["selector"]["matchLabels"]
    volumes = {volume["name"] for volume in workload["template"]["spec"]["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workload.get("volumeClaimTemplates", ())}
    assert {mount["name"] for mount in of["volumeMounts"]} == volumes
    assert of_kind("ConfigMap").keys() == {"leeway"}
    port = ServiceFile().http.port if role == CONTROL else ServiceFile().metrics.port
    assert [each["containerPort"] for each in of["ports"]] == [port]


def test_secrets_are_named_and_not_in_it() -> None:
    assert not of_kind("Secret")
    text = "\n".join(file.read_text("utf-8") for file in FILES)
    made = set(re.findall(r"create secret generic (\S+)", text))
    named = set(re.findall(r"(?:secretKeyRef: \{name: |secretName: )([\w-]+)", text))
    assert named - {"leeway-slack"} == made == {"leeway-kafka", "leeway-http"}


def test_the_service_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "leeway.yaml"
    path.write_text(of_kind("ConfigMap")["leeway"]["data"]["leeway.yaml"])
    service = load_service(path, {"LEEWAY_KAFKA_SASL_PASSWORD": "given"})
    assert service.properties["sasl.password"] == "given"
    assert service.http.host == "0.0.0.0"
    mounts = {mount["mountPath"] for mount in container(CONTROL)["volumeMounts"]}
    assert str(service.http.tokens_file) == "/etc/leeway-http/tokens"
    assert "/etc/leeway-http" in mounts


def test_roles_are_scaled_by_the_lag_of_their_own_group() -> None:
    names = Names("leeway.")
    scaled = of_kind("ScaledObject")
    assert set(scaled) == set(ROLES) - {CONTROL}
    for role, found in scaled.items():
        spec = found["spec"]
        assert spec["scaleTargetRef"] == {"kind": WORKLOADS[role]["kind"], "name": role}
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "kafka"
        assert trigger["metadata"]["consumerGroup"] == f"{names.prefix}{role}"
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")


def test_every_pod_is_scraped_once() -> None:
    scraped: list[str] = []
    for found in of_kind("PodMonitor").values():
        (endpoint,) = found["spec"]["podMetricsEndpoints"]
        selector = found["spec"]["selector"]
        wanted = dict(selector.get("matchLabels", {}))
        allowed = {each["key"]: each["values"] for each in selector.get("matchExpressions", ())} | {
            key: [value] for key, value in wanted.items()
        }
        for role in ROLES:
            labels = WORKLOADS[role]["spec"]["template"]["metadata"]["labels"]
            if all(labels[key] in values for key, values in allowed.items()):
                assert endpoint["port"] in [port["name"] for port in container(role)["ports"]]
                scraped.append(role)
    assert sorted(scraped) == sorted(ROLES)


def test_every_object_fits_kubernetes_schemas(tmp_path: Path) -> None:
    validator = shutil.which("kubernetes-validate")
    if validator is None:
        pytest.skip("kubernetes-validate is not installed: pipx install kubernetes-validate")
    own = [found for found in OBJECTS if found["apiVersion"] not in OPERATORS]
    assert len(own) > 10
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(own))
    done = subprocess.run(
        [validator, "--strict", "--quiet", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    path.write_text(yaml.safe_dump_all(own).replace("readOnlyRootFilesystem", "readOnlyRoot"))
    code = subprocess.call([validator, "--strict", "--quiet", str(path)], stderr=subprocess.DEVNULL)
    assert code != 0  # it does look
