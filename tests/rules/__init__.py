"""Every derivative rule against independent truth: central differences of NumPy's own function, and PyTorch."""
