"""The numbers of a study file: strict, finite and bounded, so that a slip of the pen is refused where it stands.

`true` is no number, "3" is none either, and 3.0 is no count. The upper bounds lie far above what any study uses; they
stop values that numpy, a GPU or a Prefect server (64-bit integers) cannot take.
"""

from typing import Annotated

from pydantic import AllowInfNan, Field, Strict

Whole = Annotated[int, Strict()]
"""An integer."""
Real = Annotated[float, Strict(), AllowInfNan(False)]
"""A finite number, whole or not."""
Seed = Annotated[int, Strict(), Field(ge=0, lt=2**32)]
"""What numpy and PyTorch both take as a seed."""
Temperature = Annotated[float, Strict(), AllowInfNan(False), Field(ge=0, le=10)]
"""0 is greedy."""
Share = Annotated[float, Strict(), AllowInfNan(False), Field(gt=0, le=1)]
"""A part of a whole that is not nothing."""

MOST_QUESTIONS = 10_000_000
MOST_TOKENS = 1_000_000
MOST_SEEDS = 100
LONGEST_NAME = 64
"""Characters of a name that becomes part of file names and of names in Prefect."""
