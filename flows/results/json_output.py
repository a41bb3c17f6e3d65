"""What `--json` prints."""

import json
from typing import Any

from data.visible import in_json


def say(data: dict[str, Any]) -> None:
    """Print for machines."""
    print(in_json(json.dumps(data, indent=1, ensure_ascii=False)))
