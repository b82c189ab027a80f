"""A trained network in files that need nothing of this program: torch.export, ONNX and safetensors, each checked.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from search_spaces.plan import Plan
from workers.builder import PlanNetwork, build
from workers.checkpoint import trained_weights
from workers.data.dataset import Dataset, load
from workers.inference import inference_network
from workers.records import DataSpec
from workers.trainer import normalised, score

PACKAGES = ("onnx", "onnxruntime", "onnxscript", "safetensors")
MODEL, ONNX, WEIGHTS = "model.pt2", "model.onnx", "model.safetensors"
IMAGES = 256  # of the validation split, on which the files are checked
TOLERANCE = 1e-4  # of the largest score: what another order of sums may change


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How far a file's scores are from those of the network as it was trained, layer by layer, in evaluation mode."""

    file: str
    images: int
    max_difference: float  # of any score
    tolerance: float
    same_top1: int  # images that are sorted into the same class


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, and what a stranger must know of the images."""

    checks: tuple[Check, ...]
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]  # of each channel, pixels 0..255
    std: tuple[float, ...]
    validation_accuracy: float  # of these weights, computed anew
    validation_images: int


def check_packages() -> None:
    """ValueError names the packages that exporting needs and that are not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ValueError(
            f"exporting needs {', '.join(missing)}, not installed here; pip install 'igcv-search[export]' brings them"
        )


def export(plan: Plan, weights: Path, data: DataSpec, folder: Path, key: str) -> Exported:
    """Writes MODEL, ONNX and WEIGHTS into `folder`, and checks the first two on images of the validation split.

    weights: a checkpoint's file; read as tensors and plain values alone. ValueError: it is another network's, or a
    file's scores are beyond TOLERANCE.
    """
    check_packages()
    network = build(plan)
    network.load_state_dict(trained_weights(weights, plan))
    network.eval()
    images = load(data)
    x_NCHW = normalised(images.validation.images_NCHW[:IMAGES], images.mean_C, images.std_C)
    with torch.inference_mode():
        wanted = torch.cat([network(part) for part in torch.split(x_NCHW, 64)])
    program = _program(network)
    _write_program(program, folder / MODEL)
    _write_onnx(program, folder / ONNX, key)
    _write_weights(network, folder / WEIGHTS, key)
    return Exported(
        checks=(
            _check(MODEL, _run_program(folder / MODEL), x_NCHW, wanted),
            _check(ONNX, _run_onnx(folder / ONNX), x_NCHW, wanted),
        ),
        classes=images.classes,
        image_shape=images.image_shape,
        mean=tuple(images.mean_C.tolist()),
        std=tuple(images.std_C.tolist()),
        validation_accuracy=_accuracy(network, images),
        validation_images=len(images.validation),
    )


def _accuracy(network: nn.Module, images: Dataset) -> float:
    return score(network, images.validation, images.mean_C, images.std_C, torch.float32)


def _program(network: PlanNetwork) -> torch.export.ExportedProgram:
    """The inference form as a graph, for any number of images."""
    folded = inference_network(network)
    example = torch.zeros(2, *network.plan.input_shape)
    program = torch.export.export(folded, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names files of this machine
    return program


def _write_program(program: torch.export.ExportedProgram, path: Path) -> None:
    torch.export.save(program, path)


def _write_onnx(program: torch.export.ExportedProgram, path: Path, key: str) -> None:
    import onnx

    made = torch.onnx.export(program, dynamo=True, input_names=["images"], output_names=["scores"], verbose=False)
    assert made is not None
    model = made.model_proto
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param == batch:
                size.dim_param = "batch"
    for node in model.graph.node:
        del node.metadata_props[:]
    model.producer_name = "igcv-search"
    onnx.helper.set_model_props(model, {"plan_key": key})
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _write_weights(network: nn.Module, path: Path, key: str) -> None:
    from safetensors.torch import save_file

    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(state, path, {"plan_key": key, "format": "pt"})


def _run_program(path: Path) -> Callable[[Tensor], Tensor]:
    module = torch.export.load(path).module()

    def run(x_NCHW: Tensor) -> Tensor:
        scores: Tensor = module(x_NCHW)
        return scores

    return run


def _run_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda x_NCHW: torch.from_numpy(session.run(["scores"], {"images": x_NCHW.numpy()})[0])


def _check(file: str, run: Callable[[Tensor], Tensor], x_NCHW: Tensor, wanted: Tensor) -> Check:
    """One image alone, then all others together: the batch is free."""
    with torch.inference_mode():
        given = torch.cat([run(part) for part in _alone_and_together(x_NCHW)])
    check = Check(
        file=file,
        images=len(x_NCHW),
        max_difference=(given - wanted).abs().max().item(),
        tolerance=TOLERANCE * max(1.0, wanted.abs().max().item()),
        same_top1=int((given.argmax(1) == wanted.argmax(1)).sum()),
    )
    if not check.max_difference <= check.tolerance:
        raise ValueError(
            f"{file} is not what was trained: its scores differ by up to {check.max_difference:.2g}, tolerated are "
            f"{check.tolerance:.2g}; {check.same_top1} of {check.images} images are sorted alike. Nothing was exported"
        )
    return check


def _alone_and_together(x_NCHW: Tensor) -> Sequence[Tensor]:
    return [part for part in (x_NCHW[:1], x_NCHW[1:]) if len(part)]
