"""When a deployed study runs: by cron, by interval, or only when a person starts it."""

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from data.errors import InputError

if TYPE_CHECKING:
    from prefect.client.schemas.actions import DeploymentScheduleCreate

INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
LEAST_INTERVAL = 60
"""Seconds. Runs that come faster than a worker takes them wait, and all of them are run."""


@dataclass(frozen=True)
class Schedule:
    """When a deployed study runs; with neither cron nor interval, only when a person starts it."""

    cron: str | None = None
    interval: str | None = None
    timezone: str | None = None

    def checked(self) -> "list[DeploymentScheduleCreate]":
        """The schedule as Prefect takes it.

        Raises:
            InputError: one line with the option, the value and what is allowed.
        """
        from prefect.client.schemas.actions import DeploymentScheduleCreate
        from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
        from prefect.types._datetime import now

        if self.cron and self.interval:
            raise InputError("--cron and --interval: allowed is one of them")
        zone = self.timezone or "UTC"
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise InputError(f"--timezone {zone}: no such time zone; allowed: UTC, Europe/Berlin, ...") from None
        if self.cron is not None:
            try:
                return [DeploymentScheduleCreate(schedule=CronSchedule(cron=self.cron, timezone=zone))]
            except ValueError:
                raise InputError(
                    f"--cron {self.cron!r}: allowed are five fields: minute, hour, day of month, month, day of week, "
                    'such as "0 3 * * 1" for Mondays at 3:00'
                ) from None
        if self.interval is not None:
            every = IntervalSchedule(interval=self.every, anchor_date=now("UTC"), timezone=zone)
            return [DeploymentScheduleCreate(schedule=every)]
        if self.timezone:
            raise InputError("--timezone: it goes with --cron or --interval")
        return []

    @property
    def every(self) -> datetime.timedelta:
        """The interval: seconds, or a number with s, m, h, d or w.

        Raises:
            InputError: it is something else, or nothing.
        """
        parsed = INTERVAL.fullmatch(self.interval or "")
        seconds = float(parsed[1]) * SECONDS[parsed[2] or "s"] if parsed else 0
        if not LEAST_INTERVAL <= seconds <= 366 * SECONDS["d"]:
            raise InputError(
                f"--interval {self.interval!r}: allowed are seconds, or a number with s, m, h, d or w such as 12h, "
                "from a minute to a year"
            )
        return datetime.timedelta(seconds=seconds)

    def __str__(self) -> str:
        if self.cron is not None:
            return f"by cron {self.cron} ({self.timezone or 'UTC'})"
        return f"every {self.every}" if self.interval is not None else "when a person starts it"
