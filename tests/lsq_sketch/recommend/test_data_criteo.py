"""Criteo clicks on generated files: format, cache, memory."""

import gzip
import json
import os
import tracemalloc

import numpy as np
import pytest

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.data import criteo, kernels, load_criteo, text
from lsq_sketch.recommend.data.dataset import is_memory_map


def sample_lines(n, rng=0, vocabulary=40):
    """Lines in exactly Criteo's format: label, 13 integers, 26 hashed categories, some missing."""
    random = np.random.default_rng(rng)
    labels = random.random(n) < 0.26
    integers = random.negative_binomial(1, 0.02, (n, 13)) - 2 * (random.random((n, 13)) < 0.05)
    lacking = random.random((n, 39)) < 0.15
    values = random.integers(0, 1 << 32, (26, vocabulary))
    ranks = np.minimum(random.zipf(1.3, (n, 26)) - 1, vocabulary - 1)
    lines = []
    for i in range(n):
        numbers = [str(value) for value in integers[i]]
        categories = [f"{values[f, rank]:08x}" for f, rank in enumerate(ranks[i])]
        cells = [
            "" if gone else word
            for gone, word in zip(lacking[i], numbers + categories, strict=True)
        ]
        lines.append("\t".join([str(int(labels[i])), *cells]))
    return lines


def written(folder, lines, compressed=False):
    path = folder / "train.txt"
    raw = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if compressed else raw)
    return path


def twin(lines, buckets, min_count, n_train):
    """Labels, dense features, IDs and cardinalities in plain Python."""
    multipliers, increments = (values.tolist() for values in criteo._hash_coefficients())
    cells = [line.split("\t") for line in lines]
    labels = [float(row[0]) for row in cells]
    numbers = [[int(word) if word else 0 for word in row[1:14]] for row in cells]
    dense = np.sign(numbers) * np.log1p(np.abs(numbers))
    hashed = [
        [
            (multipliers[f] * int(word, 16) + increments[f]) % (2**32 + 15) % buckets
            if word
            else None
            for f, word in enumerate(row[14:])
        ]
        for row in cells
    ]
    ids, cardinalities = np.ones((len(lines), 26), int), []
    for f in range(26):
        column = [row[f] for row in hashed]
        seen = [value for value in column[:n_train] if value is not None]
        kept = sorted(value for value in set(seen) if seen.count(value) >= min_count)
        for i, value in enumerate(column):
            if value is None:
                ids[i, f] = criteo.MISSING
            elif value in kept:
                ids[i, f] = criteo.FIRST + kept.index(value)
        cardinalities.append(criteo.FIRST + len(kept))
    return labels, dense, ids, tuple(cardinalities)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("buckets", "min_count"), [(1 << 14, 2), (16, 1), (64, 6)])
def test_arrays_are_those_of_the_twin(tmp_path, monkeypatch, compressed, buckets, min_count):
    monkeypatch.setattr(text, "BLOCK_BYTES", 1500)  # a few lines
    monkeypatch.setattr(criteo, "ROWS_AT_ONCE", 17)
    lines = sample_lines(140)
    data = load_criteo(
        written(tmp_path, lines, compressed), buckets=buckets, min_count=min_count, cache=tmp_path
    )
    assert (len(data.train), len(data.validation)) == (120, 20)
    labels, dense, ids, cardinalities = twin(lines, buckets, min_count, 120)
    assert data.cardinalities == cardinalities
    for part, rows in ((data.train, slice(0, 120)), (data.validation, slice(120, 140))):
        np.testing.assert_array_equal(part.labels, labels[rows])
        np.testing.assert_allclose(part.dense, dense[rows], rtol=1e-6)
        np.testing.assert_array_equal(part.ids, ids[rows])
        assert is_memory_map(part.ids)
    assert data.skipped_lines == 0


LINE = sample_lines(1, rng=5)[0]
CELLS = LINE.split("\t")


def line_with(column, word):
    return "\t".join([*CELLS[:column], word, *CELLS[column + 1 :]])


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (LINE + "\t", "the number of columns is not 40"),
        ("\t".join(CELLS[1:]), "the number of columns is not 40"),
        (line_with(0, "2"), "the label"),
        (line_with(0, ""), "the label"),
        (line_with(0, "01"), "the label"),
        (line_with(1, "1.5"), "one of columns 2 to 14 is neither empty nor an integer"),
        (line_with(13, "-"), "one of columns 2 to 14"),
        (line_with(13, "1" * 19), "one of columns 2 to 14"),
        (line_with(14, "68fd1g64"), "one of columns 15 to 40 is neither empty nor 1 to 8 hex"),
        (line_with(39, "068fd1e64"), "one of columns 15 to 40"),
        (line_with(39, " "), "one of columns 15 to 40"),
    ],
)
def test_a_malformed_line_is_an_error_or_skipped(tmp_path, monkeypatch, line, what):
    monkeypatch.setattr(text, "BLOCK_BYTES", 1500)
    good = sample_lines(30)
    path = written(tmp_path, [*good[:20], "", line, *good[20:], line])
    with pytest.raises(DataError, match=rf"train.txt:22: malformed line: {what}.*--skip-bad"):
        load_criteo(path, buckets=64, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    skipping = load_criteo(path, buckets=64, skip_bad=True, cache=tmp_path / "cache")
    assert skipping.skipped_lines == 2
    clean = load_criteo(written(tmp_path, good), buckets=64, cache=tmp_path / "cache")
    np.testing.assert_array_equal(skipping.train.ids, clean.train.ids)
    np.testing.assert_array_equal(skipping.validation.dense, clean.validation.dense)


def test_carriage_returns_upper_case_and_a_lacking_last_newline(tmp_path):
    lines = sample_lines(30)
    path = written(tmp_path, lines)
    plain = load_criteo(path, buckets=64, cache=tmp_path)
    path.write_bytes("\r\n".join(line.upper() for line in lines).encode())
    other = load_criteo(path, buckets=64, cache=tmp_path)
    np.testing.assert_array_equal(plain.train.ids, other.train.ids)
    np.testing.assert_array_equal(plain.validation.labels, other.validation.labels)


def test_the_second_load_reads_no_text(tmp_path, monkeypatch):
    path = written(tmp_path, sample_lines(60))
    first = load_criteo(path, buckets=64, cache=tmp_path / "cache")

    def never(path):
        raise AssertionError("the text was read again")

    monkeypatch.setattr(text, "blocks", never)
    again = load_criteo(path, buckets=64, cache=tmp_path / "cache")
    np.testing.assert_array_equal(first.train.ids, again.train.ids)
    assert again.cardinalities == first.cardinalities
    for change in ({"buckets": 65}, {"min_count": 3}, {"skip_bad": True}):
        with pytest.raises(AssertionError, match="read again"):
            load_criteo(path, cache=tmp_path / "cache", **({"buckets": 64} | change))
    os.utime(path, ns=(1, 1))
    with pytest.raises(AssertionError, match="read again"):
        load_criteo(path, buckets=64, cache=tmp_path / "cache")


def test_a_changed_file_is_read_anew(tmp_path):
    lines = sample_lines(60)
    load_criteo(written(tmp_path, lines), buckets=64, cache=tmp_path)
    data = load_criteo(written(tmp_path, lines[:40]), buckets=64, cache=tmp_path)
    assert len(data.train) + len(data.validation) == 40


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    path = written(tmp_path, sample_lines(60))
    cache = tmp_path / "cache"

    def interrupt(ids, lookup):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kernels, "renumber", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_criteo(path, buckets=64, cache=cache)
    assert list(cache.iterdir()) == []
    assert len(load_criteo(path, buckets=64, cache=cache).train) == 51


def test_a_folder_without_marker_is_no_cache(tmp_path):
    """As a power cut, or another program, might leave it."""
    path = written(tmp_path, sample_lines(60))
    expected = np.array(load_criteo(path, buckets=64, cache=tmp_path).train.ids)
    (folder,) = [entry for entry in tmp_path.iterdir() if entry.is_dir()]
    described = json.loads((folder / criteo.FINISHED).read_text())
    assert described["rows"] == 60
    (folder / criteo.FINISHED).unlink()
    (folder / "ids").write_bytes(b"half")
    np.testing.assert_array_equal(load_criteo(path, buckets=64, cache=tmp_path).train.ids, expected)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_damaged_arrays_are_no_crash(tmp_path, damage):
    """IDs out of range would be a crash in compiled code."""
    path = written(tmp_path, sample_lines(60))
    load_criteo(path, buckets=64, cache=tmp_path)
    (folder,) = [entry for entry in tmp_path.iterdir() if entry.is_dir()]
    ids = (folder / "ids").read_bytes()
    (folder / "ids").write_bytes(ids[:100] if damage == "cut" else b"\x7f" * len(ids))
    with pytest.raises(DataError, match=r"are damaged: .* Delete that folder, and load again"):
        load_criteo(path, buckets=64, cache=tmp_path)


def test_who_comes_second_takes_what_is_there(tmp_path, monkeypatch):
    """Two processes at once: the folder of the first stays, that of the second is removed."""
    path = written(tmp_path, sample_lines(60))
    cache = tmp_path / "cache"
    write_rows = criteo._write_rows

    def other_first(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(criteo, "_write_rows", write_rows)
            load_criteo(path, buckets=64, cache=cache)
        return write_rows(*arguments)

    monkeypatch.setattr(criteo, "_write_rows", other_first)
    data = load_criteo(path, buckets=64, cache=cache)
    assert len(list(cache.iterdir())) == 1
    assert len(data.train) == 51


def test_the_cache_is_in_the_usual_place(tmp_path, monkeypatch):
    path = written(tmp_path, sample_lines(20))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    load_criteo(path, buckets=64)
    assert len(list((tmp_path / "xdg" / "lsq-sketch" / "criteo").iterdir())) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    load_criteo(path, buckets=64)
    assert len(list((tmp_path / "home" / ".cache" / "lsq-sketch" / "criteo").iterdir())) == 1


def test_files_and_options_that_cannot_be_used(tmp_path):
    path = written(tmp_path, [LINE])
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"1 line\(s\) could be read \(0 malformed\); expected at"):
        load_criteo(path, buckets=64, cache=tmp_path)
    with pytest.raises(DataError, match=r"the cache folder .* cannot be written"):
        load_criteo(path, buckets=64, cache=tmp_path / "file" / "below")
    with pytest.raises(DataError, match="no such file"):
        load_criteo(tmp_path / "none", cache=tmp_path)
    with pytest.raises(ValueError, match="buckets must be at least 2, got 1"):
        load_criteo(path, buckets=1)
    with pytest.raises(ValueError, match="min_count must be at least 1"):
        load_criteo(path, min_count=0)
    with pytest.raises(ValueError, match="held_out_fraction must be a number strictly"):
        load_criteo(path, held_out_fraction=1.0)


@pytest.mark.compiled
def test_memory_stays_that_of_a_block(tmp_path, monkeypatch):
    """55 times the block of text, and arrays of 19 MB: held are at most a few megabytes."""
    monkeypatch.setattr(text, "BLOCK_BYTES", 1 << 19)
    monkeypatch.setattr(criteo, "ROWS_AT_ONCE", 1 << 12)
    monkeypatch.setattr("lsq_sketch.recommend.data.dataset.BLOCK", 1 << 12)
    lines = sample_lines(2000)
    path = written(tmp_path, lines * 60)
    assert path.stat().st_size > 50 * text.BLOCK_BYTES
    (tmp_path / "small").mkdir()
    load_criteo(written(tmp_path / "small", lines), buckets=512, cache=tmp_path / "warm")
    tracemalloc.start()
    try:
        data = load_criteo(path, buckets=512, cache=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    size = len(data.train) + len(data.validation)
    assert size == 120_000
    assert peak < 8 * text.BLOCK_BYTES < size * 160 / 4
