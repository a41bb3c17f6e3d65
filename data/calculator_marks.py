"""Calculator marks: `48/2 = <<48/2=24>>24`, by which a solution says what a calculator is to be asked.

Cobbe et al. 2021 (arXiv 2110.14168), whose official README removes what stands in `<<` and `>>`. Models that learned
from such solutions write them too.
"""

import re

_MARKS = re.compile(r"<<[^<>]*>>")


def without_calculator_marks(text: str) -> str:
    """`48/2 = <<48/2=24>>24` as `48/2 = 24`."""
    return _MARKS.sub("", text) if "<<" in text else text


def calculations(text: str) -> list[str]:
    """What stands in the marks, without spaces: `48/2 = <<48/2=24>>24` gives `["48/2=24"]`."""
    return ["".join(mark[2:-2].split()) for mark in _MARKS.findall(text)]
