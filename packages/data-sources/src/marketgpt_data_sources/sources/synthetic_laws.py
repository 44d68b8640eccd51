r"""The laws of simulated prices: what the increments of a day's log price are.

For a symbol, with day t = 1 ... T and everything independent across symbols:

    r_t = mu_t + e_t,   e_t = sigma_t z_t + sum of jumps        log return from close to close

``random_walk``: mu_t = mu, sigma_t = sigma, z_t normal.

``garch_t``: GARCH(1,1)-t (Bollerslev 1987, Review of Economics and Statistics 69).
    sigma_t^2 = omega + alpha e_{t-1}^2 + beta sigma_{t-1}^2, known at the close of t-1;
    omega = (1 - alpha - beta) sigma^2, sigma_1 = sigma, z_t a standardised Student t with nu.

``regime_switching``: two states s_t, calm (0) and turbulent (1) (Hamilton 1989, Econometrica 57).
    A Markov chain that leaves a state with probability 1 / ``calm_days``, 1 / ``turbulent_days`` a day and
    starts in its stationary law pi. mu_t = m_s, sigma_t = d_s, z_t normal; d_1 / d_0 is ``turbulence``, m_1
    ``turbulent_mean``; m_0 and d_0 are such that mu = sum pi_s m_s and
    sigma^2 = sum pi_s (d_s^2 + (m_s - mu)^2).

``jumps``: a jump diffusion (Merton 1976, Journal of Financial Economics 3).
    A Poisson number of jumps of the log price, lambda = ``jumps_per_year`` / 252 a day, each normal with mean
    a = ``jump_mean`` and deviation d = ``jump_volatility``; the diffusion's mean is mu - lambda a and its
    variance sigma^2 - lambda (a^2 + d^2).

So mu = ``mean_log_return`` and sigma = ``daily_volatility`` are mean and deviation of a day's return under
every law.

Inside the day. A Student t is a normal with a random variance, z_t = sqrt(L_t) n_t with
L_t = (nu - 2) / chi2_nu (L_t = 1 for the other laws). Given sigma_t and L_t, the day is a Brownian motion of
variance L_t sigma_t^2, of which the share ``overnight_share`` = w passes before the open and the rest in
``steps_per_day`` = N equal steps: increments x_0 ~ N(0, w), x_1 ... x_N ~ N(0, (1 - w) / N), times
sqrt(L_t) sigma_t, with mu_t / (N + 1) added to each. A jump falls into an increment with the probability of
its share of the variance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marketgpt_data_sources.sources.synthetic_config import SyntheticConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Days:
    """The simulated days of one symbol.

    Attributes:
        increments: shape (T, N + 1), of the log price: overnight, then in each step.
        sigma: shape (T,), see :class:`marketgpt_data_sources.sources.synthetic.Truth`.
        mean: shape (T,), likewise.
        state: shape (T,); None where the law has no states.
        jumps: shape (T, N + 1), how many jumps each increment holds; None where the law has none.
    """

    increments: Floats
    sigma: Floats
    mean: Floats
    state: NDArray[np.int8] | None = None
    jumps: NDArray[np.int64] | None = None


def simulate(config: SyntheticConfig, rng: np.random.Generator) -> Days:
    """Return the days of one symbol under the law of the options."""
    noise = rng.normal(size=(config.num_candles, config.steps_per_day + 1)) * np.sqrt(shares(config))
    return _LAWS[config.law](config, noise, rng)


def shares(config: SyntheticConfig) -> Floats:
    """Return the share of a day's variance in each increment, shape (N + 1,)."""
    result = np.full(config.steps_per_day + 1, (1 - config.overnight_share) / config.steps_per_day)
    result[0] = config.overnight_share
    return result


def _days(noise: Floats, sigma: Floats, mean: Floats, state: NDArray[np.int8] | None = None) -> Days:
    steps = noise * sigma[:, None] + mean[:, None] / noise.shape[1]
    return Days(steps, sigma, mean, state)


def _random_walk(config: SyntheticConfig, noise: Floats, rng: np.random.Generator) -> Days:  # noqa: ARG001
    num_days = len(noise)
    sigma = np.full(num_days, config.daily_volatility)
    return _days(noise, sigma, np.full(num_days, config.mean_log_return))


def _garch_t(config: SyntheticConfig, noise: Floats, rng: np.random.Generator) -> Days:
    nu, num_days = config.degrees_of_freedom, len(noise)
    noise = noise * np.sqrt((nu - 2) / rng.chisquare(nu, size=(num_days, 1)))
    omega = (1 - config.alpha - config.beta) * config.daily_volatility**2
    variance = np.empty(num_days)
    current = config.daily_volatility**2
    for day, shock in enumerate(noise.sum(axis=1)):
        variance[day] = current
        current = omega + (config.alpha * shock**2 + config.beta) * current
    return _days(noise, np.sqrt(variance), np.full(num_days, config.mean_log_return))


def _regime_switching(config: SyntheticConfig, noise: Floats, rng: np.random.Generator) -> Days:
    leaving = (1 / config.calm_days, 1 / config.turbulent_days)
    draws = rng.random(len(noise))
    state = np.empty(len(noise), dtype=np.int8)
    current = int(draws[0] < config.turbulent_share)
    state[0] = current
    for day, draw in enumerate(draws[1:], start=1):
        current = 1 - current if draw < leaving[current] else current
        state[day] = current
    return _days(
        noise, np.array(config.state_volatilities)[state], np.array(config.state_means)[state], state
    )


def _jumps(config: SyntheticConfig, noise: Floats, rng: np.random.Generator) -> Days:
    rate, num_days = config.jumps_per_day, len(noise)
    counts = rng.poisson(rate * shares(config), size=noise.shape)
    sizes = counts * config.jump_mean + np.sqrt(counts) * config.jump_volatility * rng.normal(
        size=noise.shape
    )
    diffusion = np.full(num_days, np.sqrt(config.daily_volatility**2 - config.jump_variance))
    drift = np.full(num_days, config.mean_log_return - rate * config.jump_mean)
    steps = _days(noise, diffusion, drift).increments + sizes
    sigma = np.full(num_days, config.daily_volatility)
    return Days(steps, sigma, np.full(num_days, config.mean_log_return), jumps=counts)


_LAWS: dict[str, Callable[[SyntheticConfig, Floats, np.random.Generator], Days]] = {
    "random_walk": _random_walk,
    "garch_t": _garch_t,
    "regime_switching": _regime_switching,
    "jumps": _jumps,
}
