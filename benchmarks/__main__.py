"""Command line: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import adapters, chain, compiled, imports, layers, loop, machine, memory, pictures, steps
from .workers import FULL, QUICK, Worker

PARTS = ("layers", "compiled", "memory", "loop", "steps", "import", "chain", "pictures")
EXAMPLES = """
examples:
  python -m benchmarks                                   everything (some 30 minutes, more where others disturb)
  python -m benchmarks --quick                           does it run? small sizes, few repeats; the numbers mean little
  python -m benchmarks loop --cells lstm                 one cell of the loop, all sizes
  python -m benchmarks --libraries tinygrad_rnn torch    beside PyTorch alone
  python -m benchmarks loop --sizes 30,16,64,64          a size (T, B, in, hidden) of your own
  python -m benchmarks layers --libraries tinygrad_rnn torch --cells lstm    the LSTM layer beside PyTorch's alone
  python -m benchmarks layers --sizes 100,64,256,512     the layers at one size (T, B, in, hidden)
  python -m benchmarks compiled                          what a loop in C would give instead of NumPy's calls
  python -m benchmarks memory --checkpoint 50            what keeping each 50th state saves over a long sequence
  python -m benchmarks pictures --limit 300              from a graph to an SVG, beside torchviz, which gets 5 minutes
  python -m benchmarks chain import --json results.json  two parts, and the results in a file
"""


def parser() -> argparse.ArgumentParser:
    known = adapters.known()
    answer = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time tinygrad_rnn beside other libraries, each in a process of its own.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    answer.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (default: all)")
    answer.add_argument("--quick", action="store_true", help="small sizes and few repeats")
    some: dict[str, Any] = {"nargs": "+", "choices": known, "default": known}
    words = f"of {', '.join(known)}; the first is compared with all, closest with the last (default: all installed)"
    answer.add_argument("--libraries", metavar="NAME", **some, help=words)
    some = {"nargs": "+", "choices": loop.NAMES, "default": list(loop.NAMES)}
    words = f"of {', '.join(loop.NAMES)}, for layers, loop and steps (default: all)"
    answer.add_argument("--cells", metavar="CELL", **some, help=words)
    some = {"nargs": "+", "type": loop.size_of, "metavar": "T,B,IN,HIDDEN"}
    answer.add_argument("--sizes", **some, help="sizes for layers, compiled and loop")
    words = "for memory: keep each K-th state (default: K is the root of T)"
    answer.add_argument("--checkpoint", type=int, metavar="K", help=words)
    answer.add_argument("--threads", type=int, default=2, metavar="N", help="threads of each library (default: 2)")
    words = "where other programs disturb, measure up to N times as long, and keep the quietest rounds (default: 3)"
    answer.add_argument("--patience", type=int, metavar="N", help=words)
    words = f"for pictures: give torchviz so many seconds a picture (default: {pictures.LIMIT:g})"
    answer.add_argument("--limit", type=float, metavar="SECONDS", default=pictures.LIMIT, help=words)
    words = "write the results and the machine's description here"
    answer.add_argument("--json", type=Path, metavar="FILE", help=words)
    return answer


def main(arguments: Sequence[str] | None = None) -> None:
    parse = parser()
    options = parse.parse_args(arguments)
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parse.error(f"unknown part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    for name in ("threads", "patience", "checkpoint"):
        number = getattr(options, name)
        if number is not None and number < 1:
            parse.error(f"--{name}: expected at least 1, got {number}")
    if not options.limit > 0:
        parse.error(f"--limit: expected more than 0 seconds, got {options.limit:g}")
    libraries = [name for name in options.libraries if adapters.installed(name)]
    for name in options.libraries:
        if name not in libraries:
            print(f'{name} is not installed, so nothing is compared with it: pip install "tinygrad-rnn[peers]"')
    if not libraries:
        parse.error("none of the libraries asked for is installed")
    results = measure(options, options.parts or list(PARTS), libraries)
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
        print(f"\nresults written to {options.json}")


def measure(options: argparse.Namespace, parts: Sequence[str], libraries: Sequence[str]) -> dict[str, Any]:
    """Run the parts, and print the report of each as soon as it is there."""
    results: dict[str, Any] = {}
    effort = QUICK if options.quick else FULL
    effort = effort._replace(patience=options.patience or effort.patience)

    def show(title: str, key: str, result: dict[str, Any], report: str) -> None:
        results[key] = result
        print(f"\n## {title}\n\n{report}", flush=True)

    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(name, options.threads)) for name in libraries]
        versions = {name: version for worker in workers for name, version in worker.ask("versions").items()}
        results["machine"] = machine.describe(options.threads, versions)
        longest = {worker.library: worker.ask("longest_chain") for worker in workers}
        print(machine.words(results["machine"]), flush=True)
        if "layers" in parts:
            sizes = options.sizes or (layers.QUICK_SIZES if options.quick else layers.SIZES)
            result = layers.run(workers, options.cells, sizes, options.threads, effort)
            show("The libraries' own recurrent layers", "layers", result, layers.report(result))
        if "loop" in parts:
            sizes = options.sizes or (loop.QUICK_SIZES if options.quick else loop.SIZES)
            result = loop.run(workers, options.cells, sizes, effort)
            show("A training step in a Python loop", "loop", result, loop.report(result))
        if "steps" in parts:
            lengths = steps.QUICK_LENGTHS if options.quick else steps.LENGTHS
            result = steps.run(workers, options.cells, lengths, effort)
            show("Time a step, in short and long sequences", "steps", result, steps.report(result))
    if "compiled" in parts:
        sizes = options.sizes or (layers.QUICK_SIZES if options.quick else layers.SIZES)
        result = compiled.run(sizes, options.threads, effort)
        show("The LSTM beside a compiled loop", "compiled", result, compiled.report(result))
    if "memory" in parts:
        cases = memory.QUICK_CASES if options.quick else memory.CASES
        result = memory.run(cases, options.checkpoint, options.threads)
        show("What checkpointing saves", "memory", result, memory.report(result))
    if "import" in parts:
        result = imports.run(libraries, effort)
        show("Import", "import", result, imports.report(result))
    if "chain" in parts:
        length = chain.QUICK_LENGTH if options.quick else chain.LENGTH
        result = chain.run(longest, options.threads, length, effort)
        show("A chain of additions", "chain", result, chain.report(result))
    if "pictures" in parts:
        lengths = pictures.QUICK_LENGTHS if options.quick else pictures.LENGTHS
        result = pictures.run(libraries, lengths, options.limit, options.threads, effort)
        show("From a recorded graph to an SVG", "pictures", result, pictures.report(result))
    return results


if __name__ == "__main__":
    main()
