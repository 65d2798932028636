"""The parts figures are made of: columns, trials, kept parts, style, files."""

import doctest
import json
import time

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from figures import columns, output, style, trials
from figures import gallery as gallery_module
from figures import registry as registry_module
from figures import run as run_module
from figures.columns import quantiles, split, stack
from figures.recipes import compression, dense_convergence, memory
from figures.run import Run, computing_code, part_text, read_part
from figures.trials import run_trials
from lsq_sketch import __version__, threads


@pytest.mark.parametrize("module", [columns, output, registry_module, run_module, trials, memory])
def test_docstring_examples(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_columns():
    part = quantiles("x", np.arange(11.0)[:, None])
    assert {key: value.tolist() for key, value in part.items()} == {
        "x median": [5.0],
        "x 10%": [1.0],
        "x 90%": [9.0],
    }
    both = stack([{"panel": np.array(["b"]), **part}, {"panel": np.array(["a"]), **part}])
    assert list(split(both, "panel")) == ["b", "a"]


# ------------------------------------------------------------------ trials


def test_trials_have_their_own_streams_and_report_progress():
    seen = []
    results = run_trials(
        lambda case, rng: case + rng.random(2),
        [0, 10],
        3,
        np.random.SeedSequence(5),
        lambda done, total: seen.append((done, total)),
    )
    expected = [np.random.default_rng(s).random(2) for s in np.random.SeedSequence(5).spawn(6)]
    np.testing.assert_array_equal(results[0], expected[:3])
    np.testing.assert_array_equal(results[1], 10 + np.array(expected[3:]))
    assert seen == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failed_trial_drops_the_rest(error, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 1)
    begun = []

    def trial(case, rng):
        begun.append(case)
        time.sleep(0.001)
        raise error

    with pytest.raises(error):
        run_trials(trial, [0], 2000, np.random.SeedSequence(0))
    assert len(begun) < 1000


# ------------------------------------------------------------------ kept parts


FIGURE = "dense-convergence"


def numbered(seed, progress):
    progress(1, 2)
    return {
        "name": np.array(["a", "b"]),
        "count": np.array([1, 2]),
        "x": np.random.default_rng(seed).random(2) / 3,
        "missing": np.array([np.nan, 1e-300]),
    }


def test_a_part_is_kept_with_what_it_was_made_with(tmp_path):
    seen = []
    first = Run(FIGURE, 3, "quick", tmp_path, lambda *report: seen.append(report))
    made = first.part("Flat, d1 = 4", {"d1": 4, "range": range(2)}, numbered)
    assert (first.computed, first.kept) == (["Flat, d1 = 4"], [])
    assert seen == [("Flat, d1 = 4", 0, 1), ("Flat, d1 = 4", 1, 2)]
    (path,) = tmp_path.rglob("*.json")
    assert path.relative_to(tmp_path).as_posix() == "dense-convergence/quick/flat-d1-4.json"
    key = json.loads(path.read_text())["made with"]
    assert (key["seed"], key["parameters"]) == (3, {"d1": 4, "range": [0, 1]})
    assert (key["version"], key["packages"]["numpy"]) == (__version__, np.__version__)

    again = Run(FIGURE, 3, "quick", tmp_path)
    kept = again.part("Flat, d1 = 4", {"d1": 4, "range": range(2)}, numbered)
    assert (again.computed, again.kept) == ([], ["Flat, d1 = 4"])
    for name, column in made.items():
        assert kept[name].dtype.kind == column.dtype.kind
        np.testing.assert_array_equal(kept[name], column)


@pytest.mark.parametrize("change", ["seed", "parameters", "code", "version", "damage", "nothing"])
def test_a_part_is_computed_again_when_anything_changed(tmp_path, monkeypatch, change):
    Run(FIGURE, 0, "quick", tmp_path).part("p", {"k": 1}, numbered)
    (path,) = tmp_path.rglob("*.json")
    if change == "code":
        monkeypatch.setattr(run_module, "code_digest", lambda figure: "other")
    if change == "version":
        monkeypatch.setattr(run_module, "__version__", "9.9")
    if change == "damage":
        path.write_text(path.read_text()[:-20])
    again = Run(FIGURE, int(change == "seed"), "quick", tmp_path)
    again.part("p", {"k": 2 if change == "parameters" else 1}, numbered)
    assert again.computed == ([] if change == "nothing" else ["p"])


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path):
    def stopped(seed, progress):
        raise KeyboardInterrupt

    first = Run(FIGURE, 0, "quick", tmp_path)
    first.part("one", {}, numbered)
    with pytest.raises(KeyboardInterrupt):
        first.part("two", {}, stopped)
    again = Run(FIGURE, 0, "quick", tmp_path)
    for name in ("one", "two"):
        again.part(name, {}, numbered)
    assert (again.kept, again.computed) == (["one"], ["two"])


def test_parts_are_streams_of_their_own():
    run = Run(FIGURE, 0)
    draws = [
        np.random.default_rng(other.sequence(part)).random()
        for other in (run, Run(FIGURE, 1), Run("memory", 0))
        for part in ("a", "b")
    ]
    assert len(set(draws)) == 6
    assert run.sequence("a").generate_state(4).tolist() == (
        Run(FIGURE, 0).sequence("a").generate_state(4).tolist()
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"made with": {}}', '{"made with": 1}'])
def test_a_damaged_part_is_no_part(tmp_path, text):
    path = tmp_path / "part.json"
    assert read_part(path, {}) is None
    path.write_text(text)
    assert read_part(path, {}) is None
    path.write_text(part_text({}, {"x": np.array([1.5])}))
    assert read_part(path, {})["x"].tolist() == [1.5]


def test_only_what_computes_counts_as_code():
    source = '"""Doc."""\nfrom ..style import LOOKS\nx = 1\n\ndef compute(run):\n    return x\n'
    drawn = source.replace("Doc", "Other").replace("LOOKS", "RC") + "\ndef _draw(x): ...  # new\n"
    assert computing_code(source) == computing_code(drawn)
    assert computing_code(source) != computing_code(source.replace("x = 1", "x = 2"))


def test_parameters_must_be_plain(tmp_path):
    with pytest.raises(TypeError, match="must be plain data, got object"):
        Run(FIGURE, 0, "quick", tmp_path).part("p", {"k": object()}, numbered)


# ------------------------------------------------------------------ style


OKABE_ITO = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
TOL_MUTED = {"#332288", "#882255", "#44AA99", "#999933"}
GREYS = {"#000000", "#7F7F7F"}

RECOMMENDERS = [
    "full", "hash", "ce", "qr", "bloom", "hash-embedding", "robe", "tensor-train", "dhe",
    "low-dimensional", "cce", "alternating", "pq", "rq", "bias-only", "best-reachable",
]  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        ["gaussian", *dense_convergence.THEORY["gaussian"]],
        ["whitened", *dense_convergence.THEORY["whitened"]],
        ["count-sketch-noise", *dense_convergence.THEORY["count-sketch-noise"]],
        ["sketched", "clustered", "resolved", "k-means-of-optimum", "optimum"],
        [*compression.METHODS, compression.BEST, compression.FLOOR],
        list(memory.METHODS),
        RECOMMENDERS,
    ],
)
def test_looks_of_one_figure_differ_in_colour_and_in_grey(names):
    looks = [style.LOOKS[name] for name in names]
    assert len({(look.line, look.marker) for look in looks}) == len(looks)
    assert len({(look.colour, look.line) for look in looks}) == len(looks)


def test_colours_are_of_the_palettes():
    assert {look.colour for look in style.LOOKS.values()} <= OKABE_ITO | TOL_MUTED | GREYS


def test_stages_of_one_shot_have_the_colours_of_the_methods():
    assert style.LOOKS["sketched"].colour == style.LOOKS["count-sketch"].colour
    assert style.LOOKS["resolved"].colour == style.LOOKS["one-shot"].colour


@pytest.mark.parametrize("name", style.LOOKS)
def test_text_is_dark_enough_on_white(name):
    """Contrast of at least 3.5, by the formula of the web accessibility guidelines."""
    rgb = np.array(to_rgb(style.text_colour(name)))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    assert 1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05) >= 3.5


def test_labels_keep_their_distance():
    figure = Figure((3, 2))
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    style.label_ends(figure, ax, [("gaussian", 0.5), ("whitened", 0.5), ("dense-rate", 0.9)])
    shifts = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert shifts["dense-rate"] == pytest.approx(0)
    gap = shifts["whitened noise"] - shifts["Gaussian noise"]
    assert gap == pytest.approx(1.15 * style.LABEL_SIZE)


# ------------------------------------------------------------------ files


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        output.write_whole(path, b"new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.csv", "old")]


def test_provenance_names_what_can_change_a_figure():
    line = output.provenance("dense-convergence", 7, "full", ["report of seed 3"])
    for word in (
        __version__,
        "seed 7",
        "profile full",
        "report of seed 3",
        f"numpy {np.__version__}",
        "scipy ",
        "numba ",
    ):
        assert word in line
    assert "\n" not in line


def test_gallery_is_in_the_checkout():
    assert (gallery_module.source_root() / "README.md").is_file()
