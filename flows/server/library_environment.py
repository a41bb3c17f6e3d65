"""Environment variables that libraries read when they are imported: no telemetry, no progress bars in the log."""

import os

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "TQDM_DISABLE": "1",  # they would break the live view
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
CONSOLE = {
    # The live view is what a person reads; Prefect's own lines go to its server, where the UI shows them.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",  # a lost server: pages for every event
}
"""Settings of the command line."""


def apply(console: bool = False) -> None:
    """Set the variables that are not set.

    Args:
        console: also keep Prefect's log off the terminal.
    """
    for name, value in {**SETTINGS, **(CONSOLE if console else {})}.items():
        os.environ.setdefault(name, value)
