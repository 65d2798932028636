"""The recommenders in PyTorch, as one writes them plainly. `places` alone needs no PyTorch."""
