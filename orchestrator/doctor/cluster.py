"""What is checked of the cluster: that it answers, that its nodes hold the workers, and what they see."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.doctor.data import Look
from orchestrator.doctor.finding import Findings
from orchestrator.experiment import Experiment
from orchestrator.pools.fitting import NodeFacts, fitting, matches
from orchestrator.running import checkpoints_place
from workers.places import Folder, Place
from workers.records import DataSpec

SECONDS = 120.0


def check_cluster(experiment: Experiment, here: Look, findings: Findings) -> None:
    """The machines of `resources`: this one alone, or the cluster at its address."""
    resources = experiment.resources
    if resources.gpus_per_worker > 1 and resources.gpus_per_worker % 1:
        findings.fail("resources", f"gpus_per_worker {resources.gpus_per_worker}: give whole GPUs, or a share below 1")
    if resources.pool == "inline":
        findings.ok("cluster", "none: trainings run in the driver's own process")
    elif resources.address is None:
        _check_this_machine(experiment, findings)
    else:
        with findings.checking("cluster"):
            _check_nodes(experiment, here, findings)


def _check_this_machine(experiment: Experiment, findings: Findings) -> None:
    resources, cpus = experiment.resources, os.cpu_count() or 1
    wanted = (resources.workers or 1) * resources.cpus_per_worker
    if resources.gpus_per_worker and not any(Path("/dev").glob("nvidia[0-9]*")):
        findings.fail("cluster", "resources.gpus_per_worker asks for GPUs, and this machine shows none; set it to 0")
    elif wanted > cpus:
        findings.warn(
            "cluster", f"the workers want {wanted:g} CPUs, this machine has {cpus}: they share them, and are slower"
        )
    else:
        findings.ok(
            "cluster", f"Ray is started on this machine, {cpus} CPUs, for {resources.workers or 'as many as fit'}"
        )


def _check_nodes(experiment: Experiment, here: Look, findings: Findings) -> None:
    from orchestrator.pools.ray import ask_nodes, cluster_nodes, connect

    resources = experiment.resources
    assert resources.address is not None
    with connect(resources.address):
        nodes = cluster_nodes()
        findings.ok("cluster", f"{resources.address} answers and takes the token; {_sum(nodes)}")
        fit = _check_fit(experiment, nodes, findings)
        there = _nearest(checkpoints_place(experiment))
        with _marked(there) as mark:
            spec = experiment.data.spec()
            looks: dict[str, Look | str] = ask_nodes(
                [node for node in nodes if fit and matches(node.labels, resources.labels)],
                "orchestrator.doctor.data:look",
                (spec, mark),
                SECONDS,
            )
        _check_looks(spec, there.address, here, looks, findings)


def _nearest(wanted: Place) -> Place:
    """The place, or the folder above it that is there: a look makes no folders."""
    if not isinstance(wanted, Folder):
        return wanted
    return Folder(next(path for path in (wanted.path, *wanted.path.parents) if path.exists()))


@contextmanager
def _marked(there: Place) -> Iterator[str]:
    """The address of a small file that the nodes are to see."""
    name = f".igcv-doctor-{uuid.uuid4().hex[:12]}"
    there.write(name, b"igcv")
    try:
        yield there.file(name)
    finally:
        there.remove(name)


def _check_fit(experiment: Experiment, nodes: list[NodeFacts], findings: Findings) -> bool:
    resources = experiment.resources
    able = [node for node in nodes if matches(node.labels, resources.labels)]
    fit = fitting(nodes, resources.cpus_per_worker, resources.gpus_per_worker, resources.labels)
    needs = f"a worker of {resources.cpus_per_worker:g} CPUs and {resources.gpus_per_worker:g} GPUs"
    if not able:
        seen = sorted(
            {f"{key}={value}" for node in nodes for key, value in node.labels.items() if key != "ray.io/node-id"}
        )
        findings.fail(
            "workers",
            f"no node has the labels of resources.labels ({_pairs(resources.labels)}); there are {', '.join(seen) or 'none'}. "
            "Start nodes with --labels, or change the selector; an autoscaling cluster may still add some",
        )
    elif not fit:
        findings.fail("workers", f"no node holds {needs}; the largest that match have {_sum(able)}")
    elif resources.workers is not None and fit < resources.workers:
        findings.warn("workers", f"{fit} of {resources.workers} workers fit now; the others wait for nodes that join")
    else:
        findings.ok("workers", f"{fit} fit ({needs}), {resources.workers or 'as many as fit'} are asked for")
    return fit > 0


def _check_looks(spec: DataSpec, there: str, here: Look, looks: dict[str, Look | str], findings: Findings) -> None:
    for node, seen in looks.items():
        if isinstance(seen, str):
            findings.fail(f"node {node}", seen)
        elif seen.fault is not None:
            findings.fail(
                f"node {node}", f"{seen.fault} (seen from there); put the data under the same path on every node"
            )
        elif here.fault is None and seen.fingerprint != here.fingerprint:
            findings.fail(
                f"node {node}",
                f"its data are others: fingerprint {seen.fingerprint}, here {here.fingerprint}; copy them anew",
            )
        elif not seen.mark_seen:
            findings.fail(
                f"node {node}",
                f"it does not see the driver's {there}: a trial that moves would start again; set `checkpoints` to a folder "
                "that all nodes share, or to a bucket that all of them have credentials for",
            )
        elif not seen.writable:
            findings.fail(f"node {node}", f"its user may not write to {there}, where checkpoints go")
        else:
            findings.ok(f"node {node}", f"it reads the same {spec.name} and writes to the same {there}")


def _sum(nodes: list[NodeFacts]) -> str:
    gpus = sum(node.gpus for node in nodes)
    return f"{len(nodes)} nodes, {sum(node.cpus for node in nodes):g} CPUs, {gpus:g} GPUs"


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"{key}: {value}" for key, value in labels.items())
