"""Files for KubeRay: core kinds and pods against Kubernetes' schemas, Ray's own kinds against their documented fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
ROOT = DOCKER.parent
KUBERNETES = "1.34"
UNPRIVILEGED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
# The fields of ray.io/v1 as KubeRay 1.7 documents them, as far as these files may use them: name -> type.
CLUSTER = {
    "rayVersion": str, "authOptions": dict, "enableInTreeAutoscaling": bool, "autoscalerOptions": dict,
    "headGroupSpec": dict, "workerGroupSpecs": list, "suspend": bool, "gcsFaultToleranceOptions": dict,
}  # fmt: skip
GROUP = {"rayStartParams": dict, "template": dict, "labels": dict, "resources": dict}
WORKERS = {
    **GROUP,
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
    "idleTimeoutSeconds": int,
}
JOB = {
    "entrypoint": str, "backoffLimit": int, "shutdownAfterJobFinishes": bool, "ttlSecondsAfterFinished": int,
    "rayClusterSpec": dict, "runtimeEnvYAML": str, "submissionMode": str, "activeDeadlineSeconds": int,
}  # fmt: skip


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DOCKER / "kuberay" / name).read_text()))


CLUSTER_SPEC: dict[str, Any] = documents("cluster.yaml")[0]["spec"]
JOB_SPEC: dict[str, Any] = documents("job.yaml")[0]["spec"]
GROUPS: list[dict[str, Any]] = [CLUSTER_SPEC["headGroupSpec"], *CLUSTER_SPEC["workerGroupSpecs"]]
STATE = documents("state.yaml")


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Every pod's template, by the name of what makes it."""
    rays = [(group.get("groupName", "head"), group["template"]) for group in GROUPS]
    return rays + [
        (one["metadata"]["name"], one["spec"]["template"]) for one in STATE if "template" in one.get("spec", {})
    ]


def _check(content: dict[str, Any]) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="the extra `test` has kubernetes-validate")
    validator.validate(content, KUBERNETES, strict=True)


@pytest.mark.parametrize("content", STATE, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_schema_holds(content: dict[str, Any]) -> None:
    _check(content)


@pytest.mark.parametrize(("name", "template"), pods())
def test_a_pod_is_one(name: str, template: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": template["spec"]}
    _check(pod)
    with pytest.raises(Exception, match="Additional properties"):
        _check({**pod, "spec": {**template["spec"], "terminationGracePeriod": 1}})


@pytest.mark.parametrize(("name", "template"), pods())
def test_a_pod_is_not_root_and_says_what_it_takes(name: str, template: dict[str, Any]) -> None:
    person = template["spec"]["securityContext"]
    assert person["runAsNonRoot"] is True
    assert person["runAsUser"] > 0
    assert person["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in template["spec"]["containers"]:
        assert container["securityContext"] == UNPRIVILEGED
        assert set(container["resources"]) == {"requests", "limits"}
        assert re.search(r":\d+\.\d+", container["image"]), "an image without a pinned tag"
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        claimed = {one["metadata"]["name"] for one in _claims(name)}
        assert mounted <= {volume["name"] for volume in template["spec"].get("volumes", [])} | claimed


@pytest.mark.parametrize(
    ("content", "fields", "required"),
    [
        (CLUSTER_SPEC, CLUSTER, {"headGroupSpec"}),
        (GROUPS[0], GROUP, {"template"}),
        *((group, WORKERS, {"groupName", "minReplicas", "maxReplicas", "template"}) for group in GROUPS[1:]),
        (JOB_SPEC, JOB, {"entrypoint", "rayClusterSpec"}),
        (CLUSTER_SPEC["authOptions"], {"mode": str, "secretName": str}, {"mode"}),
    ],
)
def test_rays_kinds_have_documented_fields_alone(
    content: dict[str, Any], fields: dict[str, type], required: set[str]
) -> None:
    assert required <= set(content) <= set(fields)
    assert all(type(value) is fields[name] for name, value in content.items())


def test_rays_kinds_are_v1_and_their_start_parameters_are_words() -> None:
    for name, kind in (("cluster.yaml", "RayCluster"), ("job.yaml", "RayJob")):
        (one,) = documents(name)
        assert (one["apiVersion"], one["kind"]) == ("ray.io/v1", kind)
    for group in GROUPS:
        assert all(type(value) is str for value in group["rayStartParams"].values())
        assert "labels" not in group["rayStartParams"]  # KubeRay refuses them there
    for group in GROUPS[1:]:
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_jobs_cluster_is_the_cluster() -> None:
    assert JOB_SPEC["rayClusterSpec"] == CLUSTER_SPEC
    script = JOB_SPEC["entrypoint"].split()[0]
    assert (DOCKER / "entrypoints" / Path(script).name).is_file()
    assert script == f"/opt/entrypoints/{Path(script).name}"


def test_a_token_is_asked_for_and_secrets_are_references() -> None:
    assert CLUSTER_SPEC["authOptions"] == {"mode": "token", "secretName": "igcv-ray-token"}
    assert not [one for one in STATE if one["kind"] == "Secret"]
    for name, template in pods():
        for variable in (item for container in template["spec"]["containers"] for item in container.get("env", [])):
            if re.search("PASSWORD|TOKEN", variable["name"]) and not variable["name"].endswith("_FILE"):
                assert set(variable["valueFrom"]["secretKeyRef"]) == {"name", "key"}, name


def test_the_gpu_group_is_found_by_its_label() -> None:
    (group,) = [group for group in GROUPS[1:] if "labels" in group]
    assert group["labels"]["ray.io/accelerator-type"]
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"]
    assert container["image"].endswith("-cuda")
    assert group["template"]["spec"]["nodeSelector"]


def test_rays_version_is_the_one_that_is_installed() -> None:
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert CLUSTER_SPEC["rayVersion"] == pinned[1]


def test_claims_and_services_that_are_named_exist() -> None:
    made = {(one["kind"], one["metadata"]["name"]) for one in STATE}
    for _, template in pods():
        for volume in template["spec"]["volumes"]:
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or ("PersistentVolumeClaim", claim["claimName"]) in made
        for variable in (item for one in template["spec"]["containers"] for item in one.get("env", [])):
            for host in re.findall(r"(?:@|//)(igcv-[\w-]+)", variable.get("value", "")):
                assert ("Service", host) in made, host


def _claims(name: str) -> list[dict[str, Any]]:
    owner = next((one for one in STATE if one["metadata"]["name"] == name and one["kind"] == "StatefulSet"), None)
    return [] if owner is None else list(owner["spec"]["volumeClaimTemplates"])
