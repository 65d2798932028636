"""What the words of ``--data`` stand for, and what is said of others."""

import numpy as np
import pytest

from lsq_sketch.errors import DataError
from lsq_sketch.recommend.data import Synthetic, load, load_criteo, load_ratings

CRITEO_LINE = "1" + 13 * "\t2" + 26 * "\t68fd1e64" + "\n"
RATINGS = "user\titem\trating\nann\tx\t5\nann\ty\t1\nbob\ty\t4\n"


def same(first, second):
    for part in ("train", "validation"):
        for name in ("ids", "dense", "labels"):
            np.testing.assert_array_equal(
                getattr(getattr(first, part), name), getattr(getattr(second, part), name)
            )
    assert first.cardinalities == second.cardinalities
    return True


def test_synthetic_words():
    assert same(load("synthetic:30x20", 3), Synthetic(30, 30, 20).draw(3))
    word = "synthetic:30x20:items=25:dim=4:clusters=5:zipf=1.1:choice-scale=.5:label-scale=3:seed=9"
    data = load(word, 3)
    expected = Synthetic(
        30, 25, 20, dim=4, n_clusters=5, zipf=1.1, choice_scale=0.5, label_scale=3.0
    )
    assert same(data, expected.draw(9))
    assert data.name == word
    assert data.best_auc == expected.draw(9).best_auc


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("netflix", "netflix: neither a known data set nor a file. Expected movielens-small, fli"),
        ("criteo:none.txt", "none.txt: no such file"),
        ("synthetic", "expected synthetic:USERSxROWS"),
        ("synthetic:", "expected synthetic:USERSxROWS"),
        ("synthetic:100", "expected synthetic:USERSxROWS"),
        ("synthetic:ax9", "expected synthetic:USERSxROWS"),
        ("synthetic:-1x9", "expected synthetic:USERSxROWS"),
        ("synthetic:0x9", "n_users must be at least 1, got 0"),
        ("synthetic:9x9:users=3", "unknown option 'users=3'; expected one of items=..., dim="),
        ("synthetic:9x9:zipf", "unknown option 'zipf'"),
        ("synthetic:9x9:items=many", "items must be an integer, got 'many'"),
        ("synthetic:9x9:zipf=high", "zipf must be a number, got 'high'"),
        ("synthetic:9x9:zipf=-2", "zipf must be a number from 0 to 100"),
        ("synthetic:9x9:seed=-2", "rng must be a nonnegative integer seed"),
        ("synthetic:1x1", "validation rows have one label only"),
    ],
)
def test_words_that_stand_for_nothing(word, message):
    with pytest.raises(DataError, match=message):
        load(word)


@pytest.mark.parametrize("word", [None, 5, ""])
def test_what_is_no_word(word):
    with pytest.raises(TypeError, match="spec must be a word or a path"):
        load(word)


@pytest.mark.parametrize(
    ("word", "options", "message"),
    [
        ("synthetic:9x9", {"task": "regression"}, r"\(--task regression\) does not apply to synth"),
        ("flights", {"drop_ratings": (3,)}, r"drop_ratings \(--drop-ratings\) does not apply to"),
        ("movielens-small", {"skip_bad": True}, r"skip_bad \(--skip-bad\) does not apply to"),
        ("movielens-small", {"cache": "."}, "cache does not apply to movielens-small, only to"),
        ("criteo:file", {"task": "regression"}, "does not apply to criteo:file"),
    ],
)
def test_options_without_effect_are_refused(word, options, message):
    with pytest.raises(DataError, match=message):
        load(word, **options)


def test_files_are_recognised(tmp_path):
    ratings, clicks = tmp_path / "a", tmp_path / "b"
    ratings.write_text(RATINGS)
    clicks.write_text(CRITEO_LINE * 20)
    expected = load_criteo(clicks, cache=tmp_path)
    assert same(load(str(clicks), cache=tmp_path), expected)
    assert same(load(f"criteo:{clicks}", cache=tmp_path), expected)
    for word in (str(ratings), ratings, f"ratings:{ratings}"):
        assert same(load(word, 2), load_ratings(ratings, rng=2))
    with pytest.raises(DataError, match=r"a:1: malformed line: the number of columns is not 40"):
        load(f"criteo:{ratings}", cache=tmp_path)
    with pytest.raises(DataError, match=r"b: the first line has 40 column\(s\)"):
        load(f"ratings:{clicks}")


def test_options_reach_the_files(tmp_path):
    path = tmp_path / "ratings.tsv"
    path.write_text(RATINGS + "bob\tz\t3\nbroken\n")
    with pytest.raises(DataError, match=r"ratings.tsv:6: malformed"):
        load(str(path))
    data = load(str(path), skip_bad=True, drop_ratings=(), task="regression")
    assert data.skipped_lines == 1
    assert len(data.train) + len(data.validation) == 4
