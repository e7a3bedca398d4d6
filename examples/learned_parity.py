"""Parity, learned by backpropagation through time: an LSTM beside a feed-forward net with as many parameters.

The lecture (section 1) calls parity "a classic example of a problem that's hard to solve with a shallow feed-forward
net, but easy to solve with an RNN". Both nets see the same strings of at most 10 bits and are asked the same thing
after every bit: is the number of ones so far odd? Some strings, and whatever begins with one of them, are held out.
Then both are tested on what they saw, on what was held out, and on longer strings.

    python examples/learned_parity.py
    python examples/learned_parity.py --seeds 20
    python examples/learned_parity.py --quick
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy starts: products this small gain nothing from more

import argparse
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from extras import needed

import tinygrad_rnn as tg

LONGEST = 10  # the longest string that the nets are trained on
LONGER = {20: 2000, 50: 2000, 100: 2000, 1000: 200}  # tested on: length, and how many fresh random strings of it
GOAL = 10 * LONGEST
HIDDEN = 8
BATCH = 64
UPDATES, LR = 1000, 5e-2  # of the LSTM


def signs(bits: Any) -> Any:
    """What both nets read: -1 for 0 and 1 for 1.

    An LSTM that reads 0 and 1 learns too, but what it holds drifts in long runs of zeros, where its input is silent.
    """
    return (2 * bits - 1).astype(np.float32)


class RecurrentNet(tg.nn.Module):
    """An LSTM that reads a bit at a time; the same weights answer after each."""

    def __init__(self) -> None:
        self.lstm = tg.nn.LSTM(1, HIDDEN)
        self.out = tg.nn.Linear(HIDDEN, 1)

    def forward(self, bits: Any) -> Any:
        """Bits (T, B) to a logit for the parity of every prefix, (T, B)."""
        states, _ = self.lstm(np.expand_dims(signs(bits), -1))
        return self.out(states)[..., 0]


class FeedForwardNet(tg.nn.Module):
    """One hidden layer over a window of 10 inputs: -1 and 1 are the bits, 0 is a place that no bit has come to yet.

    With 10 inputs and 30 hidden units it has 30 (10 + 1) + 30 + 1 = 361 parameters, as many as the LSTM's
    4 * 8 (1 + 8 + 2) + 8 + 1.
    """

    def __init__(self, hidden: int = 30) -> None:
        self.hidden = tg.nn.Linear(LONGEST, hidden)
        self.out = tg.nn.Linear(hidden, 1)

    def forward(self, bits: Any) -> Any:
        """Bits (T, B) to a logit for the parity of every prefix, (T, B): each prefix is an input of its own."""
        length = len(bits)
        if length > LONGEST:
            raise ValueError(f"FeedForwardNet has {LONGEST} inputs: expected at most {LONGEST} bits, got {length}")
        windows = np.zeros((length, bits.shape[1], LONGEST), np.float32)
        for t in range(length):
            windows[t, :, : t + 1] = signs(bits[: t + 1]).T
        return self.out(np.tanh(self.hidden(windows)))[..., 0]


def all_strings(length: int) -> Any:
    """All 2^length strings as bits (length, 2^length), in counting order."""
    return np.arange(2**length) >> np.arange(length)[::-1, None] & 1


def parities(bits: Any) -> Any:
    """The parity of every prefix, (T, B)."""
    return np.cumsum(bits, axis=0) % 2


def hold_out(rng: np.random.Generator, share: float = 0.05) -> dict[int, Any]:
    """For each length, which of ``all_strings`` are held out: a share of them, and all that begin with one held out.

    So a held-out string is never shown to a net, neither alone nor as the beginning of a longer one.
    """
    held: dict[int, Any] = {0: np.zeros(1, bool)}
    for length in range(1, LONGEST + 1):
        chosen = rng.random(2**length) < share if length > 3 else False
        held[length] = np.repeat(held[length - 1], 2) | chosen  # string k begins with string k // 2
    return held


def train(net: Any, strings: Any, rng: np.random.Generator, updates: int, lr: float, name: str) -> float:
    """Adam on random batches of training strings (T, N), a target after every bit; returns the last loss.

    The number of updates is fixed beforehand: no test decides when to stop.
    """
    parameters = list(net.parameters())
    optimizer = tg.optim.Adam(parameters, lr=lr)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates)
    tqdm = needed("tqdm", "training").tqdm
    for update in (bar := tqdm(range(updates), desc=name, unit="update", leave=False, mininterval=0.5)):
        bits = strings[:, rng.integers(strings.shape[1], size=BATCH)]
        loss = tg.functional.binary_cross_entropy_with_logits(net(bits), parities(bits).astype(np.float32))
        optimizer.zero_grad()
        loss.backward()
        norm = tg.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if update % 50 == 0:
            bar.set_postfix(loss=f"{loss:.4f}", gradient_norm=f"{norm:.3f}")
    return float(loss)


def right_bits(net: Any, bits: Any) -> Any:
    """Which answers are right, for every prefix: (T, B)."""
    with tg.no_grad():
        return (net(bits).numpy() > 0) == parities(bits)


class Result(NamedTuple):
    """How one trained net did.

    ``seen`` and ``held_out``: for each length up to 10, which strings of that length have their parity right.
    ``longer``: for each length in LONGER, which bits of the fresh strings (T, B) are right; empty if they do not fit.
    """

    seed: int
    net: str
    seen: dict[int, Any]
    held_out: dict[int, Any]
    longer: dict[int, Any]


def run(seed: int, updates: int) -> list[Result]:
    """Train and test both nets from one seed, which draws the weights, the strings held out and the fresh ones."""
    tg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    held = hold_out(rng)
    strings = all_strings(LONGEST)[:, ~held[LONGEST]]
    fresh = {length: rng.integers(2, size=(length, count)) for length, count in LONGER.items()}
    results = []
    for name, net, count, lr in (
        ("LSTM", RecurrentNet(), updates, LR),
        ("feed-forward", FeedForwardNet(), 4 * updates, 1e-2),  # it needs more to fit what it sees, and they are cheap
    ):
        started = time.perf_counter()
        loss = train(net, strings, rng, count, lr, f"seed {seed}, {name}")
        seconds = time.perf_counter() - started
        size = sum(parameter.size for parameter in net.parameters())
        print(f"seed {seed}: {name:<12} {size} parameters, {count} updates in {seconds:.1f} s, last loss {loss:.4f}")
        whole = {n: right_bits(net, all_strings(n))[-1] for n in range(1, LONGEST + 1)}
        try:
            longer = {n: right_bits(net, bits) for n, bits in fresh.items()}
        except ValueError:  # more bits than it has inputs
            longer = {}
        seen = {n: right[~held[n]] for n, right in whole.items()}
        results.append(Result(seed, name, seen, {n: right[held[n]] for n, right in whole.items()}, longer))
    return results


def percent(rights: Sequence[Any]) -> str:
    """The share of right answers in all arrays together; 100.00 only if every one is right."""
    right, total = sum(int(r.sum()) for r in rights), sum(r.size for r in rights)
    if not total:
        return "-"
    return f"{100 * right / total:.2f}" if right == total else f"{min(100 * right / total, 99.99):.2f}"


def report(results: Sequence[Result]) -> None:
    print(
        f"\nPer cent of right bits. Seen and held out: strings of 1 to {LONGEST} bits, the parity of the whole string."
    )
    print(
        "Longer: every bit of fresh random strings ("
        + ", ".join(f"{c} of {n}" for n, c in LONGER.items())
        + " bits).\n"
    )
    print(f"seed  net               seen  held out{''.join(f'{n:>9}' for n in LONGER)}")
    for r in results:
        longer = [percent([r.longer[n]]) if r.longer else "no fit" for n in LONGER]
        row = [percent(list(r.seen.values())), percent(list(r.held_out.values())), *longer]
        print(f"{r.seed:>4}  {r.net:<13}" + "".join(f"{cell:>9}" for cell in row))

    print("\nBy length, all seeds together:\n")
    nets = [[r for r in results if r.net == name] for name in ("LSTM", "feed-forward")]
    print("        strings            LSTM             feed-forward")
    print("length     seen  held out  seen  held out     seen  held out")
    for n in range(1, LONGEST + 1):
        counts = [sum(getattr(r, part)[n].size for r in nets[0]) for part in ("seen", "held_out")]
        cells = [percent([getattr(r, part)[n] for r in net]) for net in nets for part in ("seen", "held_out")]
        print("{:>6}{:>9}{:>10}{:>9}{:>10}{:>9}{:>10}".format(n, *counts, *cells))

    good = sum(r.longer[GOAL].mean() >= 0.999 for r in nets[0])
    print(
        f"\nLSTM: at least 99.9 % of the bits right on strings of {GOAL} bits, {GOAL // LONGEST} times the longest it "
        f"was trained on,\nfor {good} of {len(nets[0])} seeds. The same weights serve every step, so any length fits."
        f"\nFeed-forward: {LONGEST} places with weights of their own; a string of {LONGEST + 1} bits has one that no "
        f"training has set."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds (default 5)")
    parser.add_argument("--seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--quick", action="store_true", help="one seed and a few updates: only shows that it runs")
    chosen = parser.parse_args(arguments)
    if chosen.seeds < 1 or chosen.seed < 0:
        parser.error(f"expected --seeds >= 1 and --seed >= 0, got {chosen.seeds} and {chosen.seed}")
    seeds, updates = (1, 30) if chosen.quick else (chosen.seeds, UPDATES)
    results: list[Result] = []
    try:
        for seed in range(chosen.seed, chosen.seed + seeds):
            results += run(seed, updates)
    except KeyboardInterrupt:
        print("\ninterrupted; the tables hold the seeds that were finished")
    if results:
        report(results)


if __name__ == "__main__":
    main()
