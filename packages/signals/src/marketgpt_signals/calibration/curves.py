"""Calibration curves: from a stated probability to what it was worth. N samples, K points.

Every curve is monotone: calibration never turns a better forecast into a worse one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["platt", "beta", "isotonic"]
METHODS: tuple[Method, ...] = ("platt", "beta", "isotonic")
_EDGE = 1e-4
_ROUNDS = 50
_ENOUGH = 1e-10
_RIDGE = 1e-6
_FEWEST_A_STEP = 10
# A curve is kept as values at these probabilities and read by lines between them.
GRID: NDArray[np.float64] = np.round(np.linspace(0.0, 1.0, 101), 2)


def fit_curve(p: NDArray[np.float64], up: NDArray[np.bool_], method: Method) -> NDArray[np.float64]:
    """Fit a curve and return its values on :data:`GRID`, shape (101,), in [0, 1], not decreasing.

    * ``platt``: logit g = a logit p + b. Platt, Probabilistic Outputs for Support Vector Machines (1999),
      with his targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2), on logits as Guo et al. 2017 take them.
    * ``beta``: logit g = a ln p - b ln(1 - p) + c. Kull, Silva Filho and Flach, Beta calibration (2017).
    * ``isotonic``: the monotone steps nearest to the outcomes by pool-adjacent-violators (Ayer et al. 1955;
      Zadrozny and Elkan 2002), each step a hundredth of the samples at least, joined by lines.

    Args:
        p: shape (N,): stated probabilities.
        up: shape (N,): whether it came.
        method: See above.
    """
    if method == "isotonic":
        return _isotonic(p, up)
    clipped, grid = np.clip(p, _EDGE, 1 - _EDGE), np.clip(GRID, _EDGE, 1 - _EDGE)
    num_up = int(up.sum())
    high, low = (num_up + 1) / (num_up + 2), 1 / (len(up) - num_up + 2)
    target = np.where(up, high, low)
    features = _features(method, clipped)
    kept = np.ones(features.shape[1], dtype=bool)
    while True:
        weights = _logistic(features[:, kept], target)
        # The last is the constant; a negative slope would turn the order round.
        falling = np.flatnonzero(weights[:-1] < 0)
        if not len(falling):
            break
        kept[np.flatnonzero(kept)[falling[0]]] = False
    return _sigmoid(_features(method, grid)[:, kept] @ weights)


def _features(method: Method, p: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = [np.log(p) - np.log1p(-p)] if method == "platt" else [np.log(p), -np.log1p(-p)]
    return np.stack([*columns, np.ones_like(p)], axis=1)


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _logistic(features: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights of a logistic regression by Newton's method, steps halved while they overshoot."""
    weights = np.zeros(features.shape[1])

    def loss(at: NDArray[np.float64]) -> float:
        score = features @ at
        return float(np.mean(np.logaddexp(0.0, score) - target * score)) + _RIDGE * float(at @ at)

    for _ in range(_ROUNDS):
        g = _sigmoid(features @ weights)
        slope = features.T @ (g - target) / len(target) + 2 * _RIDGE * weights
        curvature = (features * (g * (1 - g))[:, None]).T @ features / len(target)
        step = np.linalg.solve(curvature + 2 * _RIDGE * np.eye(len(weights)), slope)
        size, before = 1.0, loss(weights)
        while loss(weights - size * step) > before and size > _ENOUGH:
            size /= 2
        weights = weights - size * step
        if float(np.abs(size * step).max()) < _ENOUGH:
            break
    return weights


def _isotonic(p: NDArray[np.float64], up: NDArray[np.bool_]) -> NDArray[np.float64]:
    from scipy.optimize import isotonic_regression

    # Equal probabilities are one point, weighing as many samples as it has.
    points, place, counts = np.unique(p, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=up.astype(np.float64)) / counts
    fitted = np.asarray(isotonic_regression(shares, weights=counts).x)
    edges, values = [], []
    for step in _large_enough(fitted, counts):
        edges += [points[step[0]], points[step[-1]]]
        values += 2 * [float(np.average(fitted[step], weights=counts[step]))]
    return np.asarray(np.interp(GRID, edges, values))


def _large_enough(fitted: NDArray[np.float64], counts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the points of each step, pooled with the next until it holds a hundredth of the samples.

    A step of one sample says 0 or 1. The mean of neighbouring steps lies between them: the order stays.
    """
    least = max(_FEWEST_A_STEP, int(counts.sum()) // 100)
    result: list[NDArray[np.int64]] = []
    for step in np.split(np.arange(len(fitted)), np.flatnonzero(np.diff(fitted) > 0) + 1):
        if result and counts[result[-1]].sum() < least:
            result[-1] = np.concatenate([result[-1], step])
        else:
            result.append(step)
    if len(result) > 1 and counts[result[-1]].sum() < least:
        last = result.pop()
        result[-1] = np.concatenate([result[-1], last])
    return result


def read_curve(curve: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a curve's values at probabilities of any shape."""
    return np.asarray(np.interp(p, GRID, curve))
