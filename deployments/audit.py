"""`make audit`: are vulnerabilities known of any package that the locks pin?

Fails when there are, and also when it cannot know: `pip-audit` calls a package that its service has not heard of
skipped, and ends well with every single one skipped, as behind an index that has packages but no advisories.
"""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCKS = tuple(sorted(Path(__file__).parent.glob("requirements-*.txt")))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;+]+)")
"""A name and its public version: builds for a device (`+cpu`) have the advisories of what they were built from."""


@dataclass(frozen=True)
class Audit:
    """What is known of the packages of one lock."""

    packages: int
    unknown: tuple[str, ...]
    found: tuple[str, ...]
    """One line for each vulnerability."""


def main() -> int:
    """Print what was found, a line each; 1 where something was, or where not everything could be looked up."""
    failed = False
    for lock in LOCKS:
        audit = audit_of(pins(lock))
        if isinstance(audit, Audit) and len(audit.unknown) == audit.packages:
            audit = (
                f"the service of advisories knows none of its {audit.packages} packages (no network, or an index that "
                "has packages only?)"
            )
        if isinstance(audit, str):
            print(f"{lock.name}: not audited: {audit}")
            failed = True
            continue
        for line in audit.found:
            print(f"{lock.name}: {line}")
        known = audit.packages - len(audit.unknown)
        print(f"{lock.name}: {known} of {audit.packages} packages audited, {len(audit.found)} known vulnerabilities")
        if audit.unknown:
            names = ", ".join(audit.unknown[:5]) + (", …" if len(audit.unknown) > 5 else "")
            print(f"{lock.name}: NOT audited, since the service of advisories does not know them: {names}")
        failed = failed or bool(audit.found or audit.unknown)
    return int(failed)


def pins(lock: Path) -> list[str]:
    """The lock's packages as `name==version`."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [f"{found[1]}=={found[2]}" for line in lines if (found := PIN.match(line))]


def audit_of(packages: list[str]) -> Audit | str:
    """What pip-audit says of the packages; one line that says why where it says nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write("\n".join(packages))
        listed.flush()
        command = ["-m", "pip_audit", "--requirement", listed.name, "--no-deps", "--disable-pip", "--format", "json"]
        ended = subprocess.run(
            [sys.executable, *command, "--progress-spinner", "off"], capture_output=True, text=True, check=False
        )
    try:
        dependencies: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = ended.stderr.strip().splitlines()
        return lines[-1][:300] if lines else f"pip-audit ended with {ended.returncode}"
    return Audit(
        packages=len(dependencies),
        unknown=tuple(one["name"] for one in dependencies if "skip_reason" in one),
        found=tuple(
            f"{one['name']} {one['version']}: {known['id']}"
            + (f", fixed in {', '.join(known['fix_versions'])}" if known["fix_versions"] else ", not fixed yet")
            for one in dependencies
            for known in one.get("vulns", [])
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
