"""Three recurrent nets whose weights are set by hand (lecture, section 1, "Simple RNNs").

Each net is one step in plain array code; ``tg.scan`` applies it along the sequence. All numbers printed come from
forward passes through these nets.

    python examples/lecture_rnns.py
    python examples/lecture_rnns.py --bits 11010 --numbers 2 -0.5 1 1
    python examples/lecture_rnns.py --pairs "1,2 5,0 0,9"
    python examples/lecture_rnns.py --pictures outputs/lecture_rnns
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_rnn as tg


def weight(name: str, values: Any) -> tg.Tensor:
    """A weight that pictures show under its name."""
    return tg.Tensor(values, requires_grad=True, dtype=np.float64, name=name)


# ---- 1. Sum: one linear hidden unit that adds its input to what it holds.
#
#     h_t = 1 x_t + 1 h_{t-1}        the weight 1 on the self-loop keeps the total, the weight 1 on the input adds to it
#     y_t = 1 h_t

SUM_INPUT, SUM_LOOP, SUM_OUTPUT = weight("x to h", 1.0), weight("h to h", 1.0), weight("h to y", 1.0)


def sum_step(h: Any, x: Any) -> tuple[Any, Any]:
    h = SUM_INPUT * x + SUM_LOOP * h
    return h, SUM_OUTPUT * h


def running_sum(numbers: Sequence[float]) -> Any:
    """The totals (T,) of all numbers so far."""
    _, ys = tg.scan(sum_step, np.zeros(()), np.asarray(numbers, np.float64))
    return ys


# ---- 2. Comparison: one linear hidden unit that holds (total of the first) - (total of the second).
#
#     h_t = 1 x1_t - 1 x2_t + 1 h_{t-1}
#     y_t = sigmoid(5 h_t)           near 1: the first total is larger; near 0: the second; 0.5: they are equal.
#                                    The weight 5 only says how fast the answer becomes sure.

COMPARISON_INPUT, COMPARISON_LOOP = weight("x to h", [1.0, -1.0]), weight("h to h", 1.0)
COMPARISON_OUTPUT = weight("h to y", 5.0)


def comparison_step(h: Any, x: Any) -> tuple[Any, Any]:
    h = x @ COMPARISON_INPUT + COMPARISON_LOOP * h
    return h, {"h": h, "y": tg.functional.sigmoid(COMPARISON_OUTPUT * h)}


def compare(pairs: Sequence[tuple[float, float]]) -> Any:
    """The difference of the totals so far, ``h`` (T,), and the verdict ``y`` (T,) in 0..1."""
    _, ys = tg.scan(comparison_step, np.zeros(()), np.asarray(pairs, np.float64))
    return ys


# ---- 3. Parity: binary threshold units (1 if their input is > 0, otherwise 0). The output unit feeds back.
#
#     h1_t = [1 x_t + 1 y_{t-1} - 1.5 > 0]      AND: both must be 1 to get over 1.5
#     h2_t = [1 x_t + 1 y_{t-1} - 0.5 > 0]      OR: one is enough to get over 0.5
#     y_t  = [-1 h1_t + 1 h2_t - 0.5 > 0]       OR and not AND: XOR

PARITY_INPUT, PARITY_FEEDBACK = weight("x to h", [[1.0, 1.0]]), weight("y to h", [[1.0, 1.0]])
PARITY_HIDDEN_BIAS = weight("bias of h", [-1.5, -0.5])
PARITY_OUTPUT, PARITY_OUTPUT_BIAS = weight("h to y", [[-1.0], [1.0]]), weight("bias of y", [-0.5])


def parity_step(y: Any, x: Any) -> tuple[Any, Any]:
    """y (..., 1), x (..., 1) to the next y and, to look at, all three units: (..., 2) and (..., 1)."""
    h = tg.functional.binary_threshold(x @ PARITY_INPUT + y @ PARITY_FEEDBACK + PARITY_HIDDEN_BIAS)
    y = tg.functional.binary_threshold(h @ PARITY_OUTPUT + PARITY_OUTPUT_BIAS)
    return y, {"h": h, "y": y}


def parity(bits: Sequence[int]) -> Any:
    """The hidden units ``h`` (T, 2) and the parity bits ``y`` (T, 1) of a sequence of bits."""
    _, ys = tg.scan(parity_step, np.zeros(1), np.asarray(bits, np.float64)[:, None])
    return ys


# ---- the tables


def print_sum(numbers: Sequence[float]) -> None:
    print("1. Sum: h = 1 x + 1 h_before, y = 1 h\n")
    print_rows({"x": [f"{x:g}" for x in numbers], "y": [f"{y:g}" for y in running_sum(numbers).numpy()]})


def print_comparison(pairs: Sequence[tuple[float, float]]) -> None:
    print("\n2. Comparison: h = 1 x1 - 1 x2 + 1 h_before, y = sigmoid(5 h)\n")
    ys = compare(pairs)
    verdicts = {1: "first", 0: "equal", -1: "second"}
    print_rows(
        {
            "x1": [f"{first:g}" for first, _ in pairs],
            "x2": [f"{second:g}" for _, second in pairs],
            "h": [f"{h:.4g}" for h in ys["h"].numpy()],
            "y": [f"{y:.2f}" for y in ys["y"].numpy()],
            "larger": [verdicts[int(np.sign(y - 0.5))] for y in ys["y"].numpy()],
        }
    )


def print_parity(bits: Sequence[int]) -> None:
    print("\n3. Parity: h1 = [x + y_before > 1.5] (AND), h2 = [x + y_before > 0.5] (OR), y = [h2 - h1 > 0.5] (XOR)")
    print("\n   The four things a step can meet:\n")
    before, x = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([[0.0], [1.0], [0.0], [1.0]])
    _, units = parity_step(before, x)
    print("   y_before   x     h1  h2    y")
    for row in np.concatenate([before, x, units["h"].numpy(), units["y"].numpy()], axis=1).astype(int):
        print("      {}       {}      {}   {}    {}".format(*row))
    print(f"\n   Step by step over {''.join(map(str, bits))}, from y_before = 0:\n")
    ys = parity(bits)
    h1, h2 = ys["h"].numpy().astype(int).T
    print_rows({"x": bits, "h1": h1, "h2": h2, "y": ys["y"].numpy()[:, 0].astype(int)})
    print(f"\n   The last y is the parity of all: {sum(bits)} ones, {'odd' if sum(bits) % 2 else 'even'}.")


def print_rows(rows: Mapping[str, Sequence[Any]]) -> None:
    """A row for each quantity, a column for each time step."""
    width = max(len(str(cell)) for cells in rows.values() for cell in cells) + 2
    for name, cells in rows.items():
        print(f"   {name:>8} " + "".join(f"{cell!s:>{width}}" for cell in cells))


def draw(folder: Path, numbers: Sequence[float], bits: Sequence[int]) -> None:
    """Draw two of the nets unrolled: the same weights at every step."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, output in (("sum", running_sum(numbers)[-1]), ("parity", parity(bits)["y"][-1])):
        path = folder / f"{name}.svg"
        tg.draw(output).save(str(path))
        print(f"wrote {path}")


# ---- the command line


def read_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return number


def read_pairs(text: str) -> list[tuple[float, float]]:
    try:
        pairs = [(read_number(first), read_number(second)) for first, second in (p.split(",") for p in text.split())]
    except ValueError:
        pairs = []
    if not pairs:
        raise argparse.ArgumentTypeError(f"expected pairs of numbers such as '2,-2 0,3.5', got {text!r}")
    return pairs


def read_bits(text: str) -> list[int]:
    if not text or set(text) - {"0", "1"}:
        raise argparse.ArgumentTypeError(f"expected zeros and ones such as 0101101011, got {text!r}")
    return [int(bit) for bit in text]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=read_number, nargs="+", default=[2.0, -0.5, 1.0, 1.0], help="for the sum")
    parser.add_argument("--pairs", type=read_pairs, default="2,-2 0,3.5 1,2.2", help="for the comparison")
    parser.add_argument("--bits", type=read_bits, default="0101101011", help="for the parity")
    parser.add_argument("--pictures", type=Path, help="also draw the unrolled sum and parity nets into this folder")
    chosen = parser.parse_args(arguments)
    print_sum(chosen.numbers)
    print_comparison(chosen.pairs)
    print_parity(chosen.bits)
    if chosen.pictures:
        draw(chosen.pictures, chosen.numbers, chosen.bits)


if __name__ == "__main__":
    main()
