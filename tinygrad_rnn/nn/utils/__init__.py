"""Gradient clipping under the name that PyTorch gives it, ``nn.utils``; it lives in ``nn/clipping.py``."""

from ..clipping import clip_grad_norm_, clip_grad_value_

__all__ = ["clip_grad_norm_", "clip_grad_value_"]
