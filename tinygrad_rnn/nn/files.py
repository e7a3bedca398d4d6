"""Reading the weights of a ``.safetensors`` file: what PyTorch's users save a state dict as."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def _as(dtype: str) -> Callable[[Any], Array]:
    return lambda data: np.frombuffer(data, dtype)


def _bfloat16(data: Any) -> Array:
    """The upper halves of float32 numbers, so the conversion is exact."""
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


_READERS = {
    **{"F64": _as("<f8"), "F32": _as("<f4"), "F16": _as("<f2"), "BF16": _bfloat16, "BOOL": _as("?"), "C64": _as("<c8")},
    **{f"I{8 * size}": _as(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": _as(f"<u{size}") for size in (1, 2, 4, 8)},
}


def read_safetensors(path: str | os.PathLike[str], where: str) -> dict[str, Array]:
    """The arrays of a ``.safetensors`` file by name; bfloat16, which NumPy lacks, becomes float32 (exactly).

    Args:
        path: Of the file.
        where: Who asks, as error messages begin.

    Raises:
        ImportError: safetensors is not installed.
        OSError: the file cannot be read.
        ValueError: it is not a safetensors file, or holds a dtype that NumPy lacks.
    """
    try:
        from safetensors import SafetensorError, deserialize
    except ImportError as error:
        raise ImportError(
            f'{where}: reading a .safetensors file needs safetensors: pip install "tinygrad-rnn[training]"'
        ) from error
    parse: Any = deserialize  # it comes without annotations
    content = Path(path).read_bytes()
    try:
        entries = parse(content)
    except SafetensorError as error:
        raise ValueError(
            f"{where}: {os.fspath(path)!r} is not a safetensors file ({error}); a file of torch.save must be read with "
            f"torch.load, and the mapping given"
        ) from error
    unknown = [f"{name} ({entry['dtype']})" for name, entry in entries if entry["dtype"] not in _READERS]
    if unknown:
        raise ValueError(
            f"{where}: {os.fspath(path)!r} holds numbers that NumPy cannot read: {', '.join(unknown)}; save them as "
            f"float32"
        )
    return {name: _READERS[entry["dtype"]](entry["data"]).reshape(entry["shape"]) for name, entry in entries}
