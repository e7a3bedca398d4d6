"""The libraries' own recurrent layers: a training step and inference, beside the matrix products alone; and memory.

The training step: forward, backward to all parameters and the input from a given gradient of all outputs, freeing the
graph. The floor is what no layer in NumPy can be faster than: its matrix products alone (``adapters/floor.py``), in the
faster of two layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from .adapters import FLOOR
from .adapters.floor import LAYOUTS
from .agreement import TOLERANCE, largest_deviation
from .cells import CELLS, Size
from .progress import Progress
from .report import disturbance, geometric_mean, mb, ms, ratio, table, verdict
from .resident import RESOLUTION
from .workers import Effort, Turn, Worker, alternate, turns_of

SIZES = (
    Size(20, 1, 16, 16),
    Size(50, 8, 32, 32),
    Size(50, 32, 64, 64),
    Size(50, 32, 128, 128),
    Size(100, 32, 128, 256),
    Size(100, 64, 256, 512),
)
QUICK_SIZES = SIZES[:2]
MODES = ("training", "inference")
COMPARED = 4 * RESOLUTION  # bytes


def run(
    workers: Sequence[Worker], cells: Sequence[str], sizes: Sequence[Size], threads: int, effort: Effort
) -> dict[str, Any]:
    """Each cell at each size, and one more row of each cell with ragged lengths, at the size in the middle."""
    able = [worker for worker in workers if worker.ask("has_layers")]
    libraries = [worker.library for worker in able]
    without = [worker.library for worker in workers if worker not in able]
    plan = [(cell, size, False) for cell, size in product(cells, sizes)]
    plan += [(cell, sizes[len(sizes) // 2], True) for cell in cells]
    plan = plan if able else []
    rows: list[dict[str, Any]] = []
    with Worker(FLOOR, threads) as floor, Progress("layers", len(plan) * len(MODES) * effort.blocks) as progress:
        for cell, size, ragged in plan:
            row: dict[str, Any] = {"cell": cell, "size": size, "ragged": ragged}
            progress.at(name(row))
            for mode in MODES:
                row[mode] = timed(able, floor, row, mode, effort, progress.tick)
            row["peaks"] = {library: peak(library, threads, row) for library in libraries}
            rows.append(row)
    return {"rows": rows, "libraries": libraries, "without": without, "ratios": summary(rows, libraries)}


def timed(
    workers: Sequence[Worker], floor: Worker, row: dict[str, Any], mode: str, effort: Effort, tick: Callable[[], None]
) -> dict[str, Any]:
    """The times of one row, the floor's among them (with ragged lengths there is none)."""
    cell, size, ragged = row["cell"], row["size"], row["ragged"]
    deviation = prepare(workers, mode, cell, size, ragged)
    result: dict[str, Any] = {"deviation": deviation if len(workers) > 1 else None}
    result["compile"] = {worker.library: worker.ask("compile_seconds") for worker in workers}
    turns = turns_of(workers, [mode])
    if not ragged:
        for layout in LAYOUTS:
            floor.ask("prepare_layer", layout, cell, size, False, mode == "training", {"layout": layout})
            turns.append(Turn(floor, layout, False))
    times, result["others"] = alternate(turns, effort, tick)
    found = {(turn.worker.library, turn.key): time for turn, time in zip(turns, times, strict=True)}
    result["times"] = {worker.library: found[worker.library, mode]._asdict() for worker in workers}
    if not ragged:
        layout = min(LAYOUTS, key=lambda layout: found[FLOOR, layout].total)
        result["floor"] = found[FLOOR, layout]._asdict() | {"layout": layout}
    for worker in {turn.worker for turn in turns}:
        worker.ask("forget")
    return result


def prepare(workers: Sequence[Worker], mode: str, cell: str, size: Size, ragged: bool) -> float:
    """Have all workers make the step; return by how much, relatively, their gradients (or outputs) differ at most.

    Raises:
        RuntimeError: they do not agree (``agreement.py``).
    """
    training = mode == "training"
    gates, (T, B, inputs, H) = CELLS[cell].gates, size
    shapes: dict[str, tuple[int, ...]] = {"output": (T, B, H), "x": (T, B, inputs)}
    shapes |= {"weight_ih_l0": (gates * H, inputs), "weight_hh_l0": (gates * H, H)}
    shapes |= {"bias_ih_l0": (gates * H,), "bias_hh_l0": (gates * H,)}
    answers = [
        (worker.library, worker.ask("prepare_layer", mode, cell, size, ragged, training, {})) for worker in workers
    ]
    if T == 1:  # this weight meets only the zeros before the first step
        for _, arrays in answers:
            arrays.pop("weight_hh_l0", None)
    what = f"{cell} {size}{', ragged' * ragged}: the{' gradient of' * training}"
    return largest_deviation(what, answers, shapes)


def peak(library: str, threads: int, row: dict[str, Any]) -> dict[str, Any]:
    """The peak of memory of one training step, in a process of its own."""
    with Worker(library, threads) as worker:
        answer = worker.ask("peak", "layer_step", row["cell"], row["size"], row["ragged"], {})
    return {"bytes": answer["bytes"], "method": answer["method"]}


def summary(rows: Sequence[dict[str, Any]], libraries: Sequence[str]) -> dict[str, Any]:
    """Of each mode, and the floor and each library but the first: the ratios of the first one's times to it."""
    result: dict[str, Any] = {mode: {} for mode in MODES}
    full = [row for row in rows if not row["ragged"]]
    for mode, other in product(MODES, [FLOOR, *libraries[1:]] if rows else []):
        ratios = {name(row): ours(row, mode, libraries) / theirs(row, mode, other) for row in full}
        lstm = {name(row): ratios[name(row)] for row in full if row["cell"] == "lstm"}
        result[mode][other] = {"all": spread(ratios), "lstm": spread(lstm) if lstm else None, "each": ratios}
    return result


def spread(ratios: dict[str, float]) -> dict[str, Any]:
    worst = max(ratios, key=ratios.__getitem__)
    return {
        "count": len(ratios), "geometric_mean": geometric_mean(list(ratios.values())),
        "worst": ratios[worst], "worst_cell": worst,
    }  # fmt: skip


def ours(row: dict[str, Any], mode: str, libraries: Sequence[str]) -> float:
    return float(row[mode]["times"][libraries[0]]["total"])


def theirs(row: dict[str, Any], mode: str, other: str) -> float:
    return float((row[mode]["floor"] if other == FLOOR else row[mode]["times"][other])["total"])


def name(row: dict[str, Any]) -> str:
    return f"{row['cell']} {row['size']}{' ragged' * row['ragged']}"


def report(result: dict[str, Any]) -> str:
    rows, libraries = result["rows"], result["libraries"]
    lines = [f"{library} has no recurrent layers" for library in result["without"]]
    if not rows:
        return "\n".join(lines)
    for mode in MODES:
        lines += ["", f"{mode}:", "", times_of(rows, mode, libraries), ""]
        lines += verdicts(result, mode) + notes(result, mode)
    lines += ["", "memory, the peak of one training step above what was there before, in a fresh process:", ""]
    lines += [peaks_of(rows, libraries), ""]
    lines += sorted({f"measured by {peak['method']}" for row in rows for peak in row["peaks"].values()})
    lines.append(f"right to some {mb(RESOLUTION)} MB; no ratios of less than {mb(COMPARED)} MB")
    return "\n".join(lines).strip() + disturbance(max(row[mode]["others"] for row in rows for mode in MODES))


def times_of(rows: Sequence[dict[str, Any]], mode: str, libraries: Sequence[str]) -> str:
    first, *others = libraries
    halves = ("forward", "backward") if mode == "training" else ()
    header = ["cell (T, B, in, hidden)", *(f"{library} ms" for library in libraries), "floor ms"]
    header += [f"ratio to {other}" for other in others] + ["to the floor", *(f"{half} to it" for half in halves)]
    header += [f"{half} to {other}" for other in others[-1:] for half in halves]
    body = []
    for row in rows:
        times, floor = row[mode]["times"], row[mode].get("floor", {})
        line = [name(row), *(ms(times[library]["total"]) for library in libraries), ms(floor.get("total"))]
        line += [ratio(times[first]["total"], times[other]["total"]) for other in others]
        line += [ratio(times[first][part], floor.get(part)) for part in ("total", *halves)]
        line += [ratio(times[first][half], times[other][half]) for other in others[-1:] for half in halves]
        body.append(line)
    return table(header, body)


def verdicts(result: dict[str, Any], mode: str) -> list[str]:
    """The means and the worst cells; what was promised concerns the training step only."""
    first, *others = result["libraries"]
    lines = []
    for other in others:
        ratios = result["ratios"][mode][other]
        for cells, words, mean, stretch in (("all", "", 0.65, None), ("lstm", " LSTM", 1.35, 1.0)):
            found = ratios[cells]
            if found is None:
                continue
            what = f"geometric mean of {found['count']}{words} ratios to {other}"
            worst = f"worst{words} cell, {found['worst_cell']}"
            if mode == "training":
                lines.append(verdict(what, found["geometric_mean"], mean, first, other, stretch))
                lines.append(verdict(worst, found["worst"], 1.6, first, other))
            else:
                lines += [f"{what}: {found['geometric_mean']:.2f}", f"{worst}: {found['worst']:.2f}"]
    key = f"lstm {SIZES[-1]}"
    each = result["ratios"][mode][FLOOR]["each"]
    if mode == "training" and key in each:
        lines.append(verdict(f"{key} over its matrix products alone", each[key], 1.35, first))
    return lines


def notes(result: dict[str, Any], mode: str) -> list[str]:
    """What was compiled, and how far the libraries agree."""
    rows, libraries, lines = result["rows"], result["libraries"], []
    for library in libraries:
        compiled = [seconds for row in rows if (seconds := row[mode]["compile"][library]) is not None]
        if compiled:
            words = f"{min(compiled):.2g} to {max(compiled):.2g} s a row, before it was timed"
            lines.append(f"{library} compiled the whole step: {words}")
    if len(libraries) > 1:
        what = "gradients" if mode == "training" else "outputs"
        words = f"{max(row[mode]['deviation'] for row in rows):.1e} (allowed: {TOLERANCE:g})"
        lines.append(f"largest relative difference from {libraries[-1]}'s {what}: {words}")
    return lines


def peaks_of(rows: Sequence[dict[str, Any]], libraries: Sequence[str]) -> str:
    first, *others = libraries
    header = ["cell (T, B, in, hidden)", *(f"{library} MB" for library in libraries)]
    header += [f"ratio to {other}" for other in others]
    body = []
    for row in rows:
        peaks = {library: row["peaks"][library]["bytes"] for library in libraries}
        line = [name(row), *("not known" if size is None else mb(size) for size in peaks.values())]
        body.append(line + [ratio(*large(peaks[first], peaks[other])) for other in others])
    return table(header, body)


def large(*sizes: int | None) -> tuple[int | None, ...]:
    """The sizes, None in place of those too small to be compared."""
    return tuple(size if size is not None and size >= COMPARED else None for size in sizes)
