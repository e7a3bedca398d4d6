"""Pictures of recorded graphs: ``tg.draw``.

From a tensor to a picture, each step a file of its own:

- ``model`` reads the recorded graph (with ``expansion`` for what one node stands for, ``measures`` for gradients and
  values);
- ``loops`` finds who ran over time steps, and ``timeline`` each operation's column and row;
- ``views`` says what each view shows as one (``boxes``: which operations, ``tags``: where weights are written), and
  ``fold`` puts it together (``distances``: how far edges lead through time);
- ``blocks`` and ``copies`` sort it into time steps, and find those that are alike;
- ``layout`` finds a place for everything (``block_layout`` for one step, ``grid`` for columns and rows, ``routes`` and
  ``curves`` for lines, ``weight_names`` and ``marks`` for what is written over them; ``words``, ``labels`` and
  ``colours`` say how);
- ``dot`` writes that down for Graphviz, which ``renderers`` runs, and ``page`` puts it on a page.

All of it takes time linear in the size of the graph, but for the layout of one step.
"""

from .picture import Drawing, draw

__all__ = ["Drawing", "draw"]
