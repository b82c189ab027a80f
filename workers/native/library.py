"""Compiles kernels.c once for this machine and loads it; None where there is no compiler, and everything still works.

IGCV_NATIVE=off turns the kernels off; CC names the compiler. The library lies in the cache folder under a name made of the
source, the compiler and the processor, so that another machine with the same home directory makes its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

from workers.data.cache import cache_folder

SOURCE = Path(__file__).with_name("kernels.c")
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fopenmp",
)
COMPILERS = ("cc", "gcc", "clang")
MAX_FACTORS = 6
WIDTH = 8  # channels are handled in eights

logger = logging.getLogger(__name__)

Pointer = ctypes.c_void_p
Long = ctypes.c_int64


class Unit(ctypes.Structure):
    """`unit` of kernels.c."""

    _fields_ = (
        ("images", Long),
        ("height", Long),
        ("width", Long),
        ("channels", Long),
        ("out_height", Long),
        ("out_width", Long),
        ("out_channels", Long),
        ("stride", Long),
        ("taps", Pointer),
        ("taps_gradient", Pointer),
        ("factors", Long),
        ("widest", Long),
        ("groups", Long * MAX_FACTORS),
        ("inputs", Long * MAX_FACTORS),
        ("outputs", Long * MAX_FACTORS),
        ("shuffle", Long * MAX_FACTORS),
        ("weight_io", Pointer * MAX_FACTORS),
        ("weight_oi", Pointer * MAX_FACTORS),
        ("weight_gradient", Pointer * MAX_FACTORS),
    )


class Norm(ctypes.Structure):
    """`norm` of kernels.c."""

    _fields_ = (
        ("scale", Pointer),
        ("offset", Pointer),
        ("mean", Pointer),
        ("slope", Pointer),
        ("level", Pointer),
        ("shuffle", Long),
        ("bound", ctypes.c_float),
    )


SIGNATURES = {
    "norm_sums": (Pointer, Pointer, Pointer, Long, Long, ctypes.c_int),
    "norm_forward": (ctypes.POINTER(Norm), Pointer, Pointer, Long, Long, ctypes.c_int),
    "norm_backward_sums": (ctypes.POINTER(Norm), Pointer, Pointer, Pointer, Long, Long, ctypes.c_int),
    "norm_backward": (ctypes.POINTER(Norm), Pointer, Pointer, Pointer, Long, Long, ctypes.c_int),
    "unit_forward": (ctypes.POINTER(Unit), Pointer, Pointer, Pointer, Pointer, ctypes.c_int),
    "unit_backward": (ctypes.POINTER(Unit), ctypes.POINTER(Norm), Pointer, Pointer, Pointer, Pointer, ctypes.c_int),
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The kernels, compiled where they are not yet; None where they cannot be had."""
    if os.environ.get("IGCV_NATIVE", "").lower() == "off":
        return None
    compiler = _compiler()
    if compiler is None:
        logger.info("no C compiler found (CC, %s): training without the native kernels", ", ".join(COMPILERS))
        return None
    try:
        return _compiled(compiler)
    except (OSError, AttributeError, subprocess.SubprocessError) as error:
        logger.warning("the native kernels cannot be used (%s): training without them", error)
        return None


def _compiler() -> str | None:
    named = os.environ.get("CC")
    return next((found for name in ((named,) if named else COMPILERS) if (found := shutil.which(name))), None)


def _compiled(compiler: str) -> ctypes.CDLL:
    """From the cache where they are there. Without a cache they are compiled for each process."""
    folder = cache_folder()
    target = folder / f"kernels-{_machine_key(compiler)}.so" if folder else None
    if target is not None and target.exists():
        return _load(target)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / "kernels.so"
        command = [compiler, *FLAGS, str(SOURCE), "-o", str(made), "-lm"]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        loaded = _load(made)
        if target is not None:
            os.replace(made, target)
    return loaded


def _machine_key(compiler: str) -> str:
    """Names the source, the compiler and the processor's abilities."""
    digest = hashlib.sha256(SOURCE.read_bytes() + " ".join(FLAGS).encode())
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, timeout=60)
    digest.update(version.stdout)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        digest.update(next((line for line in lines if line.startswith(("flags", "Features"))), "").encode())
    except OSError:
        digest.update(str(os.uname()).encode())
    return digest.hexdigest()[:16]


def _load(path: Path) -> ctypes.CDLL:
    loaded = ctypes.CDLL(str(path))
    for name, arguments in SIGNATURES.items():
        function = getattr(loaded, name)
        function.argtypes, function.restype = arguments, None
    return loaded
