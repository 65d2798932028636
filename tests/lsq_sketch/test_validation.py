"""Every error: its type, the argument it names, what came, and the remedy."""

import re

import numpy as np
import pytest
import scipy.sparse as sp

from lsq_sketch import (
    BucketMatrix,
    CountSketch,
    LeastSquares,
    TooLargeError,
    _validate,
    dense_cce,
    kmeans,
    kmeans_1d,
    kmeans_plusplus,
    lloyd,
    one_shot,
    resolve,
    sketched_least_squares,
    sketched_normal_equations,
    sparse_cce,
)
from lsq_sketch.rng import generator

NAN, INF = float("nan"), float("inf")
X = np.arange(12.0).reshape(4, 3)
Y = np.ones((4, 2))
POINTS = np.arange(10.0).reshape(5, 2)
C = BucketMatrix([0, 1, 0], 2)


def problem():
    return LeastSquares(X, Y)


def sparse(*values):
    return sp.csr_array(np.array(values, dtype=type(values[0][0])))


ERRORS = {
    # The design.
    "X NaN": (lambda: LeastSquares([[NAN, 1.0]], [1.0]), ValueError,
        r"^X contains NaN or infinity in 1 of 2 stored entries; .* Drop or impute those rows\.$"),
    "X inf": (lambda: LeastSquares([[INF], [-INF]], [1.0, 2.0]), ValueError,
        r"^X contains NaN or infinity in 2 of 2 stored entries"),
    "X minus inf": (lambda: LeastSquares([[-INF], [1.0]], [1.0, 2.0]), ValueError,
        r"^X contains NaN or infinity in 1 of 2"),
    "sparse X NaN": (lambda: LeastSquares(sparse([NAN, 0.0]), [1.0]), ValueError,
        r"^X contains NaN or infinity in 1 of 1 stored entries"),
    "X large": (lambda: LeastSquares([[1e200]], [1.0]), ValueError,
        r"^X has largest magnitude 1e\+200, .* expected between 1e-120 and 1e\+120\. Rescale X\.$"),
    "X large, negative": (lambda: LeastSquares([[-1e200]], [1.0]), ValueError,
        r"^X has largest magnitude 1e\+200"),
    "X small": (lambda: LeastSquares([[1e-200]], [1.0]), ValueError,
        r"^X has largest magnitude 1e-200, whose square leaves the range of float64"),
    "sparse X large": (lambda: LeastSquares(sparse([1e200, 0.0]), [1.0]), ValueError,
        r"^X has largest magnitude 1e\+200"),
    "X 1-D": (lambda: LeastSquares([1.0, 2.0], [1.0, 2.0]), ValueError,
        r"^X must be two-dimensional \(n x d1\), got shape \(2,\)\. Use X\.reshape\(-1, 1\)"),
    "X 0-D": (lambda: LeastSquares(3.0, [1.0]), ValueError,
        r"^X must be two-dimensional \(n x d1\), got shape \(\)\.$"),
    "X 3-D": (lambda: LeastSquares(np.ones((2, 2, 2)), [1.0, 2.0]), ValueError,
        r"^X must be two-dimensional \(n x d1\), got shape \(2, 2, 2\)\.$"),
    "sparse X 1-D": (lambda: LeastSquares(sp.coo_array(np.ones(3)), [1.0]), ValueError,
        r"^X must be two-dimensional \(n x d1\), got shape \(3,\)"),
    "X without rows": (lambda: LeastSquares(np.ones((0, 3)), []), ValueError,
        r"^X is empty \(shape \(0, 3\)\); expected at least one row and one column\.$"),
    "X without columns": (lambda: LeastSquares(np.ones((3, 0)), np.ones(3)), ValueError,
        r"^X is empty \(shape \(3, 0\)\)"),
    "sparse X empty": (lambda: LeastSquares(sp.csr_array((3, 0)), np.ones(3)), ValueError,
        r"^X is empty \(shape \(3, 0\)\)"),
    "X list empty": (lambda: LeastSquares([], []), ValueError,
        r"^X must be two-dimensional .* got shape \(0,\)"),
    "X ragged": (lambda: LeastSquares([[1.0], [1.0, 2.0]], [1.0, 2.0]), ValueError,
        r"^X is not a rectangular array: "),
    "X strings": (lambda: LeastSquares([["a", "b"]], [1.0]), TypeError,
        r"^X has dtype <U1; expected real numbers\. Encode categories as one-hot columns "
        r"and convert with X\.astype\(float\)\.$"),
    "X objects": (lambda: LeastSquares(np.array([[1, None]], dtype=object), [1.0]), TypeError,
        r"^X has dtype object; expected real numbers"),
    "X None": (lambda: LeastSquares(None, [1.0]), TypeError, r"^X has dtype object"),
    "X dates": (lambda: LeastSquares(np.array([["2020-01-01"]], "datetime64[D]"), [1.0]),
        TypeError, r"^X has dtype datetime64\[D\]"),
    "X complex": (lambda: LeastSquares([[1j]], [1.0]), TypeError,
        r"^X is complex \(complex128\); expected real numbers\. Pass its real and imaginary parts "
        r"as separate columns\.$"),
    "sparse X complex": (lambda: LeastSquares(sparse([1j, 0j]), [1.0]), TypeError,
        r"^X is complex"),
    # The targets.
    "Y NaN": (lambda: LeastSquares(X, [NAN, 1, 1, 1]), ValueError,
        r"^Y contains NaN or infinity in 1 of 4"),
    "Y large": (lambda: LeastSquares(X, [1e200, 1, 1, 1]), ValueError,
        r"^Y has largest magnitude 1e\+200, .* Rescale Y\.$"),
    "Y small": (lambda: LeastSquares(X, np.full(4, 1e-150)), ValueError,
        r"^Y has largest magnitude 1e-150"),
    "Y 3-D": (lambda: LeastSquares(X, np.ones((4, 2, 2))), ValueError,
        r"^Y must be one- or two-dimensional \(n x d2\), got shape \(4, 2, 2\)\.$"),
    "Y 0-D": (lambda: LeastSquares(X, 1.0), ValueError,
        r"^Y must be one- or two-dimensional \(n x d2\), got shape \(\)\.$"),
    "Y empty": (lambda: LeastSquares(X, []), ValueError,
        r"^Y is empty \(shape \(0,\)\); expected n x d2 with d2 >= 1\.$"),
    "Y without columns": (lambda: LeastSquares(X, np.ones((4, 0))), ValueError,
        r"^Y is empty \(shape \(4, 0\)\)"),
    "Y short": (lambda: LeastSquares(X, np.ones(3)), ValueError,
        r"^Y has 3 rows but X has 4; expected one target a row\.$"),
    "Y transposed": (lambda: LeastSquares(X, Y.T), ValueError,
        r"^Y has 2 rows but X has 4; expected one target a row\. Is Y transposed\?$"),
    "Y sparse": (lambda: LeastSquares(X, sp.csr_array(Y)), TypeError,
        r"^Y is sparse; expected a dense array n x d2\. Pass Y\.toarray\(\)\.$"),
    "Y strings": (lambda: LeastSquares(X, list("abcd")), TypeError,
        r"^Y has dtype <U1; expected real numbers"),
    "Y objects": (lambda: LeastSquares(X, [None] * 4), TypeError, r"^Y has dtype object"),
    "Y complex": (lambda: LeastSquares(X, 1j * np.ones(4)), TypeError, r"^Y is complex"),
    "Y ragged": (lambda: LeastSquares(X, [[1], [1, 2], [1], [1]]), ValueError,
        r"^Y is not a rectangular array"),
    # max_dense.
    "max_dense negative": (lambda: LeastSquares(X, Y, max_dense=-1), ValueError,
        r"^max_dense must be at least 0, got -1\.$"),
    "max_dense float": (lambda: LeastSquares(X, Y, max_dense=1e6), TypeError,
        r"^max_dense must be an integer, got 1000000\.0 of type float\.$"),
    # Tables.
    "T transposed": (lambda: problem().loss(np.ones((2, 3))), ValueError,
        r"^T has shape \(2, 3\); expected \(d1, d2\) = \(3, 2\): one row for each column of X, "
        r"one column for each target\.$"),
    "T 1-D": (lambda: problem().excess(np.ones(3)), ValueError, r"^T has shape \(3,\); expected"),
    "T NaN": (lambda: problem().loss(np.full((3, 2), NAN)), ValueError,
        r"^T contains NaN or infinity; expected finite numbers\.$"),
    "T complex": (lambda: problem().excess(1j * np.ones((3, 2))), TypeError, r"^T is complex"),
    "T strings": (lambda: problem().loss(np.full((3, 2), "a")), TypeError, r"^T has dtype <U1"),
    "T sparse": (lambda: problem().loss(sp.csr_array(np.ones((3, 2)))), (TypeError, ValueError),
        r"^T "),
    "T ragged": (lambda: problem().loss([[1.0], [1.0, 2.0]]), ValueError, r"^T is not a rect"),
    "rho of zero": (lambda: LeastSquares(0 * X, Y).rho, ValueError,
        r"^rho is not defined: X is zero\. Give X at least one nonzero entry\.$"),
    # Bucket matrices.
    "m zero": (lambda: BucketMatrix([0], 0), ValueError, r"^m must be at least 1, got 0\.$"),
    "m huge": (lambda: CountSketch(3, 2**31), ValueError,
        r"^m must be at most (?!1073741824 = ).*1073741824, got 2147483648\.$"),
    "m float": (lambda: CountSketch(3, 2.0), TypeError,
        r"^m must be an integer, got 2\.0 of type float\.$"),
    "m bool": (lambda: CountSketch(3, True), TypeError,
        r"^m must be an integer, got True of type bool\.$"),
    "m NumPy bool": (lambda: CountSketch(3, np.True_), TypeError,
        r"^m must be an integer, got np\.True_ of type bool"),
    "m string": (lambda: CountSketch(3, "2"), TypeError,
        r"^m must be an integer, got '2' of type str\.$"),
    "d1 zero": (lambda: CountSketch(0, 2), ValueError, r"^d1 must be at least 1, got 0\.$"),
    "d1 float": (lambda: CountSketch(3.5, 2), TypeError, r"^d1 must be an integer, got 3\.5"),
    "buckets beyond": (lambda: BucketMatrix([0, 2], 2), ValueError,
        r"^buckets must lie in 0\.\.m-1 = 0\.\.1, got values from 0 to 2\.$"),
    "buckets below": (lambda: BucketMatrix([0, -1], 2), ValueError,
        r"^buckets must lie in 0\.\.m-1 = 0\.\.1, got values from -1 to 0\.$"),
    "buckets float": (lambda: BucketMatrix([0.0, 1.0], 2), ValueError,
        r"^buckets must be a nonempty one-dimensional integer array, got shape \(2,\) and dtype "
        r"float64\.$"),
    "buckets bool": (lambda: BucketMatrix([True, False], 2), ValueError,
        r"^buckets must be .* dtype bool\.$"),
    "buckets empty": (lambda: BucketMatrix(np.array([], int), 2), ValueError,
        r"^buckets must be a nonempty one-dimensional integer array, got shape \(0,\)"),
    "buckets 2-D": (lambda: BucketMatrix([[0, 1]], 2), ValueError,
        r"^buckets must be .* got shape \(1, 2\)"),
    "signs zero": (lambda: BucketMatrix([0, 1], 2, [1, 0]), ValueError,
        r"^signs must be 2 values \+1 or -1 \(one a bucket\), got"),
    "signs two": (lambda: BucketMatrix([0, 1], 2, [1, 2]), ValueError, r"^signs must be 2 values"),
    "signs NaN": (lambda: BucketMatrix([0, 1], 2, [1, NAN]), ValueError, r"^signs must be"),
    "signs short": (lambda: BucketMatrix([0, 1], 2, [1]), ValueError,
        r"^signs must be 2 values .* got shape \(1,\)\.$"),
    "X masked": (lambda: LeastSquares(np.ma.masked_invalid([[1.0, np.nan]]), [1.0]), TypeError,
        r"^X is a masked array.*Pass X\.filled"),
    "table out of range": (
        lambda: one_shot(LeastSquares(np.eye(3) * 1e100, np.ones(3) * 1e-50), 2, 2), ValueError,
        r"^the table \(Y divided by X\) has largest magnitude"),
    "signs strings": (lambda: BucketMatrix([0, 1], 2, ["+", "-"]), (TypeError, ValueError),
        r"^signs "),
    "signs complex": (lambda: BucketMatrix([0, 1], 2, np.array([1, 1j])), (TypeError, ValueError),
        r"^signs "),
    "M rows": (lambda: C.expand(np.ones((3, 2))), ValueError,
        r"^M has shape \(3, 2\); expected one row for each of the m = 2 buckets\.$"),
    "M 3-D": (lambda: C.expand(np.ones((2, 2, 2))), ValueError, r"^M has shape \(2, 2, 2\)"),
    "M 0-D": (lambda: C.expand(1.0), ValueError, r"^M has shape \(\)"),
    "M complex": (lambda: C.expand(np.array([1j, 2])), TypeError, r"^M is complex"),
    "M strings": (lambda: C.expand(["a", "b"]), TypeError, r"^M has dtype <U1"),
    "gather rows": (lambda: C.gather(np.ones((2, 2))), ValueError,
        r"^T has shape \(2, 2\); expected \(3, d2\)\.$"),
    "gather 1-D": (lambda: C.gather(np.ones(3)), ValueError, r"^T has shape \(3,\)"),
    "gather complex": (lambda: C.gather(1j * np.ones((3, 1))), TypeError, r"^T is complex"),
    "apply columns": (lambda: C.apply(np.ones((4, 2))), ValueError,
        r"^X has shape \(4, 2\); expected n x d1 with d1 = 3 columns, as many as the sketch has "
        r"rows\.$"),
    "apply 1-D": (lambda: C.apply(np.ones(3)), ValueError, r"^X has shape \(3,\)"),
    "apply sparse columns": (lambda: C.apply(sp.csr_array((4, 2))), ValueError,
        r"^X has shape \(4, 2\)"),
    "apply complex": (lambda: C.apply(1j * X), TypeError, r"^X is complex"),
    "apply sparse complex": (lambda: C.apply(sp.csc_array(1j * X)), TypeError, r"^X is complex"),
    "apply strings": (lambda: C.apply([["a", "b", "c"]]), TypeError, r"^X has dtype <U1"),
    "apply ragged": (lambda: C.apply([[1.0, 2.0, 3.0], [1.0]]), ValueError,
        r"^X is not a rectangular array"),
    # Normal equations.
    "normal equations dense": (lambda: sketched_normal_equations(X, Y, C), TypeError,
        r"^X must be a scipy sparse matrix or array, got ndarray\. For a dense X use "
        r"XC = C\.apply\(X\), XC\.T @ XC and XC\.T @ Y\.$"),
    "normal equations columns": (lambda: sketched_normal_equations(sp.csr_array((4, 2)), Y, C),
        ValueError, r"^X has 2 columns but C has 3 rows; expected as many\.$"),
    "normal equations targets": (lambda: sketched_normal_equations(sp.csr_array(X), Y.T, C),
        ValueError, r"^Y has 2 rows but X has 4; expected one target a row\. Is Y transposed\?$"),
    "normal equations complex": (
        lambda: sketched_normal_equations(sp.csr_array(1j * X), Y, C), TypeError,
        r"^X is complex"),
    "normal equations not a sketch": (
        lambda: sketched_normal_equations(sp.csr_array(X), Y, np.ones((3, 2))), TypeError,
        r"^C must be a BucketMatrix, got ndarray"),
    "streaming dense": (lambda: sketched_least_squares(X, Y, C), TypeError,
        r"^X must be a scipy sparse matrix or array, got ndarray"),
    "streaming columns": (lambda: sketched_least_squares(sp.csr_array((4, 2)), Y, C), ValueError,
        r"^X has 2 columns but C has 3 rows; expected as many\.$"),
    "streaming targets": (lambda: sketched_least_squares(sp.csr_array(X), Y.T, C), ValueError,
        r"^Y has 2 rows but X has 4"),
    "streaming not a sketch": (
        lambda: sketched_least_squares(sp.csr_array(X), Y, np.ones((3, 2))), TypeError,
        r"^C must be a BucketMatrix, got ndarray"),
    # Clustering.
    "n_clusters zero": (lambda: kmeans(POINTS, 0), ValueError,
        r"^n_clusters must be at least 1, got 0\.$"),
    "n_clusters many": (lambda: kmeans(POINTS, 6), ValueError,
        r"^n_clusters must be at most n = 5, got 6\.$"),
    "n_clusters float": (lambda: kmeans(POINTS, 2.0), TypeError,
        r"^n_clusters must be an integer, got 2\.0 of type float\.$"),
    "n_clusters bool": (lambda: kmeans(POINTS, True), TypeError, r"^n_clusters must be an int"),
    "seeds many": (lambda: kmeans_plusplus(POINTS, 6), ValueError,
        r"^n_clusters must be at most n = 5, got 6\.$"),
    "n_candidates": (lambda: kmeans_plusplus(POINTS, 2, n_candidates=0), ValueError,
        r"^n_candidates must be at least 1, got 0\.$"),
    "max_iter": (lambda: kmeans(POINTS, 2, max_iter=-1), ValueError,
        r"^max_iter must be at least 0, got -1\.$"),
    "lloyd max_iter": (lambda: lloyd(POINTS, POINTS[:2], max_iter=-1), ValueError,
        r"^max_iter must be at least 0, got -1\.$"),
    "lloyd max_iter float": (lambda: lloyd(POINTS, POINTS[:2], max_iter=1.5), TypeError,
        r"^max_iter must be an integer, got 1\.5"),
    "lloyd columns": (lambda: lloyd(POINTS, np.ones((2, 3))), ValueError,
        r"^centroids have 3 columns but points have 2; expected as many\.$"),
    "lloyd centroids NaN": (lambda: lloyd(POINTS, [[NAN, 1.0]]), ValueError,
        r"^centroids contains NaN or infinity in 1 of 2"),
    "1-D columns": (lambda: kmeans_1d(np.ones((3, 2)), 1), ValueError,
        r"^points have 2 columns; expected one\. Cluster rows with kmeans\.$"),
    "1-D clusters": (lambda: kmeans_1d([1.0, 2.0], 3), ValueError,
        r"^n_clusters must be at most n = 2, got 3\.$"),
    "1-D weights of another length": (lambda: kmeans_1d([1.0, 2.0], 1, [1.0]), ValueError,
        r"^weights have shape \(1,\); expected \(2,\): one for each point\.$"),
    "1-D weight of zero": (lambda: kmeans_1d([1.0, 2.0], 1, [1.0, 0.0]), ValueError,
        r"^weights must be positive, got 0; leave out points that do not count\.$"),
    "1-D weights NaN": (lambda: kmeans_1d([1.0, 2.0], 1, [1.0, NAN]), ValueError,
        r"^weights contains NaN or infinity in 1 of 2"),
    "points 3-D": (lambda: kmeans(np.ones((2, 2, 2)), 1), ValueError,
        r"^points must be a nonempty array \(n, d\), got shape \(2, 2, 2\)\.$"),
    "points empty": (lambda: kmeans([], 1), ValueError, r"^points must be a nonempty array"),
    "points NaN": (lambda: kmeans([[NAN]], 1), ValueError, r"^points contains NaN or infinity"),
    "points strings": (lambda: kmeans(["a"], 1), TypeError, r"^points has dtype <U1"),
    "points complex": (lambda: kmeans([1j], 1), TypeError, r"^points is complex"),
    "points large": (lambda: kmeans([1e200, 1.0], 1), ValueError,
        r"^points has largest magnitude 1e\+200"),
    # The algorithms.
    "dense k = d2": (lambda: dense_cce(problem(), 2, 1), ValueError,
        r"^k must exceed d2 = 2, the columns kept from the last table, got k = 2\. "
        r"Take k >= 3, or fewer targets\.$"),
    "dense k zero": (lambda: dense_cce(problem(), 0, 1), ValueError,
        r"^k must be at least 1, got 0\.$"),
    "dense k float": (lambda: dense_cce(problem(), 5.0, 1), TypeError,
        r"^k must be an integer, got 5\.0 of type float\.$"),
    "dense n_iter": (lambda: dense_cce(problem(), 3, -1), ValueError,
        r"^n_iter must be at least 0, got -1\.$"),
    "dense n_iter bool": (lambda: dense_cce(problem(), 3, True), TypeError,
        r"^n_iter must be an integer, got True"),
    "dense noise": (lambda: dense_cce(problem(), 3, 1, noise="white"), ValueError,
        r"^noise must be one of 'gaussian', 'whitened', 'count-sketch'; got 'white'\.$"),
    "dense noise None": (lambda: dense_cce(problem(), 3, 1, noise=None), ValueError,
        r"^noise must be one of .* got None\.$"),
    "dense noise array": (lambda: dense_cce(problem(), 3, 1, noise=np.ones((3, 2))), ValueError,
        r"^noise must be one of 'gaussian'"),
    "dense rng": (lambda: dense_cce(problem(), 3, 1, rng="seed"), TypeError,
        r"^rng must be a nonnegative integer seed, a numpy\.random\.Generator"),
    "dense problem": (lambda: dense_cce(X, 3, 1), TypeError,
        r"^problem must be a LeastSquares, got ndarray\. Build one with LeastSquares\(X, Y\)\.$"),
    "sparse k odd": (lambda: sparse_cce(problem(), 5, 1), ValueError,
        r"^k must be even, half for clusters and half for the sketch, got 5\. Take 4 or 6\.$"),
    "sparse k zero": (lambda: sparse_cce(problem(), 0, 1), ValueError,
        r"^k must be at least 2, got 0\.$"),
    "sparse k large": (lambda: sparse_cce(problem(), 8, 1), ValueError,
        r"^k must be at most 2 d1 = 6, got 8: there are more clusters \(k/2\) than rows"),
    "sparse k float": (lambda: sparse_cce(problem(), 4.0, 1), TypeError, r"^k must be an int"),
    "sparse n_iter": (lambda: sparse_cce(problem(), 4, -3), ValueError,
        r"^n_iter must be at least 0, got -3\.$"),
    "sparse problem": (lambda: sparse_cce(None, 4, 1), TypeError,
        r"^problem must be a LeastSquares, got NoneType"),
    "sparse rng": (lambda: sparse_cce(problem(), 4, 1, rng=-1), ValueError,
        r"^rng must be a nonnegative integer seed, .*; got -1 of type int\.$"),
    "one shot k": (lambda: one_shot(problem(), 0, 1), ValueError, r"^k must be at least 1, got 0"),
    "one shot n_clusters": (lambda: one_shot(problem(), 2, 4), ValueError,
        r"^n_clusters must be at most d1 = 3, got 4\.$"),
    "one shot n_clusters zero": (lambda: one_shot(problem(), 2, 0), ValueError,
        r"^n_clusters must be at least 1, got 0\.$"),
    "one shot n_clusters float": (lambda: one_shot(problem(), 2, 2.0), TypeError,
        r"^n_clusters must be an integer"),
    "one shot problem": (lambda: one_shot((X, Y), 2, 2), TypeError,
        r"^problem must be a LeastSquares, got tuple"),
    "resolve rows": (lambda: resolve(problem(), BucketMatrix([0, 1], 2)), ValueError,
        r"^assignments have 2 rows; expected one for each of the d1 = 3 columns of X\.$"),
    "resolve problem": (lambda: resolve(X, C), TypeError,
        r"^problem must be a LeastSquares, got ndarray"),
    "resolve labels": (lambda: resolve(problem(), [0, 1, 0]), TypeError,
        r"^assignments must be a BucketMatrix, got list"),
    # Generators and probabilities.
    "rng string": (lambda: CountSketch(3, 2, rng="a"), TypeError,
        r"^rng must be a nonnegative integer seed, a numpy\.random\.Generator, a SeedSequence or "
        r"None; got 'a' of type str\.$"),
    "rng float": (lambda: generator(1.5), TypeError, r"^rng must be .* got 1\.5 of type float\.$"),
    "rng negative": (lambda: generator(-1), ValueError, r"^rng must be .* got -1 of type int\.$"),
    "probability": (lambda: _validate.probability(1.0, "alpha"), ValueError,
        r"^alpha must be a number strictly between 0 and 1, got 1\.0\.$"),
    "probability string": (lambda: _validate.probability("0.5", "alpha"), ValueError,
        r"^alpha must be a number strictly between 0 and 1, got '0\.5'\.$"),
    "probability bool": (lambda: _validate.probability(True, "alpha"), ValueError, r"^alpha must"),
    "probability NaN": (lambda: _validate.probability(NAN, "alpha"), ValueError, r"^alpha must"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.filterwarnings("error")
def test_error(name):
    call, kind, pattern = ERRORS[name]
    with pytest.raises(kind) as caught:
        call()
    assert re.search(pattern, str(caught.value)), str(caught.value)
    allowed = kind if isinstance(kind, tuple) else (kind,)
    assert type(caught.value) in allowed


def test_the_table_of_errors_covers_every_public_function():
    """The calls above mention each name of the public API that takes arguments."""
    with open(__file__) as file:
        text = file.read()
    for name in (
        "LeastSquares", "BucketMatrix", "CountSketch", "sketched_normal_equations", "kmeans",
        "sketched_least_squares", "kmeans_plusplus", "lloyd", "dense_cce", "sparse_cce",
        "one_shot", "resolve",
    ):  # fmt: skip
        assert f"lambda: {name}(" in text, name


def test_errors_can_be_caught_as_what_they_are():
    assert issubclass(TooLargeError, ValueError)


# What is accepted ---------------------------------------------------------------------------


def test_data_at_the_ends_of_the_documented_range():
    for scale in (1e-119, 1e119):
        p = LeastSquares(scale * np.eye(2), [scale, 2 * scale])
        np.testing.assert_allclose(p.optimum[:, 0], [1.0, 2.0])
        assert p.rho == pytest.approx(0.5)


def test_numpy_integers_are_integers():
    p = problem()
    r = dense_cce(p, np.int64(4), np.int32(2), rng=np.uint8(3))
    np.testing.assert_array_equal(r.excess, dense_cce(p, 4, 2, rng=3).excess)
    assert CountSketch(np.int16(3), np.uint8(2)).m == 2


@pytest.mark.parametrize(
    "rng",
    [
        0,
        np.random.SeedSequence(0),
        np.random.PCG64(0),
        np.random.default_rng(0),
        np.random.Generator(np.random.PCG64(0)),
    ],
    ids=["seed", "sequence", "bits", "generator", "explicit generator"],
)
def test_generators(rng):
    expected = np.random.default_rng(0).random(3)
    np.testing.assert_array_equal(generator(rng).random(3), expected)


def test_a_generator_is_not_copied():
    rng = np.random.default_rng(0)
    assert generator(rng) is rng
    assert generator(None).random() != generator(None).random()


def test_a_table_with_one_target_may_be_flat():
    p = LeastSquares(X, Y[:, 0])
    assert p.loss(np.ones(3)) == p.loss(np.ones((3, 1)))
    with pytest.raises(ValueError, match="T has shape"):
        p.loss(np.ones((1, 3)))


def test_a_probability_is_a_number_between_0_and_1():
    assert _validate.probability(np.float32(0.5), "alpha") == 0.5
