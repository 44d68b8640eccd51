"""Maximum likelihood of GARCH(1,1) and GJR-GARCH(1,1) with Student t errors and a constant mean.

The package ``arch`` fits the same likelihood, and the tests hold both against each other; it takes five
times as long (57 against 11 ms a fit on a busy core), and an evaluation of 400 symbols needs some 9,000
fits. It is asked where our search gives up. Returns are in percent, so that every parameter is of a size an
optimiser likes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.signal import lfilter
from scipy.special import digamma, expit, gammaln

Floats = NDArray[np.float64]

_BACKCAST_BARS = 75
_BACKCAST_DECAY = 0.94
_LEAST_FREEDOM = 2.05
# Of: mean in standard deviations, log of the long-run variance over the sample's, logit persistence, logit
# share of news in it, log(freedom - 2.05), logit share of the news from rises.
_BOUNDS = ((-1.0, 1.0), (-5.0, 5.0), (-3.0, 9.0), (-7.0, 4.0), (-2.5, 5.5), (-12.0, 12.0))
_STARTS = (
    (0.0, 0.0, 4.0, -2.5, 1.5, -0.5),
    (0.0, 0.0, 1.0, -0.5, 1.0, -0.5),
)


@dataclass(frozen=True)
class GarchParameters:
    """Next variance = omega + (alpha + gamma [e < 0]) e^2 + beta variance; e is the return less the mean.

    Attributes:
        mean: Percent a bar.
        omega, alpha, gamma, beta: Of the variance, percent squared; gamma is 0 without asymmetry.
        freedom: Of the Student t, > 2.
        log_likelihood: Of the returns fitted on.
        converged: False when the optimiser gave up.
    """

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    freedom: float
    log_likelihood: float
    converged: bool

    @property
    def persistence(self) -> float:
        """Share of today's excess variance that is left after a bar."""
        return self.alpha + self.gamma / 2 + self.beta

    def variances(self, returns: Floats) -> Floats:
        """Return the variance of each bar and of the next, shape (T + 1,), each from the bars before it."""
        error = returns - self.mean
        news = (self.alpha + self.gamma * (error < 0)) * error**2 + self.omega
        first = self.omega + self.persistence * backcast(error)
        return np.concatenate([[first], lfilter([1.0], [1.0, -self.beta], news, zi=[self.beta * first])[0]])


def backcast(error: Floats) -> float:
    """Return the variance the recursion starts from: of the first 75 bars, the earliest weighing most."""
    known = error[:_BACKCAST_BARS]
    weights = _BACKCAST_DECAY ** np.arange(len(known))
    return float((known**2 * weights).sum() / weights.sum())


def fit_garch(
    returns: Floats, *, asymmetric: bool, start: Floats | None = None
) -> tuple[GarchParameters, Floats]:
    """Fit by maximum likelihood.

    Bollerslev, "A conditionally heteroskedastic time series model for speculative prices and rates of
    return", 1987; the asymmetric term of Glosten, Jagannathan and Runkle, "On the relation between the
    expected value and the volatility of the nominal excess return on stocks", 1993.

    Args:
        returns: shape (T,), percent.
        asymmetric: Fit gamma (GJR) instead of holding it at 0.
        start: Where the search starts: the second value of an earlier call. Without it the best of three
            starts is taken.

    Returns:
        The parameters, and where the search ended.
    """
    centre, spread = float(returns.mean()), float(returns.std())
    if spread < 1e-8:  # noqa: PLR2004 - a price that never moved has no GARCH
        return _flat(centre), np.array(_STARTS[0])
    scaled = (returns - centre) / spread
    size = 6 if asymmetric else 5

    def search(first: Floats) -> tuple[float, Floats, bool]:
        found = minimize(
            _loss, first[:size], args=(scaled,), jac=True, method="L-BFGS-B", bounds=_BOUNDS[:size],
            options={"maxiter": 200, "ftol": 1e-7, "gtol": 1e-4},
        )  # fmt: skip
        return float(found.fun), np.asarray(found.x), bool(found.success)

    starts = [np.array(one) for one in _STARTS] if start is None else [start]
    loss, place, converged = min((search(one) for one in starts), key=lambda found: found[0])
    if not (converged and np.isfinite(loss)):
        return fit_with_arch(returns, asymmetric=asymmetric), np.array(_STARTS[0])
    mean, omega, alpha, gamma, beta, freedom = _natural(place)
    return (
        GarchParameters(
            mean=centre + spread * mean,
            omega=omega * spread**2,
            alpha=alpha,
            gamma=gamma,
            beta=beta,
            freedom=freedom,
            log_likelihood=-loss * len(returns) - len(returns) * np.log(spread),
            converged=True,
        ),
        np.concatenate([place, np.array(_STARTS[0][size:])]),
    )


def fit_with_arch(returns: Floats, *, asymmetric: bool) -> GarchParameters:
    """Fit the same likelihood by the package ``arch``: slower, and asked where the search above gave up."""
    from arch import arch_model

    with warnings.catch_warnings():
        # Said by `converged`, and counted.
        warnings.simplefilter("ignore")
        model = arch_model(returns, vol="GARCH", p=1, o=int(asymmetric), q=1, dist="t", rescale=False)
        found = model.fit(disp="off", show_warning=False)
    mean, omega, alpha, *rest = (float(one) for one in found.params)
    gamma, beta, freedom = rest if asymmetric else (0.0, *rest)
    return GarchParameters(
        mean=mean,
        omega=omega,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        freedom=max(freedom, _LEAST_FREEDOM),
        log_likelihood=float(found.loglikelihood),
        converged=found.convergence_flag == 0 and bool(np.isfinite(found.params).all()),
    )


def _flat(mean: float) -> GarchParameters:
    return GarchParameters(mean, 1e-12, 0.0, 0.0, 0.0, 10.0, np.nan, converged=False)


def _natural(place: Floats) -> tuple[float, float, float, float, float, float]:
    persistence, share = expit(place[2]), expit(place[3])
    rises = expit(place[5]) if len(place) > 5 else 0.5  # noqa: PLR2004 - the sixth is the asymmetry
    news = persistence * share
    alpha, falls = 2 * news * rises, 2 * news * (1 - rises)
    omega = np.exp(place[1]) * (1 - persistence)
    freedom = _LEAST_FREEDOM + np.exp(place[4])
    return (
        place[0],
        float(omega),
        float(alpha),
        float(falls - alpha),
        float(persistence * (1 - share)),
        freedom,
    )


def _loss(place: Floats, returns: Floats) -> tuple[float, Floats]:
    """Return the mean negative log-likelihood and its gradient by one filter forward and one backward."""
    mean, omega, alpha, gamma, beta, freedom = _natural(place)
    error = returns - mean
    square = error * error
    falling = error < 0
    rate = alpha + gamma * falling
    start = backcast(returns)
    first = omega + (alpha + gamma / 2 + beta) * start
    news = rate[:-1] * square[:-1] + omega
    variance = np.empty_like(error)
    variance[0] = first
    variance[1:] = lfilter([1.0], [1.0, -beta], news, zi=[beta * first])[0]
    spare = freedom - 2
    q = square / (variance * spare)
    log_tail = np.log1p(q)
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(np.pi * spare)
    n = len(error)
    loss = -constant + (0.5 * np.log(variance).sum() + (freedom + 1) / 2 * log_tail.sum()) / n
    weight = q / (1 + q)
    by_variance = (0.5 - (freedom + 1) / 2 * weight) / variance
    by_error = (freedom + 1) * weight / np.where(error == 0, 1.0, error)
    adjoint = lfilter([1.0], [1.0, -beta], by_variance[::-1])[::-1]
    later = adjoint[1:]
    by_alpha = later @ square[:-1] + adjoint[0] * start
    by_gamma = later @ (square[:-1] * falling[:-1]) + adjoint[0] * start / 2
    by_beta = later @ variance[:-1] + adjoint[0] * start
    by_mean = -by_error.sum() - 2 * (later @ (rate[:-1] * error[:-1]))
    by_freedom = n * (-0.5 * digamma((freedom + 1) / 2) + 0.5 * digamma(freedom / 2) + 0.5 / spare) + (
        0.5 * log_tail.sum() - (freedom + 1) / 2 * weight.sum() / spare
    )
    by_natural = np.array([by_mean, adjoint.sum(), by_alpha, by_gamma, by_beta, by_freedom]) / n
    return float(loss), _chain(place, by_natural)


def _chain(place: Floats, by_natural: Floats) -> Floats:
    """Return the gradient by the free parameters from that by the natural ones."""
    by_mean, by_omega, by_alpha, by_gamma, by_beta, by_freedom = by_natural
    persistence, share = expit(place[2]), expit(place[3])
    rises = expit(place[5]) if len(place) > 5 else 0.5  # noqa: PLR2004
    long_run = np.exp(place[1])
    by_news = 2 * rises * by_alpha + (2 - 4 * rises) * by_gamma
    by_persistence = -long_run * by_omega + share * by_news + (1 - share) * by_beta
    by_share = persistence * (by_news - by_beta)
    gradient = [
        by_mean,
        by_omega * long_run * (1 - persistence),
        by_persistence * persistence * (1 - persistence),
        by_share * share * (1 - share),
        by_freedom * np.exp(place[4]),
    ]
    if len(place) > 5:  # noqa: PLR2004
        by_rises = 2 * persistence * share * (by_alpha - 2 * by_gamma)
        gradient.append(by_rises * rises * (1 - rises))
    return np.array(gradient)
