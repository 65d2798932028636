"""A Gaussian prior on the vectors of a field's IDs, chunk by chunk, fitted to the IDs' own rows.

An ID of few rows does not tell what vector it should have: the vector of least loss on its rows
fits noise. With a prior it has a posterior, whose mean is shrunk the more the fewer its rows are,
and the ID moves to the codeword nearest to that. The prior of a chunk is fitted by its evidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..kernels.argmin import in_blocks
from .evidence import fit_by_evidence

ROUNDS = 3
"""Of fitting, after an epoch."""

LEAST_SHARE = 0.1
"""No variance of a chunk's prior is less than this share of the largest of the field's."""

LEAST_OF_CODEWORDS = 1e-2
"""Nor than this share of the mean square of the chunk's codewords."""


@dataclass(frozen=True)
class GaussianPriors:
    """Priors of one field's vectors, a Gaussian for each chunk of columns.

    Attributes
    ----------
    means : ndarray of float64, shape (chunks, width)
    covariances : ndarray of float64, shape (chunks, width, width)
        Zeros where nothing has been fitted yet.
    posterior_covariances : ndarray of float64, shape (chunks, width, width)
        Of an ID's vector given its rows, in the mean over the rows; likewise.

    Examples
    --------
    >>> priors = GaussianPriors.unfitted(4, 8)
    >>> priors.means.shape, priors.covariances.shape
    ((4, 8), (4, 8, 8))
    """

    means: np.ndarray
    covariances: np.ndarray
    posterior_covariances: np.ndarray

    @classmethod
    def unfitted(cls, n_chunks: int, width: int) -> GaussianPriors:
        """Priors of which nothing is known."""
        square = n_chunks, width, width
        return cls(np.zeros(square[:2]), np.zeros(square), np.zeros(square))

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        return {
            "means": self.means,
            "covariances": self.covariances,
            "posterior_covariances": self.posterior_covariances,
        }

    def fit(self, chunk: int, features: np.ndarray, rows: np.ndarray, mean_square: float) -> None:
        """Some rounds of the evidence of one chunk's prior, from where it is.

        Parameters
        ----------
        chunk : int
        features : ndarray of float32, shape (n, width (width + 3) / 2)
            Parabolas of the losses of IDs, in nats.
        rows : ndarray, shape (n,)
            Rows of each of these IDs.
        mean_square : float
            Of the chunk's codewords, positive: a prior starts with this variance.

        Notes
        -----
        With a prior of covariance ``S``, posterior means ``u`` and covariances ``V``, a round is
        ``S <- G^(-1/2) D G^(-1/2)``, where ``D`` sums ``(u - m)(u - m)'`` and ``G`` sums ``I - V``,
        both in coordinates where ``S`` is the identity: the fixed point of the evidence of MacKay
        (1992, "Bayesian interpolation"), for a whole matrix. The EM algorithm has the same fixed
        point, but comes near it far too slowly where rows are few.

        Chunks are alike, so what one chunk has of variance bounds that of the others from below:
        by its evidence alone a chunk whose codewords are small on both sides of a product would be
        pruned, and never be of use.

        Examples
        --------
        Vectors -1 and 1, each known from much:

        >>> priors = GaussianPriors.unfitted(1, 1)
        >>> features = np.float32([[500.0, 1000.0], [500.0, -1000.0]] * 50)
        >>> priors.fit(0, features, np.ones(100), 0.1)
        >>> priors.covariances.round(2).tolist()
        [[[1.0]]]
        """
        width = self.means.shape[1]
        if not self.covariances[chunk].any():
            self.covariances[chunk] = mean_square * np.eye(width)
        others = np.linalg.eigvalsh(np.delete(self.covariances, chunk, axis=0))
        least = max(LEAST_SHARE * others.max(initial=0.0), LEAST_OF_CODEWORDS * mean_square)
        fit_by_evidence(
            in_blocks(features), rows / max(rows.sum(), 1), ROUNDS, least, LEAST_SHARE,
            self.means[chunk], self.covariances[chunk], self.posterior_covariances[chunk],
        )  # fmt: skip

    def in_units(self, chunks: np.ndarray, nat: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Precisions of some chunks, their products with the means, their least eigenvalues.

        In float32; zeros for the other chunks.

        Parameters
        ----------
        chunks : ndarray of int64
        nat : float
            One nat, in units of the loss.
        """
        precisions, shifts = np.zeros_like(self.covariances), np.zeros_like(self.means)
        smallest = np.zeros(len(precisions))
        for chunk in chunks:
            precisions[chunk] = nat * np.linalg.inv(self.covariances[chunk])
            shifts[chunk] = precisions[chunk] @ self.means[chunk]
            smallest[chunk] = np.linalg.eigvalsh(precisions[chunk])[0]
        single = np.float32
        return precisions.astype(single), shifts.astype(single), smallest.astype(single)

    def most_likely(self, chunk: int, codewords: np.ndarray) -> int:
        """The codeword that an ID without rows has: that of highest density."""
        away = codewords - self.means[chunk]
        return int((away @ np.linalg.inv(self.covariances[chunk]) * away).sum(axis=1).argmin())


def as_parabola(matrix: np.ndarray) -> np.ndarray:
    """``c'Mc / 2`` as the features of a parabola; see `lsq_sketch.kernels.parabolas`.

    Parameters
    ----------
    matrix : ndarray, shape (width, width)
        Symmetric.

    Returns
    -------
    ndarray of float32, shape (width (width + 3) / 2,)

    Examples
    --------
    >>> as_parabola(np.array([[2.0, 3.0], [3.0, 4.0]])).tolist()
    [1.0, 3.0, 2.0, 0.0, 0.0]
    """
    width = len(matrix)
    halved = matrix - np.diag(np.diag(matrix) / 2)
    by_row = [halved[a, : a + 1] for a in range(width)]
    return np.concatenate([*by_row, np.zeros(width)]).astype(np.float32)
