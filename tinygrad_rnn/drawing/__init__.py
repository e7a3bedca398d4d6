"""Pictures of recorded graphs: ``tg.draw``.

From a tensor to a picture in four steps, each a file of its own: ``model`` reads the recorded graph; ``blocks`` sorts
it into time steps; ``layout`` (with ``block_layout`` for one step, and ``routes`` for the lines between steps) finds a
place for everything; ``dot`` writes that down for Graphviz, which ``renderers`` runs. All of it takes time linear in
the size of the graph, but for the layout of one step.
"""

from .picture import Drawing, draw

__all__ = ["Drawing", "draw"]
