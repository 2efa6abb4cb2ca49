"""Ours against named peers, side by side in one process: `python -m benchmarks.descent` and its neighbours."""
