"""Parts of data sets: what is checked, and how they are split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.data import Dataset, Interactions, encode
from lsq_sketch.recommend.data.dataset import is_memory_map, last_actions, random_rows


def rows_of(n, users=3, items=5, seed=0):
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.integers(0, users, n), rng.integers(0, items, n)], axis=1)
    return Interactions.of(ids, labels=rng.integers(0, 2, n))


def dataset(n=40, **changes):
    values = {
        "name": "drawn",
        "field_names": ("user", "item"),
        "cardinalities": (3, 5),
        "train": rows_of(n),
        "validation": rows_of(10, seed=1),
    }
    return Dataset(**(values | changes))


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 4))
def test_last_actions_are_those_of_a_loop(users, actions):
    expected = np.zeros(len(users), bool)
    for user in set(users):
        rows = [i for i, other in enumerate(users) if other == user]
        expected[rows[max(1, len(rows) - actions) :]] = True
    np.testing.assert_array_equal(last_actions(users, actions), expected)


@given(st.integers(1, 50), st.floats(0.01, 0.99), st.integers(0, 9))
def test_random_rows_are_as_many_as_asked_and_depend_on_the_seed_only(n, fraction, seed):
    mask = random_rows(n, fraction, seed)
    assert mask.sum() == round(n * fraction)
    np.testing.assert_array_equal(mask, random_rows(n, fraction, np.random.default_rng(seed)))


def test_split_keeps_every_row_once_and_in_order():
    data = dataset(
        train=Interactions.of(np.zeros((50, 2), int), labels=np.arange(50)),
        task="regression",
        best_loss=0.5,
    )
    split = data.split(0.3, rng=4)
    assert len(split.validation) == 15
    assert (np.diff(split.train.labels) > 0).all()
    both = np.concatenate([split.train.labels, split.validation.labels])
    np.testing.assert_array_equal(np.sort(both), np.arange(50))
    assert split.best_loss is None
    again = data.split(0.3, rng=4).validation.labels
    np.testing.assert_array_equal(again, split.validation.labels)
    assert not np.array_equal(data.split(0.3, rng=5).validation.labels, split.validation.labels)


def test_tuning_repeats_how_the_data_set_was_split():
    data = dataset(time_ordered=True)
    tuning = data.tuning()
    np.testing.assert_array_equal(
        tuning.validation.ids, data.train.ids[last_actions(data.train.ids[:, 0])]
    )
    at_random = dataset(n=40).tuning(rng=3)
    assert len(at_random.validation) == round(40 * 10 / 50)
    np.testing.assert_array_equal(
        at_random.validation.ids, dataset(n=40).split(0.2, rng=3).validation.ids
    )


def test_tuning_of_a_memory_map_copies_nothing(tmp_path):
    rows = rows_of(40)
    ids = np.memmap(tmp_path / "ids", np.int32, "w+", shape=rows.ids.shape)
    ids[:] = rows.ids
    data = dataset(train=Interactions(ids, rows.dense, rows.labels))
    tuning = data.tuning()
    assert is_memory_map(tuning.train.ids)
    assert is_memory_map(tuning.validation.ids)
    np.testing.assert_array_equal(tuning.validation.ids, rows.ids[-8:])
    np.testing.assert_array_equal(tuning.train.ids, rows.ids[:-8])


def test_subset_takes_training_rows():
    data = dataset()
    np.testing.assert_array_equal(data.subset([5, 3]).train.ids, data.train.ids[[5, 3]])
    assert data.subset(slice(0, 4)).train.ids.base is not None


@given(st.lists(st.text(max_size=5), unique=True, min_size=1, max_size=9))
def test_encoding_finds_places(words):
    raw = [word.encode() for word in words]
    vocabulary = np.array(raw, dtype=object)
    assert encode(vocabulary, words[::-1]).tolist() == list(range(len(words)))[::-1]
    assert encode(vocabulary, ["no such word"]).tolist() == [-1]


def test_ids_out_of_range_are_found_in_later_blocks(monkeypatch):
    monkeypatch.setattr("lsq_sketch.recommend.data.dataset.BLOCK", 8)
    ids = np.zeros((30, 2), int)
    ids[29, 1] = 5
    with pytest.raises(ValueError, match="field item of the train part has IDs from 0 to 5; exp"):
        dataset(train=Interactions.of(ids, labels=np.zeros(30)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Interactions([[0]], [[0]], [0]), "ids must be a NumPy array of int32 with 2"),
        (
            lambda: Interactions.of([[0]], labels=[0, 1]),
            "a row for each interaction, got 1, 1 and 2 rows",
        ),
        (lambda: dataset(task="ranking"), "task must be one of 'binary', 'regression'"),
        (lambda: dataset(cardinalities=(3,)), "a cardinality for each field, got 1"),
        (lambda: dataset(cardinalities=(2, 5)), "field user of the train part has IDs from 0 to 2"),
        (
            lambda: dataset(train=Interactions.of([[0, -1]], labels=[0])),
            "field item of the train part has IDs from -1",
        ),
        (
            lambda: dataset(train=Interactions.of([[0]], labels=[0])),
            "the train part has 1 columns of IDs",
        ),
        (
            lambda: dataset(train=Interactions.of([[0, 0]], labels=[0], dense=[[1.0]])),
            "the same dense features, got 1 and 0",
        ),
        (
            lambda: dataset(train=Interactions.of([[0, 0]], labels=[np.nan])),
            "not finite in rows 0 to 0",
        ),
        (lambda: dataset().split(1.0), "fraction must be a number strictly between 0 and 1"),
        (lambda: dataset().split_last(), "drawn is not in the order of time"),
        (lambda: last_actions([0, 1], 0), "actions must be at least 1"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_too_few_rows_to_split():
    with pytest.raises(DataError, match=r"too few training rows \(1\) to split"):
        dataset(n=1).split(0.1)
