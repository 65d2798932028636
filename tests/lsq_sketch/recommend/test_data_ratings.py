"""Files of ratings: every format, every malformed line, labels and parts."""

import gzip

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.data import (
    Ratings,
    dataset_of_ratings,
    encode,
    kernels,
    load_ratings,
    read_ratings,
    text,
)

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters='\n\r\t ,:"\0'), min_size=1, max_size=4
)
NUMBERS = st.decimals(-1000, 1000, allow_nan=False, places=2) | st.integers(0, 5)
TIMES = st.integers(0, 10**10) | st.floats(0, 1e12)
LINES = st.lists(st.tuples(NAMES, NAMES, NUMBERS, TIMES), min_size=1, max_size=30)


def written(folder, content, name="ratings.txt"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def decoded(ratings):
    """What was read, as the tuples it came from."""
    users, items = ratings.vocabularies
    return [
        (users[user].decode(), items[item].decode(), value)
        for user, item, value in zip(ratings.users, ratings.items, ratings.ratings, strict=True)
    ]


@given(
    lines=LINES,
    separator=st.sampled_from(["\t", ",", "::"]),
    newline=st.sampled_from(["\n", "\r\n"]),
    header=st.booleans(),
    timed=st.booleans(),
    compressed=st.booleans(),
    last=st.booleans(),
    start=st.sampled_from(["", "\n", "\ufeff"]),
)
def test_what_was_written_is_read(
    tmp_path_factory, lines, separator, newline, header, timed, compressed, last, start
):
    columns = ["user", "item", "rating", "timestamp"][: 4 if timed else 3]
    rows = [columns] * header + [[str(value) for value in line[: len(columns)]] for line in lines]
    content = start + newline.join(separator.join(row) for row in rows) + newline * last
    raw = content.encode()
    path = written(tmp_path_factory.mktemp("r"), gzip.compress(raw, mtime=0) if compressed else raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", 90)  # longer than a line, shorter than most files
        ratings = read_ratings(path)
    assert ratings.skipped_lines == 0
    got = decoded(ratings)
    assert [(user, item) for user, item, _ in got] == [(u, i) for u, i, _, _ in lines]
    np.testing.assert_allclose([r for _, _, r in got], [float(r) for _, _, r, _ in lines], 1e-15)
    if timed:
        times = [float(t) for *_, t in lines]
        np.testing.assert_allclose(ratings.timestamps, times, rtol=1e-15, atol=1e-307)
    else:
        assert ratings.timestamps is None


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e307, max_value=1e307))
@example(5e-324)
@example(2.225073858507e-311)
@example(-1e-300)
def test_decimals_are_those_of_python(value):
    for written_as in (repr(value), f"{value:.3f}", f"{value:+.17E}"):
        raw = np.frombuffer(b"?" + written_as.encode() + b"?", np.uint8)
        got, good = kernels.decimal(raw, 1, raw.size - 1)
        assert good
        assert got == pytest.approx(float(written_as), rel=1e-14, abs=1e-307)


@pytest.mark.parametrize("word", ["1e-400", "-0.1e-9999", "0e999", "3" + "0" * 40 + "e-400"])
def test_decimals_too_small_for_a_float_are_0(word):
    raw = np.frombuffer(word.encode(), np.uint8)
    assert kernels.decimal(raw, 0, raw.size) == (0.0, True)


@pytest.mark.parametrize("word", ["0.5", "3.5", "4", "-2.25", "+7.", ".5", "1e3", "1E-2", "00012"])
def test_short_decimals_are_exact(word):
    raw = np.frombuffer(word.encode(), np.uint8)
    assert kernels.decimal(raw, 0, raw.size) == (float(word), True)


@pytest.mark.parametrize(
    "word",
    [
        "",
        "-",
        ".",
        "1.2.3",
        "1e",
        "e5",
        "4x",
        "0x10",
        "nan",
        "inf",
        "1e999",
        "12e308",
        "1 2",
        "1,5",
    ],
)
def test_words_that_are_no_numbers(word):
    raw = np.frombuffer(word.encode(), np.uint8)
    assert not kernels.decimal(raw, 0, raw.size)[1]


GOOD = "ann\tx\t5\t1\nbob\ty\t1\t2\n"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ann\tx\t5", "the number of columns is not 4"),
        ("ann\tx\t5\t1\t7", "the number of columns is not 4"),
        ("just words", "the number of columns is not 4"),
        ("\tx\t5\t1", "the user or the item is empty"),
        ("ann\t \t5\t1", "the user or the item is empty"),
        ("a" * 256 + "\tx\t5\t1", "longer than 255 bytes"),
        ("ann\tx\tgood\t1", r"the rating \(third column\) is not a number"),
        ("ann\tx\tnan\t1", r"the rating \(third column\) is not a number"),
        ("ann\tx\t-1e19\t1", r"the rating \(third column\) is not a number"),
        ("ann\tx\t\t1", r"the rating \(third column\) is not a number"),
        ("ann\tx\t5\tyesterday", r"the timestamp \(fourth column\) is not a finite number"),
        ("ann\tx\t5\t\0", "there is a NUL byte"),
    ],
)
@pytest.mark.parametrize("block", [300, 1 << 20])
def test_a_malformed_line_is_an_error_or_skipped(tmp_path, monkeypatch, line, what, block):
    monkeypatch.setattr(text, "BLOCK_BYTES", block)
    header = "user\titem\trating\ttimestamp\n"
    path = written(tmp_path, header + GOOD * 20 + "\n" + line + "\n" + GOOD + line + "\n" + GOOD)
    with pytest.raises(DataError, match=rf"ratings.txt:43: malformed line: .*{what}.*--skip-bad"):
        read_ratings(path)
    ratings = read_ratings(path, skip_bad=True)
    assert ratings.skipped_lines == 2
    assert decoded(ratings) == [("ann", "x", 5.0), ("bob", "y", 1.0)] * 22
    assert load_ratings(path, skip_bad=True).skipped_lines == 2


def test_quotes_and_spaces_of_comma_separated_files(tmp_path):
    path = written(tmp_path, '"user","item","rating"\n"Ann, B.", 7 ,"5"\n  "x y" ,"",3\n')
    with pytest.raises(DataError, match=r"ratings.txt:3: .* is empty"):
        read_ratings(path)
    assert decoded(read_ratings(path, skip_bad=True)) == [("Ann, B.", "7", 5.0)]
    for bad in ('"ann,7,5', '"ann"x,7,5', 'ann,"7" 8,5'):
        path = written(tmp_path, f"ann,7,5\n{bad}\n")
        with pytest.raises(DataError, match=r"ratings.txt:2: .*(quote|columns)"):
            read_ratings(path)


def test_names_are_numbered_in_the_order_of_first_sight(tmp_path):
    path = written(tmp_path, "b,1,5\na,1,1\nb,02,4\nc,2,2\n")
    ratings = read_ratings(path)
    assert ratings.users.tolist() == [0, 1, 0, 2]
    assert ratings.vocabularies[0].tolist() == [b"b", b"a", b"c"]
    assert ratings.vocabularies[1].tolist() == [b"1", b"02", b"2"]
    assert encode(ratings.vocabularies[0], ["c", "d"]).tolist() == [2, -1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("ann x 5\n", r"the first line has 1 column\(s\): 'ann x 5'. Expected 3 or 4, user item"),
        ("a,b\n", r"has 2 column\(s\)"),
        ("a,b,c,d,e\n", r"has 5 column\(s\)"),
        ("user,item,rating\n", "no line could be read"),
        ("user,item,rating\na,b\n", "txt:2: malformed line"),
        ("movieId,userId,rating\n1,2,3\n", "names the columns movieId, userId, rating; expected"),
        (b"PAR1\x15\x04\x15\x00,a,b\n", r"not a text file \(it begins with b'PAR1.*as text"),
        (b"\x1f\x8b broken", "could not be read beyond line 1"),
        (gzip.compress(GOOD.encode() * 100, mtime=0)[:-20], "could not be read beyond line 1"),
    ],
)
def test_files_that_are_no_ratings(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_ratings(written(tmp_path, content))


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"none.csv: no such file. Check the path"):
        read_ratings(tmp_path / "none.csv")
    with pytest.raises(DataError, match="is a folder; expected a text file"):
        read_ratings(tmp_path)


def test_all_lines_malformed(tmp_path):
    path = written(tmp_path, "a,b,5,\n" * 3)
    with pytest.raises(DataError, match=r"no line could be read \(3 malformed\)"):
        read_ratings(path, skip_bad=True)


def test_a_line_longer_than_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "BLOCK_BYTES", 64)
    with pytest.raises(DataError, match=r"ratings.txt:2: a line longer than 64 bytes"):
        read_ratings(written(tmp_path, "a,b,5\n" + "c" * 300 + ",d,5\n"))


# ------------------------------------------------------------------ labels and parts


def ratings_of(rows, timed=True):
    """Ratings from tuples (user, item, rating, timestamp) of small integers."""
    users, items, values, times = (np.array(column) for column in zip(*rows, strict=True))
    names = tuple(np.arange(ids.max() + 1).astype("S") for ids in (users, items))
    return Ratings(
        users.astype(np.int32), items.astype(np.int32), values.astype(float),
        times.astype(float) if timed else None, names,
    )  # fmt: skip


ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(1, 5), st.integers(0, 3)),
    min_size=1,
    max_size=30,
).map(lambda rows: [*rows, (5, 5, 5, 1), (5, 5, 1, 2), (5, 6, 4, 2)])


@given(ROWS)
def test_parts_are_those_of_a_loop(rows):
    """Validation: the last two remaining actions of each user, ties in the order of the file."""
    data = dataset_of_ratings("drawn", ratings_of(rows))
    expected = {True: [], False: []}
    for user in {row[0] for row in rows}:
        own = [row for row in rows if row[0] == user and row[2] != 3]
        own.sort(key=lambda row: row[3])
        held = min(2, len(own) - 1)
        for place, row in enumerate(own):
            expected[place >= len(own) - held].append((row[0], row[1], float(row[2] >= 4)))
    for part, held in ((data.train, False), (data.validation, True)):
        names = [
            (int(data.vocabularies[0][user]), int(data.vocabularies[1][item]), float(label))
            for (user, item), label in zip(part.ids, part.labels, strict=True)
        ]
        assert sorted(names) == sorted(expected[held])
    seen = np.concatenate([data.train.ids, data.validation.ids])
    for field, cardinality in enumerate(data.cardinalities):
        np.testing.assert_array_equal(np.unique(seen[:, field]), np.arange(cardinality))


def test_training_rows_stand_in_the_order_of_time():
    rows = [(0, item, 1 + 4 * (item % 2), 10 - item) for item in range(8)]
    data = dataset_of_ratings("one user", ratings_of(rows))
    items = [int(data.vocabularies[1][item]) for item in data.train.ids[:, 1]]
    assert items == [7, 6, 5, 4, 3, 2]
    assert data.time_ordered


def test_without_timestamps_the_seed_decides():
    rows = [(i % 7, i % 5, 1 + i % 5, 0) for i in range(100)]
    parts = [
        dataset_of_ratings("drawn", ratings_of(rows, timed=False), drop_ratings=(), rng=seed)
        for seed in (1, 1, 2)
    ]
    assert [len(part.validation) for part in parts] == [10, 10, 10]
    np.testing.assert_array_equal(parts[0].validation.ids, parts[1].validation.ids)
    assert not np.array_equal(parts[0].validation.ids, parts[2].validation.ids)
    assert not parts[0].time_ordered


def test_what_is_dropped_and_what_is_positive():
    rows = [(0, i, rating, i) for i, rating in enumerate((1, 3, 3.5, 4, 4.5, 5, 3, 2))]
    labels = {}
    for drop in (None, (), (3, 3.5)):
        data = dataset_of_ratings("one user", ratings_of(rows), drop_ratings=drop)
        labels[drop] = [*data.train.labels.tolist(), *data.validation.labels.tolist()]
    assert labels[None] == [0, 0, 1, 1, 1, 0]
    assert labels[()] == [0, 0, 0, 1, 1, 1, 0, 0]
    assert labels[(3, 3.5)] == [0, 1, 1, 1, 0]
    data = dataset_of_ratings("one user", ratings_of(rows), task="regression")
    assert data.train.labels.tolist() == [1, 3, 3.5, 4, 4.5, 5]


def test_ratings_of_zero_and_one_are_labels():
    rows = [(0, i, i % 2, i) for i in range(8)]
    assert dataset_of_ratings("clicks", ratings_of(rows)).train.labels.tolist() == [
        0,
        1,
        0,
        1,
        0,
        1,
    ]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([(0, 0, 3, 1)] * 5, {}, "0 of 5 ratings remain after dropping those equal to 3"),
        ([(0, 0, 9, 1), (0, 1, 7, 1)], {}, "7 to 9 give labels of one kind.*--task regression"),
        ([(0, 0, 1, 1), (1, 1, 5, 1)], {}, "no user has two ratings"),
        ([(0, 0, 1, 1), (1, 1, 5, 1)], {"task": "sort"}, "task must be one of"),
    ],
)
def test_ratings_that_make_no_data_set(rows, options, message):
    with pytest.raises(ValueError, match=message):
        dataset_of_ratings("drawn", ratings_of(rows), **options)


@pytest.mark.compiled
def test_many_names_are_kept_apart(tmp_path):
    """More names than the first hash tables hold, over several blocks."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, 60_000, 300_000)
    lines = [f"user-{user}::{user % 977}::{1 + user % 5}\n" for user in users]
    ratings = read_ratings(written(tmp_path, "".join(lines)))
    expected = np.array([f"user-{user}" for user in users], dtype="S")
    np.testing.assert_array_equal(ratings.vocabularies[0][ratings.users], expected)
    assert len(ratings.vocabularies[0]) == np.unique(users).size
    np.testing.assert_array_equal(ratings.vocabularies[1][ratings.items].astype(int), users % 977)
