"""What `--json` prints."""

import json
from typing import Any


def say(data: dict[str, Any]) -> None:
    """Print for machines."""
    print(json.dumps(data, indent=1, ensure_ascii=False))
