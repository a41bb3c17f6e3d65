"""The header of a safetensors file: what it holds, known without loading it."""

import json
import os
from pathlib import Path

LARGEST = 100_000_000
"""Bytes of a header; the format itself allows no more."""


def tensors(path: Path) -> dict[str, tuple[int, ...]]:
    """The tensors in a file: their names and shapes.

    Source: https://github.com/huggingface/safetensors#format (8 bytes of header length, the header as JSON, the data).

    Raises:
        ValueError: the file is none, or is cut off; says why.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if total < 8 or length > min(LARGEST, total - 8):
            raise ValueError("its header is longer than the file")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError):
            raise ValueError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")
    header.pop("__metadata__", None)
    try:
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        shapes = {name: tuple(int(size) for size in entry["shape"]) for name, entry in header.items()}
    except (TypeError, KeyError, IndexError, ValueError):
        raise ValueError("its header lacks the places or shapes of its tensors") from None
    if end != total - 8 - length:
        raise ValueError(f"its tensors need {end:,} bytes, and {total - 8 - length:,} are there")
    return shapes
