"""A pickle that leaves a mark when anything loads it, in every form a loader might take it."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any


class Mark:
    """Creates a file when it is unpickled."""

    def __init__(self, at: Path) -> None:
        self.at = at

    def __reduce__(self) -> Any:
        return open, (str(self.at), "w")


def pickled(at: Path) -> bytes:
    return pickle.dumps(Mark(at))


def torch_file(at: Path) -> bytes:
    """As `torch.save` writes it: a zip with the pickle inside."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(at))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/byteorder", "little")
    return content.getvalue()


def numpy_file(at: Path) -> bytes:
    """As `numpy.save` writes an array of objects."""
    import numpy

    content = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(content, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return content.getvalue() + pickled(at)
