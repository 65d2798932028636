"""Optimisers: gradient descent, row-wise Adagrad, Adam with decoupled weight decay.

A batch touches few rows of a large table. What happens to the others in that step:

- gradient descent and Adagrad leave a row without gradient alone, so only touched rows are
  stepped, and nothing is lost;
- Adam moves every row in every step, through its running means (and its weight decay). That is
  what a framework does with dense gradients, and it matters: a rare ID moves much farther than
  under "lazy" Adam, which skips those steps. Here a row of a large table is stepped only when it
  is touched, but the steps it missed are made up for, in closed form, before it is next read:
  dense Adam at the price of lazy Adam. The closed form differs from step-by-step arithmetic by
  rounding, and in how ``epsilon`` enters where gradients are below it.

Small tables (`STEP_ROWS_ALONE`) are stepped as a whole; which way is taken depends on sizes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..kernels import optimizers as kernels

STEP_ROWS_ALONE = 2
"""Tables are stepped row by row if they have so many times more rows than a batch can touch."""

STEP_ALONE_COST = 32
"""Floats of a step as a whole that cost what a row, however narrow, costs when stepped alone."""


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent.

    Attributes
    ----------
    learning_rate : float

    Examples
    --------
    >>> Sgd(0.1).learning_rate
    0.1
    """

    learning_rate: float = 1.0
    name: ClassVar[str] = "sgd"
    kind: ClassVar[int] = kernels.SGD

    def __post_init__(self) -> None:
        _check_numbers(self)

    def hyperparameters(self, rate: float) -> np.ndarray:
        """What the kernels read, (5,), for the current learning rate."""
        return np.array([rate, 0.0, 0.0, 0.0, 0.0])

    def state_sizes(self, n_values: int, n_rows: int) -> tuple[int, int]:
        """Floats of the first and of the second state array."""
        return 0, 0


@dataclass(frozen=True)
class Adagrad:
    """Row-wise Adagrad: each row divides by the root of its sum of mean squared gradients.

    Attributes
    ----------
    learning_rate : float
    epsilon : float
        Added to the root.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods", JMLR 2011; one sum a row as in
    Gupta, Bengio and Weston, "Training highly multiclass classifiers", JMLR 2014.

    Examples
    --------
    >>> Adagrad().state_sizes(320, 10)
    (10, 0)
    """

    learning_rate: float = 0.05
    epsilon: float = 1e-10
    name: ClassVar[str] = "adagrad"
    kind: ClassVar[int] = kernels.ADAGRAD

    def __post_init__(self) -> None:
        _check_numbers(self)

    def hyperparameters(self, rate: float) -> np.ndarray:
        """What the kernels read, (5,), for the current learning rate."""
        return np.array([rate, 0.0, 0.0, self.epsilon, 0.0])

    def state_sizes(self, n_values: int, n_rows: int) -> tuple[int, int]:
        """Floats of the first and of the second state array."""
        return n_rows, 0


@dataclass(frozen=True)
class Adam:
    """Adam, with decoupled weight decay (AdamW) if ``weight_decay > 0``.

    Attributes
    ----------
    learning_rate : float
    beta1, beta2 : float
        Decay of the running means of gradients and of their squares.
    epsilon : float
    weight_decay : float
        A step first multiplies each parameter by ``1 - learning_rate weight_decay``.

    References
    ----------
    Kingma and Ba, "Adam", ICLR 2015. Loshchilov and Hutter, "Decoupled weight decay
    regularization", ICLR 2019.

    Examples
    --------
    >>> Adam().state_sizes(320, 10)
    (320, 320)
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    name: ClassVar[str] = "adam"
    kind: ClassVar[int] = kernels.ADAM

    def __post_init__(self) -> None:
        _check_numbers(self)
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 0 and below 1, got {getattr(self, name)}."
                )
        # steps made up for at once need a geometric series that falls
        if self.beta1 >= self.beta2**0.5 * (1 - self.learning_rate * self.weight_decay):
            raise ValueError(
                f"beta1 = {self.beta1} must be below sqrt(beta2) (1 - learning_rate weight_decay) "
                f"for beta2 = {self.beta2}, or running means outlive what they are divided by."
            )

    def hyperparameters(self, rate: float) -> np.ndarray:
        """What the kernels read, (5,), for the current learning rate."""
        return np.array([rate, self.beta1, self.beta2, self.epsilon, self.weight_decay])

    def state_sizes(self, n_values: int, n_rows: int) -> tuple[int, int]:
        """Floats of the first and of the second state array."""
        return n_values, n_values


Optimizer = Sgd | Adagrad | Adam

OPTIMIZERS: dict[str, type[Sgd] | type[Adagrad] | type[Adam]] = {
    kind.name: kind for kind in (Sgd, Adagrad, Adam)
}


def _check_numbers(optimizer: Optimizer) -> None:
    for name, value in vars(optimizer).items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {value!r}.")
        low = 0.0
        if not np.isfinite(value) or value < low or (name == "learning_rate" and value == 0):
            raise ValueError(f"{name} must be a finite positive number, got {value}.")
