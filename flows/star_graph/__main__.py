"""Runs the star-graph study, prints its table and writes summary.csv.

python -m flows.star_graph             # three seeds: minutes on one core
python -m flows.star_graph --quick     # seconds: whether everything runs; its numbers say nothing
"""

import argparse
from pathlib import Path

from flows.star_graph.sizes import QUICK, Sizes
from flows.star_graph.study import outcomes, table


def main() -> None:
    """Command line: how large, how many seeds, where to."""
    parser = argparse.ArgumentParser(prog="python -m flows.star_graph", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a size of seconds")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0, 1, ... (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/star-graph"), help="folder (default: %(default)s)")
    args = parser.parse_args()
    for name in ("seeds", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} {getattr(args, name)}: at least 1")

    import torch

    torch.set_num_threads(args.threads)
    sizes = QUICK if args.quick else Sizes()
    found = [
        outcome for seed in range(args.seeds) for outcome in outcomes(sizes, seed, lambda line: print(line, flush=True))
    ]
    summary = table(found)
    args.out.mkdir(parents=True, exist_ok=True)
    summary.to_csv(args.out / "summary.csv", index=False)
    print(summary.to_string(index=False))
    print(f"written to {args.out / 'summary.csv'}")


if __name__ == "__main__":
    main()
