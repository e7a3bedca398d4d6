"""Fused sequences: a layer's loop over time as one recorded node, fast, with the unrolled loop as its definition."""

from .sequence import fused

__all__ = ["fused"]
