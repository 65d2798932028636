"""The figures: their files, their numbers, their command line."""

import doctest
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from figures import cli, columns, dense_convergence, output, style, trials
from figures import registry as registry_module
from figures.columns import quantiles, split, stack
from figures.registry import registry
from figures.trials import run_trials
from lsq_sketch import LeastSquares, __version__
from proofs_check.claims import dense_quadrature_rate, dense_rate, whitened_law
from proofs_check.instances import Instance
from tests.checks import heed_interrupts

PROFILE = "quick"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Every figure in the quick profile, with uncompressed PDFs: columns, drawing, files."""
    folder = tmp_path_factory.mktemp("figures")
    found = {}
    with mpl.rc_context({"pdf.compression": 0}):
        for recipe in registry().values():
            columns = recipe.compute(0, PROFILE, trials.silent)
            origin = output.provenance(recipe.id, 0, PROFILE)
            drawing = recipe.draw(columns)
            files = output.save(recipe, columns, drawing, origin, folder)
            found[recipe.id] = SimpleNamespace(
                columns=columns, origin=origin, drawing=drawing, files=files
            )
    return found


def read_csv(path):
    """Comment line, and columns as lists of text."""
    comment, header, *rows = path.read_text().splitlines()
    fields = [re.findall(r'(?:^|,)(?:"([^"]*)"|([^,]*))', row) for row in rows]
    values = [[quoted or plain for quoted, plain in row] for row in fields]
    return comment, dict(zip(header.split(","), zip(*values, strict=True), strict=True))


def run_cli(*arguments, **options):
    """``python -m figures`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "figures", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )


def fail_line(capsys, *arguments):
    """The error of the command line, in this process; it must end with status 2."""
    old, sys.argv = sys.argv, ["figures", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        sys.argv = old
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


# ------------------------------------------------------------------ files


def test_registry_is_the_files():
    assert set(registry()) >= {"dense-convergence", "one-shot-stages"}
    for name, recipe in registry().items():
        assert recipe.compute.__module__ == f"figures.{name.replace('-', '_')}"
        assert recipe.title
        assert recipe.caption


@pytest.mark.parametrize("name", registry())
class TestEveryFigure:
    def test_pdf(self, made, name):
        content = made[name].files["pdf"].read_bytes()
        assert content.startswith(b"%PDF")
        assert b"/FontFile2" in content  # TrueType, embedded
        assert b"/Type3" not in content
        assert b"/CreationDate" not in content
        assert made[name].origin.encode() in content
        width = float(re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", content)[1]) / 72
        assert width in (style.COLUMN_WIDTH, style.PAGE_WIDTH)

    def test_png(self, made, name):
        with Image.open(made[name].files["png"]) as image:
            assert image.info["Source"] == made[name].origin
            assert np.isclose(image.width / 200, made[name].drawing.get_figwidth(), atol=0.01)

    def test_csv_is_what_was_computed(self, made, name):
        comment, read = read_csv(made[name].files["csv"])
        assert comment == f"# {made[name].origin}"
        columns = made[name].columns
        assert list(read) == list(columns)
        for key, column in columns.items():
            assert np.array(read[key]).astype(column.dtype).tolist() == column.tolist()

    def test_every_number_is_drawn(self, made, name):
        """Each number of the CSV is a vertex of a line or band, and the other way round."""
        axes = made[name].drawing.axes
        drawn = [np.ravel(line.get_ydata()) for ax in axes for line in ax.lines]
        drawn += [
            path.vertices[:, 1]
            for ax in axes
            for band in ax.collections
            for path in band.get_paths()
        ]
        drawn = np.unique(np.concatenate(drawn))
        coordinates = {"iteration", "k", "k / d1"}
        plotted = [
            column
            for key, column in made[name].columns.items()
            if column.dtype.kind == "f" and key not in coordinates
        ]
        plotted = np.unique(np.concatenate(plotted))
        assert np.isin(plotted, drawn).all()
        assert np.isin(drawn, np.append(plotted, 0)).all()  # 0: the line of the optimum

    def test_text_is_legible_and_apart(self, made, name):
        figure = made[name].drawing
        figure.draw_without_rendering()
        page = figure.bbox
        boxes = []
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip():
                assert text.get_fontsize() >= 7
                boxes.append((text.get_text(), text.get_window_extent()))
        for i, (label, box) in enumerate(boxes):
            assert page.x0 <= box.x0 + 1, label
            assert box.x1 <= page.x1 + 1, label
            for other, other_box in boxes[:i]:
                shrunk = box.padded(-1)
                assert not shrunk.overlaps(other_box.padded(-1)), (label, other)

    def test_same_seed_same_bytes_for_any_number_of_threads(self, made, name, monkeypatch):
        monkeypatch.setattr(trials, "thread_count", lambda: 3)
        recipe = registry()[name]
        again = recipe.compute(0, PROFILE, trials.silent)
        text = output.csv_text(again, made[name].origin)
        assert text.encode() == made[name].files["csv"].read_bytes()
        assert output.csv_text(recipe.compute(1, PROFILE, trials.silent), "") != text

    def test_same_numbers_same_pdf(self, made, name, tmp_path):
        recipe, first = registry()[name], made[name]
        with mpl.rc_context({"pdf.compression": 0}):
            drawing = recipe.draw(first.columns)
            files = output.save(recipe, first.columns, drawing, first.origin, tmp_path)
        for suffix, path in files.items():
            assert path.read_bytes() == first.files[suffix].read_bytes()

    def test_drawing_leaves_matplotlib_as_it_was(self, made, name):
        before = dict(mpl.rcParams)
        registry()[name].draw(made[name].columns)
        assert dict(mpl.rcParams) == before

    def test_quantiles_are_ordered(self, made, name):
        columns = made[name].columns
        for key, median in columns.items():
            if key.endswith(" median"):
                series = key.removesuffix(" median")
                assert (columns[f"{series} 10%"] <= median).all()
                assert (median <= columns[f"{series} 90%"]).all()


# ------------------------------------------------------------------ numbers


def test_bounds_in_the_csv_are_the_claims_own(made):
    _, text = read_csv(made["dense-convergence"].files["csv"])
    sizes = dense_convergence.SIZES[PROFILE]
    m, d1, d2 = sizes.k - sizes.d2, sizes.d1, sizes.d2
    i = np.arange(sizes.iterations + 1)
    columns = {key: np.array(column) for key, column in text.items()}
    designs = split(columns, "design")
    assert len(designs) == 2
    for part, condition in zip(designs.values(), (1, 10), strict=True):
        read = {name: part[name].astype(float) for name in dense_convergence.BOUNDS}
        sigma = np.geomspace(1, 1 / condition, d1)
        paper = dense_rate.rate(sigma[-1] ** 2 / (sigma @ sigma), m)
        first, later = (dense_quadrature_rate.rate(sigma, m, t0) for t0 in (0, d2))
        law, law_later = 1 - m / d1, 1 - m / (d1 - d2)
        np.testing.assert_allclose(read["dense-rate"], paper**i, rtol=1e-9)
        for name, rates in (
            ("dense-quadrature-rate", (first, later)),
            ("whitened-law", (law, law_later)),
        ):
            expected = np.where(i == 0, 1, rates[0] * rates[1] ** np.maximum(i - 1.0, 0))
            np.testing.assert_allclose(read[name], expected, rtol=1e-9)
        assert (read["dense-quadrature-rate"][1:] < read["dense-rate"][1:]).all()


def test_whitened_law_is_that_of_the_claim():
    rng = np.random.default_rng(0)
    problem = LeastSquares(rng.standard_normal((60, 24)), rng.standard_normal((60, 3)))
    m = problem.rank // 4  # the width at which the claim is judged
    law = whitened_law.bounds(Instance("own", "random", False, lambda: problem))
    first, later = (law[stage].value for stage in (whitened_law.FIRST, whitened_law.LATER))
    drawn = dense_convergence.bounds(problem, m, 3)["whitened-law"]
    np.testing.assert_allclose(drawn, [1, first, first * later, first * later**2], rtol=1e-12)


def test_dense_convergence_starts_at_one_and_never_rises(made):
    for part in split(made["dense-convergence"].columns, "design").values():
        for name in dense_convergence.NOISES:
            for suffix in ("median", "10%", "90%"):
                series = part[f"{name} {suffix}"]
                assert series[0] == 1
                assert (np.diff(series) < 0).all()


def test_one_shot_stages_keep_their_order(made):
    """Re-solving never raises the loss, trial by trial: so every quantile is ordered too."""
    columns = made["one-shot-stages"].columns
    for suffix in ("median", "10%", "90%"):
        resolved, clustered = columns[f"resolved {suffix}"], columns[f"clustered {suffix}"]
        assert (resolved <= clustered * (1 + 1e-9)).all()
        assert (resolved > 0).all()
    for part in split(columns, "problem").values():
        assert np.unique(part["k-means-of-optimum median"]).size == 1
        assert (part["k"] == part["k"][0] * part["k / d1"] / part["k / d1"][0]).all()


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize("module", [columns, output, registry_module, trials])
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
    monkeypatch.setattr(trials, "thread_count", lambda: 1)
    begun = []

    def trial(case, rng):
        begun.append(case)
        time.sleep(0.001)
        raise error

    with pytest.raises(error):
        run_trials(trial, [0], 2000, np.random.SeedSequence(0))
    assert len(begun) < 1000


def test_colours_are_of_the_palette_and_looks_differ_in_grey():
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    greys = {"#000000", "#7F7F7F"}
    assert {look.colour for look in style.LOOKS.values()} <= okabe_ito | greys
    for names in (
        [*dense_convergence.BOUNDS, *dense_convergence.NOISES],
        ["sketched", "clustered", "resolved", "k-means-of-optimum", "optimum"],
    ):
        looks = [style.LOOKS[name] for name in names]
        assert len({(look.line, look.marker) for look in looks}) == len(looks)
        assert len({to_rgb(look.colour) for look in looks}) == len(looks)


def test_labels_keep_their_distance():
    figure = Figure((3, 2))
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    style.label_ends(figure, ax, [("gaussian", 0.5), ("whitened", 0.5), ("dense-rate", 0.9)])
    shifts = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert shifts["dense-rate"] == pytest.approx(0)
    gap = shifts["whitened noise"] - shifts["Gaussian noise"]
    assert gap == pytest.approx(1.15 * style.LABEL_SIZE)


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
    line = output.provenance("dense-convergence", 7, "full")
    for word in (
        __version__,
        "seed 7",
        "profile full",
        f"numpy {np.__version__}",
        "scipy ",
        "numba ",
    ):
        assert word in line
    assert "\n" not in line


# ------------------------------------------------------------------ command line


def test_list(capsys):
    cli.list_figures()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(registry())


def test_command_line_makes_a_figure(tmp_path, made):
    out = tmp_path / "new" / "folder"
    run = run_cli("dense-convergence", "--profile", "quick", "--out", out)
    assert (run.returncode, run.stderr) == (0, "")  # no progress bar in a pipe
    assert run.stdout.startswith("dense-convergence")
    assert "\x1b" not in run.stdout
    assert sorted(file.suffix for file in out.iterdir()) == [".csv", ".pdf", ".png"]
    expected = made["dense-convergence"].files["csv"].read_bytes()
    assert (out / "dense-convergence.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dense-convergance"], "no figure 'dense-convergance'. Did you mean dense-convergence?"),
        (["zzz"], "no figure 'zzz'. There are dense-convergence, one-shot-stages"),
        (["--profile", "slow"], "--profile must be one of quick, full; got 'slow'."),
        (["--seed", "-1"], "'--seed'"),
        (["--seed", "x"], "'--seed'"),
        (["--colour"], "--colour"),
    ],
)
def test_wrong_arguments(capsys, arguments, message):
    assert message in fail_line(capsys, *arguments)


def test_folder_that_cannot_be_made(capsys, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        line = fail_line(capsys, "--out", folder)
        assert line.startswith(f"figures: --out: could not make the folder {folder}: ")


def test_folder_without_permission(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.os, "access", lambda path, mode: mode != os.W_OK)
    assert fail_line(capsys, "--out", tmp_path) == (
        f"figures: --out: no permission to write into {tmp_path}.\n"
    )


def test_file_that_cannot_be_written(capsys, tmp_path, monkeypatch):
    (tmp_path / "dense-convergence.pdf").mkdir()
    line = fail_line(capsys, "dense-convergence", "--profile", "quick", "--out", tmp_path)
    assert line.startswith("figures: --out: could not write ")
    assert [file.name for file in tmp_path.iterdir()] == ["dense-convergence.pdf"]


def test_interrupt_ends_cleanly(tmp_path):
    program = (
        "import figures.cli as cli, figures.registry as r, sys, time\n"
        "def compute(*_):\n"
        "    print('begun', flush=True); time.sleep(60)\n"
        "recipe = r.registry()['dense-convergence']\n"
        "object.__setattr__(recipe, 'compute', compute)\n"
        f"sys.argv = ['figures', 'dense-convergence', '--out', {str(tmp_path)!r}]\n"
        "cli.main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
