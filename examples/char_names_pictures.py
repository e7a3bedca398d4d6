"""The pictures of ``char_names.py``: losses, gradient norms, and the unrolled graph of one word."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from char_names_model import BIT, Run
from extras import needed

import tinygrad_rnn as tg

BLUE, ORANGE, GREY = "#0b5fa5", "#d1600a", "#6f6f6f"


def plot_losses(runs: Sequence[Run], test: Sequence[float], folder: Path) -> list[Path]:
    """Bits per character by epoch: what each net was trained on, and what it was not."""

    def draw(axes: Any) -> None:
        for i, run in enumerate(runs):
            names = (
                "train (with dropout, during the epoch)",
                "validation (after the epoch)",
                "best: its weights are kept",
            )
            train, validation, best = names if i == 0 else (None, None, None)
            epochs = np.arange(1, len(run.train) + 1)
            axes.plot(epochs, run.train, color=GREY, linestyle="--", marker=".", label=train)
            axes.plot(epochs, run.validation[1:], color=BLUE, marker=".", label=validation)
            if run.best_epoch:
                axes.plot(run.best_epoch, run.best, "o", color=BLUE, label=best)
        axes.axhline(
            float(np.mean(test)), color=ORANGE, linewidth=1, label=f"test, mean of {len(test)}: {np.mean(test):.3f}"
        )
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss (bits per character)")
        axes.set_title(f"Losses, {len(runs)} {'seed' if len(runs) == 1 else 'seeds'}")
        axes.xaxis.get_major_locator().set_params(integer=True)

    return plot(draw, folder / "losses")


def plot_gradient_norms(run: Run, max_norm: float, folder: Path) -> list[Path]:
    """The norm of the gradient at every update before and after g <- eta g / ||g||."""

    def draw(axes: Any) -> None:
        before, after = np.array(run.norms) / BIT, np.array(run.clipped) / BIT
        updates = np.arange(1, len(before) + 1)
        axes.plot(updates, before, ".", color=ORANGE, markersize=4, label="before clipping")
        axes.plot(updates, after, ".", color=BLUE, markersize=4, label="after clipping")
        share = float(np.mean(np.array(run.norms) > max_norm))
        axes.axhline(
            max_norm / BIT, color=GREY, linestyle="--", label=f"bound: {share:.0%} of the updates were clipped"
        )
        axes.set_ylim(bottom=0)
        axes.set_xlabel("update")
        axes.set_ylabel("gradient norm (bits per character, per unit of weight)")
        axes.set_title(f"Gradient norms, seed {run.seed}")

    return plot(draw, folder / "gradient_norms")


def plot(draw: Callable[[Any], None], stem: Path) -> list[Path]:
    """Save one pair of axes as PNG and as SVG, whose letters stay text."""
    matplotlib = needed("matplotlib", "plots")
    figure = needed("matplotlib.figure", "plots").Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    draw(axes)
    axes.grid(alpha=0.3)
    axes.legend()
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        for path in paths:
            figure.savefig(path, dpi=150)
    return paths


def draw_graph(loss: tg.Tensor, path: Path) -> Path:
    """Draw the unrolled graph as SVG; where there is no Graphviz, save its DOT source, and say so."""
    picture = tg.draw(loss)
    try:
        picture.save(str(path))
    except RuntimeError as error:
        print(f"  (no SVG: {error})")
        path = path.with_suffix(".dot")
        picture.save(str(path))
    return path
