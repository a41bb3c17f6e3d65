"""What libraries are told before they are imported: no reports to their makers, no bars in the log."""

import os

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TQDM_DISABLE": "1",  # bars of libraries would break the view
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}


def quiet() -> None:
    """Set what the environment does not set itself."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
