"""`mothertongue pilot`: few training questions for all arms first, and the whole study for those that may be best."""

import re
import shlex

from data.errors import InputError
from flows.cli import run
from flows.config.schema import Study
from flows.execution.options import PilotOptions, RunOptions
from flows.pilot import rungs
from flows.planning.plan import expand

SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%")


def pilot(study: Study, spend: str, margin: float, options: RunOptions, as_json: bool, quiet: bool) -> int:
    """Run a study's pilot to its report; returns the exit code.

    Args:
        spend: the share of the study that the first look may cost, as `10%`.
        margin: by how many points an arm that is dropped may be better than those that are left.

    Raises:
        InputError: `spend` or `margin` cannot be, or the study is none that a pilot can be made of.
    """
    asked = PilotOptions(share_of(spend), margin / 100)
    if not 0 <= asked.margin < 1:
        raise InputError(f"--margin {margin:g}: allowed are points of a score, from 0 and below 100")
    rungs.chosen(study, expand(study), asked.spend)
    options_given = ["--spend", spend, *(["--margin", f"{margin:g}"] if margin else [])]
    again = f"{study.command.replace('mothertongue run', 'mothertongue pilot', 1)} {shlex.join(options_given)}"
    return run.run(study, options, as_json, quiet, asked, again)


def share_of(spend: str) -> float:
    """A share that is given in per cent.

    Raises:
        InputError: it is none above 0 % and up to 100 %.
    """
    found = SHARE.fullmatch(spend.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise InputError(f"--spend {spend[:40]}: allowed is a share of the whole study, above 0% and up to 100%")
    return share
