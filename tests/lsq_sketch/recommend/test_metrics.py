"""Area under the curve against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from lsq_sketch.recommend.metrics import area_under_curve
from tests.strategies import seeds


@given(st.integers(2, 60), st.integers(1, 10), seeds)
def test_area_with_ties(n, values, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    labels[:2] = 0, 1
    scores = rng.integers(0, values, n).astype(np.float32)
    expected = roc_auc_score(labels, scores)
    assert area_under_curve(labels, scores) == pytest.approx(expected, abs=1e-12)


def test_one_class_only():
    assert np.isnan(area_under_curve([1, 1], [0.0, 1.0]))


def test_errors():
    with pytest.raises(ValueError, match="equal lengths, got 2 and 1"):
        area_under_curve([0, 1], [0.5])
    with pytest.raises(ValueError, match="diverged"):
        area_under_curve([0, 1], [0.5, np.nan])
