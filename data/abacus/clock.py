"""Clock: when something that starts at one time and lasts some minutes ends.

{"question": "A bus leaves at 7:52 and takes 83 minutes. When does it arrive?", "gold": "9:15"}
"""

import random
import re
from dataclasses import dataclass

from data.abacus.family import Family, Slip, Step, Work, near, no_slip
from data.abacus.phrases import equals, number, one, plus
from data.abacus.words import VEHICLES


@dataclass(frozen=True)
class Problem:
    """A vehicle that leaves at `hour`:`minute` (12-hour clock) and travels `lasts` minutes."""

    vehicle: str
    hour: int
    minute: int
    lasts: int


class Clock(Family[Problem]):
    """Hours and minutes added on a 12-hour clock."""

    name = "clock"
    answer = "exact"
    description = "clock times: a departure and a duration give an arrival on a 12-hour clock"
    instruction = "Work out the time at which the ride ends."
    chatter = 0.6

    def draw(self, rng: random.Random) -> Problem:
        return Problem(rng.choice(VEHICLES), rng.randint(1, 12), rng.randrange(0, 60, 5), rng.randrange(20, 180, 5))

    def canonical(self, problem: Problem) -> str:
        return f"{problem.hour} {problem.minute} {problem.lasts}"

    def ask(self, problem: Problem, rng: random.Random) -> str:
        start = f"{problem.hour}:{problem.minute:02d}"
        verb = one(rng, "leaves", "starts")
        end = one(rng, "When does it arrive?", "What is the time at the end?")
        return f"A {problem.vehicle} {verb} at {start} and takes {problem.lasts} minutes. {end}"

    def read(self, question: str) -> Problem | None:
        match = re.fullmatch(
            r"A (\w+) (?:leaves|starts) at (\d+):(\d\d) and takes (\d+) minutes\. "
            r"(?:When does it arrive|What is the time at the end)\?",
            question,
        )
        if not match or not 1 <= int(match[2]) <= 12 or int(match[3]) > 59 or not 0 < int(match[4]) < 720:
            return None
        return Problem(match[1], int(match[2]), int(match[3]), int(match[4]))

    def hasty(self, problem: Problem) -> Work:
        """Leaves the hours of the ride out; right where it takes less than one."""
        p = problem
        hours, rest = divmod(p.lasts, 60)
        minutes = p.minute + rest
        answer = f"{(p.hour + minutes // 60 - 1) % 12 + 1}:{minutes % 60:02d}"
        steps = (
            ("split", str(p.lasts), str(hours), str(rest)),
            ("minutes", str(p.minute), str(rest), str(minutes)),
            ("time", str(p.hour), str(minutes), answer),
        )
        return Work(steps, answer)

    def work(self, problem: Problem, slip: Slip = no_slip) -> Work:
        p = problem
        hours, rest = divmod(p.lasts, 60)
        rest = int(slip(0, str(rest), [str(m) for m in (rest - 10, rest + 10, rest + 1) if 0 <= m < 60]))
        later = (p.hour + hours - 1) % 12 + 1
        later = int(slip(1, str(later), [str(later % 12 + 1), str((later - 2) % 12 + 1)]))
        minutes = int(slip(2, str(p.minute + rest), near(p.minute + rest)))
        carry, minute = divmod(minutes, 60)
        hour = (later + carry - 1) % 12 + 1
        answer = slip(3, f"{hour}:{minute:02d}", [f"{hour % 12 + 1}:{minute:02d}", f"{hour}:{(minute + 10) % 60:02d}"])
        steps = (
            ("split", str(p.lasts), str(hours), str(rest)),
            ("hours", str(p.hour), str(hours), str(later)),
            ("minutes", str(p.minute), str(rest), str(minutes)),
            ("time", str(later), str(minutes), answer),
        )
        return Work(steps, answer)

    def model(self, problem: Problem, step: Step) -> str:
        kind, left, right, result = step
        if kind == "split":
            return f"{left} is {right} h {result}."
        if kind == "time":
            return f"{left} h {right} is {result}."
        return f"{left} + {right} = {result}."

    def teacher(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        if kind == "split":
            return f"Riding {left} minutes is {right} hours and {result} minutes."
        if kind == "time":
            return f"With {left} hours and {right} minutes the clock shows {result}."
        unit = "Hour" if kind == "hours" else "Minute"
        return f"{unit} {left} plus {right} is {result}."

    def tutor(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        if kind == "split":
            return f"Travel of {left} means {right} full hours and {result} left."
        if kind == "time":
            return f"The arrival of {left} with {right} reads {result}."
        return f"Moving the {kind}, {left} and {right} give {result}."

    def human(self, problem: Problem, step: Step, rng: random.Random) -> str:
        kind, left, right, result = step
        if kind == "split":
            hours, rest = number(right, rng), number(result, rng)
            return one(
                rng,
                f"{left}{one(rng, ' min', ' minutes', 'min', '')} {equals(rng)} {hours}{one(rng, 'h', ' hours')} "
                f"{one(rng, 'and ', '', '+ ', 'plus ')}{rest}",
                f"{hours} {one(rng, 'full hours', 'hours', 'hrs', 'h')} {plus(rng)} {rest} "
                f"{one(rng, 'min', 'minutes', 'more')} {one(rng, 'in', 'of', 'is')} {one(rng, left, 'travel')}",
                f"{one(rng, 'the ' + problem.vehicle, 'it', 'the ride')} {one(rng, 'needs', 'takes', 'lasts')} "
                f"{hours} h {one(rng, 'and', '+', '')} {rest}",
            )
        if kind == "hours":
            start, hours, later = number(left, rng), number(right, rng), number(result, rng)
            return one(
                rng,
                f"{start} {plus(rng)} {hours}{one(rng, '', ' h', ' hours')} {equals(rng)} {later}",
                f"{hours} {one(rng, 'hours', 'h', 'hrs')} {one(rng, 'on from', 'after', 'past')} {start} "
                f"{equals(rng)} {later}{one(rng, '', ' o clock')}",
                f"{one(rng, 'hour hand', 'hours', 'the hour')}{one(rng, ':', ' goes', ' from')} {start} "
                f"{one(rng, 'to', '->', 'up to')} {later}",
            )
        if kind == "minutes":
            start, rest, total = number(left, rng), number(right, rng), number(result, rng)
            return one(
                rng,
                f"{start} {plus(rng)} {rest}{one(rng, '', ' min', ' minutes')} {equals(rng)} {total}",
                f"{one(rng, 'minutes', 'min', 'minute hand')}{one(rng, ':', ' are', ' =')} {total}"
                f"{one(rng, ',', ' from', ' since it is')} {start} {plus(rng)} {rest}",
                f"{total} {one(rng, 'min', 'minutes')} {one(rng, 'when I add', 'with', 'after')} {rest} "
                f"{one(rng, 'to', 'and', 'on')} {start}",
            )
        return one(
            rng,
            f"{one(rng, 'arrives', 'it is there', 'gets in', 'time is')} {one(rng, 'at', '', '->')} {result}",
            f"{result} {one(rng, 'it is', 'then', 'on arrival', 'on the clock', 'in the end')}"
            f"{one(rng, '', f' from {left} and {right}', f' as {right} min past {left}')}",
            f"{left} {one(rng, 'and', 'with', 'h', 'plus')} {right} {one(rng, 'min', '')} {equals(rng)} {result}",
        )
