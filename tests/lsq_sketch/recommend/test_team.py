"""Products shared by threads: the same bits as alone, and nobody waits in vain."""

import subprocess
import sys
import threading
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsq_sketch import threads
from lsq_sketch.kernels import team as kernels
from lsq_sketch.recommend import network, team
from lsq_sketch.recommend.models import GMF, MatrixFactorization
from lsq_sketch.recommend.optimizers import Adam
from lsq_sketch.recommend.workspace import Workspace

seeds = st.integers(0, 2**32 - 1)


@pytest.fixture
def shared(monkeypatch):
    """Products of any size are shared, by more threads than there may be cores."""
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    monkeypatch.setattr(team, "SHARED_FROM", 0)


def random_layers(widths, rng):
    return [
        (
            rng.standard_normal(shape, dtype=np.float32),
            rng.standard_normal(shape[1], dtype=np.float32),
        )
        for shape in pairwise(widths)
    ]


def there_and_back(layers, inputs, gradients):
    """All that a network gives, as bytes."""
    values = network.forward(layers, inputs)
    by_layer = network.backward(layers, values, gradients)
    into = [(np.ones_like(weight), np.ones_like(bias)) for weight, bias in layers]
    network.add_gradients(values, by_layer, into)
    found = [*values, *by_layer, network.inputs_gradient(layers, by_layer[0])]
    return [array.tobytes() for array in (*found, *(part for pair in into for part in pair))]


def whole_numbers(rng, *shape):
    """Small ones, whose products and sums are exact."""
    return rng.integers(-3, 4, shape).astype(np.float32)


@pytest.mark.compiled
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 700), st.lists(st.integers(1, 40), min_size=2, max_size=4), seeds)
def test_a_team_gives_the_bits_of_one_thread(shared, n, widths, seed):
    rng = np.random.default_rng(seed)
    layers = random_layers(widths, rng)
    inputs = rng.standard_normal((n, widths[0]), dtype=np.float32)
    gradients = rng.standard_normal((n, widths[-1]), dtype=np.float32)
    alone = there_and_back(layers, inputs, gradients)
    with team.teamwork():
        for _ in range(3):
            assert there_and_back(layers, inputs, gradients) == alone


@given(st.integers(0, 100), st.integers(1, 9), st.integers(1, 20), seeds)
def test_a_leader_without_members_does_all_pieces(m, depth, n, seed):
    rng = np.random.default_rng(seed)
    words = np.zeros(kernels.TEAM_WORDS, np.int64)
    words[kernels.OPEN] = 1
    a, b, beside = (whole_numbers(rng, *shape) for shape in ((m, depth), (depth, n), (m, n)))
    start, out = whole_numbers(rng, m, n), np.empty((m, n), np.float32)
    expected = {
        kernels.NOTHING: start + a @ b,
        kernels.RECTIFY: np.maximum(start + a @ b, 0),
        kernels.KEEP_WHERE_POSITIVE: np.where(beside > 0, start + a @ b, 0),
    }
    for jobs, (then, found) in enumerate(expected.items(), start=1):
        kernels.product(words, a, b, start, out, then, beside)
        np.testing.assert_array_equal(out, found)
        assert words[kernels.TICKET] >> 2 * kernels.PIECE_BITS == jobs
    words[kernels.OPEN] = 0
    kernels.serve(words)  # returns


def test_a_number_that_is_none_stays_none():
    nothing = np.float32([[np.nan]])
    for then in (kernels.NOTHING, kernels.RECTIFY):
        out = np.zeros((1, 1), np.float32)
        kernels.product(team.ALONE, nothing, nothing, nothing, out, then, nothing)
        assert np.isnan(out[0, 0])


@pytest.mark.compiled
def test_each_piece_is_done_once(shared):
    """Sums that are added to in place, by members that come and go."""
    rng = np.random.default_rng(0)
    a, b = whole_numbers(rng, 200, 30), whole_numbers(rng, 30, 20)
    out = np.zeros((200, 20), np.float32)
    rounds, in_a_round = 50, 20
    with team.teamwork():
        words = team.team_for(*a.shape, 20)
        assert words.size
        for _ in range(rounds):
            for _ in range(in_a_round):
                kernels.product(words, a, b, out, out, kernels.NOTHING, out)
            words[kernels.OPEN] ^= 1
    np.testing.assert_array_equal(out, rounds * in_a_round * (a @ b))


@pytest.mark.compiled
def test_members_do_pieces(shared):
    """A job that no leader takes part in."""
    rng = np.random.default_rng(0)
    a, b = whole_numbers(rng, 40, 3), whole_numbers(rng, 3, 4)
    out = np.zeros((40, 4), np.float32)
    with team.teamwork():
        words = team.team_for(*a.shape, 4)
        kernels.product(words, a, b, out, out, kernels.NOTHING, out)
        ticket = int(words[kernels.TICKET])
        pieces = (ticket >> kernels.PIECE_BITS) & ((1 << kernels.PIECE_BITS) - 1)
        words[kernels.DONE] = 0
        number = (ticket >> 2 * kernels.PIECE_BITS) + 1
        words[kernels.TICKET] = number << 2 * kernels.PIECE_BITS | pieces << kernels.PIECE_BITS
        until = time.monotonic() + 60
        while words[kernels.DONE] < pieces and time.monotonic() < until:
            time.sleep(0.001)
    np.testing.assert_array_equal(out, 2 * (a @ b))


@pytest.mark.compiled
def test_one_thread_leads_and_others_work_alone(shared):
    sizes = []
    with team.teamwork():
        words = team.team_for(1)
        assert words.size == kernels.TEAM_WORDS
        assert words[kernels.OPEN]

        def other():
            with team.teamwork():
                sizes.append(team.team_for(1).size)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert words[kernels.OPEN]
    assert sizes == [0]
    assert not words[kernels.OPEN]
    assert team.team_for(1).size == 0


@pytest.mark.compiled
def test_an_error_dismisses_the_team(shared):
    def leave():
        with team.teamwork():
            called.append(team.team_for(1))
            raise KeyboardInterrupt

    called = []
    with pytest.raises(KeyboardInterrupt):
        leave()
    words = called[0]
    assert not words[kernels.OPEN]
    with team.teamwork():
        assert team.team_for(1) is words


@pytest.mark.compiled
def test_small_products_call_nobody(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    with team.teamwork():
        assert team.team_for(team.SHARED_FROM - 1).size == 0
        assert team.team_for(team.SHARED_FROM).size == kernels.TEAM_WORDS


def test_one_thread_has_no_team(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    with team.teamwork():
        assert team.team_for(1 << 40).size == 0


def test_a_team_that_keeps_its_leader_waiting_is_called_less_and_less():
    own = team.Team(0)
    missed = []
    for _ in range(team.MOST_MISSED * 4):
        own.call()
        missed.append(not own.words[kernels.OPEN])
        own.words[kernels.LONG_WAITS] = kernels.PATIENCE
        own.dismiss()
    called = np.flatnonzero(~np.array(missed))
    np.testing.assert_array_equal(np.diff(called)[:7], [2, 3, 5, 9, 17, 33, 65])
    assert np.diff(called).max() == team.MOST_MISSED + 1
    while True:  # once of use, it is called each time
        own.call()
        was_called = own.words[kernels.OPEN]
        own.dismiss()
        if was_called:
            break
    for _ in range(3):
        own.call()
        assert own.words[kernels.OPEN]
        own.dismiss()


@pytest.mark.compiled
@pytest.mark.parametrize("kind", [GMF, MatrixFactorization])
def test_training_gives_the_same_bits_with_and_without_a_team(kind, monkeypatch):
    monkeypatch.setattr(team, "SHARED_FROM", 1000)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 50, (600, 2)).astype(np.int32)
    labels = rng.integers(0, 2, 600).astype(np.float32)
    trained = set()
    for count in (1, 2, 4):
        monkeypatch.setattr(threads, "thread_count", lambda count=count: count)
        model = kind((50, 50), 8, "dhe", 16, rng=1)
        workspace = Workspace(model.store, Adam(), 100)
        for _ in range(3):
            model.train_block(workspace, ids, np.zeros((600, 0), np.float32), labels)
        trained.add(model.store.values.tobytes())
    assert len(trained) == 1


SCRIPT = """
import numpy as np
from lsq_sketch import threads
from lsq_sketch.recommend import team
threads.thread_count = lambda: 3
with team.teamwork():
    print(team.team_for(1 << 40).size)
    raise SystemExit("left in the middle")
"""


@pytest.mark.compiled
def test_a_program_ends_with_its_team_awake():
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout.strip() == str(kernels.TEAM_WORDS)
    assert run.stderr.strip() == "left in the middle"
