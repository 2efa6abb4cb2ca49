"""Coordinate descent for the lasso, compiled by Numba (a second at the first call, then kept on disk)."""

import numpy as np
from numba import njit


@njit(cache=True)
def lasso(G, b, y_norm, penalties, tolerance, max_sweeps):
    """Minimise w'Gw / 2 - b'w + penalty ||w||_1 for each penalty, the last solution being the next start.

    Sweeps over the columns until none moves a prediction by `tolerance` * `y_norm`; when that takes long, the
    columns that are in are solved for exactly. Returns weights (n_penalties, n) and the number not converged.
    """
    n = len(b)
    W, missed = np.zeros((len(penalties), n)), 0
    w, rest = np.zeros(n), b.copy()  # rest = b - G w, the gradient but for its sign
    for p, penalty in enumerate(penalties):
        moved, sweep, solve_at = np.inf, 0, 2
        while moved > tolerance * y_norm and sweep < max_sweeps:
            moved = 0.0
            for j in range(n):
                if G[j, j] > 0.0:
                    pull = rest[j] + G[j, j] * w[j]
                    new = np.sign(pull) * max(abs(pull) - penalty, 0.0) / G[j, j]
                    if new != w[j]:
                        step = new - w[j]
                        w[j] = new
                        for i in range(n):
                            rest[i] -= G[j, i] * step
                        moved = max(moved, abs(step) * np.sqrt(G[j, j]))
            sweep += 1
            used = np.flatnonzero(w)
            if sweep >= max(solve_at, len(used) ** 2 // (8 * n)):  # now a solve costs no more than the sweeps did
                solve_at = 2 * sweep
                if _solve(G, b, penalty, w, used):
                    rest = b - G @ w
        missed += moved > tolerance * y_norm
        W[p] = w
    return W, missed


@njit(cache=True)
def _solve(G, b, penalty, w, used):
    """Put the exact weights of the columns `used` into w, if none of them changes its sign; say whether."""
    k = len(used)
    L, x = np.zeros((k, k)), np.zeros(k)
    for i in range(k):  # Cholesky, and L x = b - penalty sign(w) on the way
        for j in range(i + 1):
            L[i, j] = G[used[i], used[j]]
            for h in range(j):
                L[i, j] -= L[i, h] * L[j, h]
            if j < i:
                L[i, j] /= L[j, j]
        if L[i, i] <= 1e-12 * G[used[i], used[i]]:
            return False  # columns that repeat each other
        L[i, i] = np.sqrt(L[i, i])
        x[i] = b[used[i]] - penalty * np.sign(w[used[i]])
        for h in range(i):
            x[i] -= L[i, h] * x[h]
        x[i] /= L[i, i]
    for i in range(k - 1, -1, -1):
        for h in range(i + 1, k):
            x[i] -= L[h, i] * x[h]
        x[i] /= L[i, i]
        if x[i] * w[used[i]] <= 0.0:
            return False
    w[used] = x
    return True
