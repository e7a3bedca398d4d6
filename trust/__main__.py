"""Commands that print how far the gradient checks can be trusted."""

from __future__ import annotations

import argparse
import time
from itertools import islice

from tinygrad_rnn.testing.strategies import coverage, sample_programs

from . import alarms, lstm, mutants, planted

EXAMPLES = """examples:
  python -m trust mutants                  all wrong rules that can be made mechanically: which does the suite find?
  python -m trust mutants --only cumsum    those of one function
  python -m trust alarms --count 10000     false alarms and false passes of gradcheck on random programs and nets
  python -m trust alarms --order 2 --count 2000
  python -m trust planted                  a wrong rule in each function: after how many programs is it found?
  python -m trust coverage --count 1000    how often random programs reach each rule
  python -m trust lstm                     how long the check of an LSTM takes
"""


def table_of(counts: dict[str, int], programs: int, seconds: float) -> str:
    """How often each rule was reached."""
    lines = [f"{name:<28}{n:>6}" for name, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]
    missed = [name for name, n in counts.items() if not n]
    lines += ["", f"{len(counts) - len(missed)} of {len(counts)} rules reached by {programs} programs, {seconds:.0f} s"]
    return "\n".join([*lines, f"never reached: {', '.join(missed)}"] if missed else lines)


def main(arguments: list[str] | None = None) -> str:
    parser = argparse.ArgumentParser(
        prog="python -m trust", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawTextHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    part = parts.add_parser("mutants", help="the mutation score of the property suite")
    part.add_argument("--only", metavar="NAME", help="only the mutants of this function, such as cumsum")
    part.add_argument(
        "--programs", type=int, default=mutants.PROGRAMS, help="programs of each function (default: %(default)s)"
    )
    part = parts.add_parser("alarms", help="false alarms and false passes of gradcheck")
    part.add_argument("--count", type=int, default=10_000, help="programs and nets (default: %(default)s)")
    part.add_argument("--planted", type=int, default=2_000, help="programs with a wrong rule (default: %(default)s)")
    part.add_argument("--order", type=int, default=1, help="of the derivatives (default: 1)")
    part.add_argument("--seed", type=int, default=0, help="others give other programs (default: 0)")
    part = parts.add_parser("planted", help="how fast a wrong rule is found, and how small it shrinks")
    part.add_argument("--every", type=int, default=1, help="only in every so many-th function (default: 1)")
    part = parts.add_parser("coverage", help="how often random programs reach each rule")
    part.add_argument("--count", type=int, default=1000, help="programs (default: %(default)s)")
    part.add_argument("--seed", type=int, default=0, help="others give other programs (default: 0)")
    parts.add_parser("lstm", help="how long the check of an LSTM of 1,000 parameters takes")
    for name in ("mutants", "alarms", "planted"):
        parts.choices[name].add_argument(
            "--processes", type=int, default=None, help="that work at once (default: one a core)"
        )
    given = parser.parse_args(arguments)
    if given.part == "mutants":
        return mutants.main(given.only, given.programs, given.processes)
    if given.part == "alarms":
        return alarms.run(given.count, given.planted, given.seed, given.processes, given.order)
    if given.part == "planted":
        return planted.run(given.every, given.processes)
    if given.part == "lstm":
        return lstm.run()
    started = time.perf_counter()
    counts = coverage(islice(sample_programs(given.seed), given.count))
    return table_of(counts, given.count, time.perf_counter() - started)


if __name__ == "__main__":
    print(main())
