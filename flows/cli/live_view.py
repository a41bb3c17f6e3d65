"""What a person sees while a study runs: one live view on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections import Counter
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from data.visible import visible
from flows.cli.terminal import drawn_on
from flows.planning.plan import Plan

PLAIN_EVERY = 15.0
"""Seconds between progress lines where there is no terminal."""


class View:
    """Listens to the runtime and shows stages, rows and time left; `quiet`: nothing."""

    def __init__(self, plan: Plan, minutes: float | None, quiet: bool = False) -> None:
        self.console = Console(file=drawn_on(sys.stderr))
        self._quiet = quiet
        self._total = Counter(node.stage.name for node in plan.nodes)
        self._order = list(dict.fromkeys(node.stage.name for node in plan.nodes))
        self._done: Counter[str] = Counter()
        self._hits: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._progress: dict[str, tuple[int, int, str]] = {}
        """Done, in all and of what, by run."""
        self._running: dict[str, float] = {}
        self._notes: list[str] = []
        self._expected = minutes * 60 if minutes else None
        self._started = time.monotonic()
        self._said = self._started
        self._lock = threading.Lock()
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> "View":
        if self.console.is_terminal and not self._quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def __call__(self, event: str, run: str, facts: dict[str, Any]) -> None:
        if self._quiet:
            return
        stage = run.split(" ", 1)[0]
        with self._lock:
            match event:
                case "start":
                    self._running[run] = time.monotonic()
                case "progress":
                    self._progress[run] = (facts["done"], facts["total"], facts["unit"])
                case "done" | "hit" | "failed":
                    self._running.pop(run, None)
                    self._progress.pop(run, None)
                    counter = {"done": self._done, "hit": self._hits, "failed": self._failed}[event]
                    counter[stage] += 1
            line = visible(self._line(event, run, facts))
        if line and self.console.is_terminal:
            if event in {"note", "failed"}:
                self._live.console.print(line, highlight=False, markup=False)
        elif line:
            print(line, file=sys.stderr, flush=True)

    def _line(self, event: str, run: str, facts: dict[str, Any]) -> str:
        clock = _clock(time.monotonic() - self._started)
        if event == "done":
            rows = f", {facts['rows']:,} rows" if facts.get("rows") else ""
            return f"{clock}  {run}: done in {facts['seconds']:.1f} s{rows}"
        if event in {"note", "failed"}:
            return f"{clock}  {run}: {'failed: ' if event == 'failed' else ''}{facts['text']}"
        if event == "progress" and time.monotonic() - self._said > PLAIN_EVERY and not self.console.is_terminal:
            self._said = time.monotonic()
            return f"{clock}  {run}: {facts['done']:,} of {facts['total']:,} {facts['unit']} ({self._left()})"
        return ""

    def _left(self) -> str:
        finished, total = self._finished()
        text = f"{finished} of {total} stages"
        if self._expected:
            left = self._expected - (time.monotonic() - self._started)
            text += f", about {_clock(max(left, 0))} left" if left > 0 else ", longer than earlier runs"
        return text

    def _finished(self) -> tuple[int, int]:
        return (self._done + self._hits + self._failed).total(), self._total.total()

    def _draw(self) -> Group:
        with self._lock:
            table = Table(box=None, padding=(0, 1), show_header=False)
            for stage in self._order:
                total = self._total[stage]
                done = self._done[stage] + self._hits[stage]
                active = [
                    progress
                    for run, progress in self._progress.items()
                    if run.split(" ", 1)[0] == stage and run in self._running
                ]
                running = [run for run in self._running if run.split(" ", 1)[0] == stage]
                part = sum(at / max(total_rows, 1) for at, total_rows, _ in active)
                what = ", ".join(run.split(" ", 1)[-1] for run in running[:3]) + (
                    f" and {len(running) - 3} more" if len(running) > 3 else ""
                )
                notes = [f"{self._hits[stage]} from the store"] if self._hits[stage] else []
                notes += [f"[red]{self._failed[stage]} failed[/]"] if self._failed[stage] else []
                done_by_unit: Counter[str] = Counter()
                for at, _, unit in active:
                    done_by_unit[unit] += at
                notes += [f"{count:,} {unit}" for unit, count in done_by_unit.items() if count]
                table.add_row(
                    Text(stage, style="bold" if running else "dim" if done < total else ""),
                    ProgressBar(total=total, completed=done + part, width=24),
                    f"{done}/{total}",
                    Text(visible(what)),
                    ", ".join(notes),
                )
            clock = _clock(time.monotonic() - self._started)
            return Group(table, Text(f"{clock}  {self._left()}   Ctrl-C stops; what is finished is kept", style="dim"))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
