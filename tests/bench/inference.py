"""How far claims, p-values and intervals can be believed: simulated studies of the bundled study's shape.

    python -m tests.bench.inference                # 400 studies a regime: about 10 minutes of one core
    python -m tests.bench.inference --studies 50

100 questions a benchmark, 3 seeds, 2 training and 6 evaluation benchmarks, 3 origins. In null studies nothing differs:
the share with any claim that is called shown or refuted, and with any cell of the training × evaluation table whose
adjusted p-value is below 5 %, is to be 5 % at most. Then the share of 95 % intervals that cover the truth: of one arm
on one benchmark, of an origin over its training benchmarks, of all differences that claims are about. Last, power: the
difference that `plan` says is shown in 80 of 100 studies, and in how many it was.
"""

import argparse
import math

from tasks.comparison.power import SPREAD, Design
from tests.bench.null_studies import Rates, Regime, simulate, uniform

ORIGINS = ("self", "teacher", "human")
SPREADS = (0.0, 0.02, 0.07, 0.20)
UNLIKE = {"self": 0.01, "teacher": 0.05, "human": 0.15}
"""Origins that vary over seeds to different degrees."""


def line(name: str, rates: Rates) -> str:
    """A regime as a row of a table."""
    error = 100 * math.sqrt(0.05 * 0.95 / rates.studies)
    false = " | ".join(f"{100 * n / rates.studies:.1f}" for n in (rates.false_claims, rates.false_cells))
    covered = " | ".join(f"{100 * n / of:.1f}" for n, of in (rates.single, rates.pooled, rates.differences))
    return f"| {name} | {false} (5 ± {error:.1f}) | {covered} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400, help="studies of each regime")
    studies = parser.parse_args().studies
    print(
        "| accuracy, spread over seeds | any false claim, % | any false cell, % | covers: arm | origin | difference |"
    )
    print("|---|---|---|---|---|---|")
    for accuracy in (0.6, 0.8):
        for spread in SPREADS:
            rates = simulate(uniform(accuracy, spread), studies)
            print(line(f"{100 * accuracy:.0f} %, {100 * spread:.0f} points", rates), flush=True)
    unlike = Regime(dict.fromkeys(ORIGINS, 0.6), UNLIKE, 0.6)
    print(line("60 %, 1, 5 and 15 points by origin", simulate(unlike, studies)), flush=True)
    for claims in (1, 14):
        size = Design(((100,), (100,)), 3, len(ORIGINS), claims).detectable()
        accuracies = dict(zip(ORIGINS, (0.5 + size / 2, 0.5, 0.5 - size / 2), strict=True))
        rates = simulate(Regime(accuracies, dict.fromkeys(ORIGINS, SPREAD), 0.5), studies)
        shown = rates.shown_alone if claims == 1 else rates.shown
        print(
            f"power for {100 * size:.1f} points, {claims} claims: {100 * shown / studies:.0f} % (planned: 80 %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
