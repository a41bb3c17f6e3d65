"""`mothertongue benchmarks|verifiers|origins|methods`: what a study can name, one line each."""

from collections.abc import Mapping

from data import benchmark, kinds
from flows.results.json_output import say


def show(what: str, as_json: bool) -> None:
    """Print the name of each kind there is, and what it is in a sentence.

    Args:
        what: `benchmarks`, `verifiers`, `origins` or `methods`.
    """
    found = described(what)
    if as_json:
        say({what: [{"name": name, "about": about} for name, about in found.items()]})
        return
    width = max(map(len, found))
    for name, about in found.items():
        print(f"{name:<{width}}  {about}")


def described(what: str) -> Mapping[str, str]:
    """What each is in a sentence, by name: the first of the docstring of its file."""
    if what == "benchmarks":
        return benchmark.described()
    return {name: kinds.about(f"tasks.{what}", name, what) for name in kinds.names(f"tasks.{what}")}
