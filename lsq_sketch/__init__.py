"""Compressed embedding tables in the least-squares setting: sketch, solve, cluster, re-solve.

A table ``T`` (d1 x d2) that would minimise ``||X T - Y||_F^2`` is stored as ``T = H M``: ``H`` is
a random sketch, cluster assignments, or both side by side; the codebook ``M`` is learned.
"""

from .alternating import AlternatingTrajectory, alternating_cce
from .cce import (
    OneShot,
    SparseTrajectory,
    Stage,
    Trajectory,
    dense_cce,
    one_shot,
    resolve,
    sparse_cce,
)
from .cluster import Clustering, kmeans, kmeans_1d, kmeans_plusplus, lloyd
from .errors import TooLargeError
from .hashes import (
    fit_concatenation,
    fit_sum,
    hashing_trick,
    quotient_remainder,
    several_hashes,
)
from .problem import LeastSquares
from .sketches import (
    BucketMatrix,
    CountSketch,
    sketched_least_squares,
    sketched_normal_equations,
)

__version__ = "0.1.0"

__all__ = [
    "AlternatingTrajectory",
    "BucketMatrix",
    "Clustering",
    "CountSketch",
    "LeastSquares",
    "OneShot",
    "SparseTrajectory",
    "Stage",
    "TooLargeError",
    "Trajectory",
    "alternating_cce",
    "dense_cce",
    "fit_concatenation",
    "fit_sum",
    "hashing_trick",
    "kmeans",
    "kmeans_1d",
    "kmeans_plusplus",
    "lloyd",
    "one_shot",
    "quotient_remainder",
    "resolve",
    "several_hashes",
    "sketched_least_squares",
    "sketched_normal_equations",
    "sparse_cce",
]
