"""`mothertongue pilot`: few training questions for all arms first, and the whole study for those that may be best."""

import re
import shlex

from data.errors import InputError
from flows.cli import run
from flows.config.schema import Study
from flows.execution.options import RunOptions
from flows.pilot import looks
from flows.planning.plan import expand

SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%")


def pilot(study: Study, spend: str, options: RunOptions, as_json: bool, quiet: bool) -> int:
    """Run a study's pilot to its report; returns the exit code.

    Args:
        spend: the share of the study that the first look may cost, as `10%`.

    Raises:
        InputError: `spend` is no such share, or the study is none that a pilot can be made of.
    """
    share = share_of(spend)
    looks.chosen(study, expand(study), share)
    again = study.command.replace("mothertongue run", "mothertongue pilot", 1) + f" --spend {shlex.quote(spend)}"
    return run.run(study, options, as_json, quiet, share, again)


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
