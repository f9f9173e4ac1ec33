"""`python -m tests.fuzz [-n INPUTS] [--kind KIND] [--first SEED] [--jobs JOBS]`: the tally."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.kinds import KINDS
from tests.fuzz.tally import COLUMNS, Tally, shown, tallied


def main() -> int:
    """Prints a line for each kind, and what failed with its seed; exit code 1 if anything did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("-n", type=int, default=2000, help="inputs of each kind")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side")
    said = parser.parse_args()
    print(shown("kind", COLUMNS), flush=True)
    total = Tally()
    with ThreadPoolExecutor(said.jobs) as pool:
        runs = {k: pool.submit(tallied, k, said.first, said.n) for k in said.kind or KINDS}
        for kind, run in runs.items():
            found = run.result()
            total = total + found
            print(shown(kind, found.row()), flush=True)
            for failure in found.failures[:20]:
                print(f"  {kind}, seed {failure}", flush=True)
    print(shown("total", total.row()))
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
