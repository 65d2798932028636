"""What holds for every figure: its files, its text, its numbers, and that a seed fixes them."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image
from pypdf import PdfReader

from figures import output, style
from figures.registry import registry
from figures.run import Run
from lsq_sketch import threads
from tests.figures.conftest import PROFILE
from tests.figures.reading import drawn_numbers, is_among, read_csv

pytestmark = pytest.mark.compiled

NOT_DRAWN = {
    # kept for readers: spreads of medians, and what a drawn share is a share of
    "compression": {"10%", "90%", "parameters / d1"},
    "claims-forest": {"mean", "claimed"},
    "tightness-atlas": {"condition", "m / d1", "measured", "dense-rate", "dense-quadrature-rate"},
}
TRACED = ("memory", "training-memory")
"""Figures of measurements that no seed fixes."""


def unseen_texts(figure):
    """Labels of ticks outside their axis, and all text of hidden axes."""
    unseen = set()
    for ax in figure.axes:
        if not ax.get_visible():
            unseen.update(ax.findobj(Text))
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            room = 1e-9 * (high - low)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low - room <= tick.get_loc() <= high + room:
                    unseen.update((tick.label1, tick.label2))
    return unseen


def test_registry_is_the_files():
    assert set(registry()) >= {
        "dense-convergence", "iterations-needed", "sparse-convergence", "recovery", "compression",
        "hashing-trick-exact", "tightness-atlas", "sketch-gallery", "method", "claims-forest",
        "memory", "one-shot-stages", "recommender-curves", "training-memory",
    }  # fmt: skip
    for name, recipe in registry().items():
        assert recipe.compute.__module__ == f"figures.recipes.{name.replace('-', '_')}"
        assert len(recipe.title) <= 100
        assert len(recipe.caption) > 200


@pytest.mark.parametrize("name", registry())
class TestEveryFigure:
    def test_pdf(self, made, name):
        """Fonts are TrueType and embedded; text is text; the width is that of a column or page."""
        reader = PdfReader(made(name).files["pdf"])
        (page,) = reader.pages
        fonts = page["/Resources"]["/Font"]
        assert fonts
        for font in fonts.values():
            described = font["/DescendantFonts"][0] if "/DescendantFonts" in font else font
            assert described["/Subtype"] in ("/CIDFontType2", "/TrueType")
            assert "/FontFile2" in described["/FontDescriptor"]
            assert "/ToUnicode" in font
        axes = [ax for ax in made(name).drawing.axes if ax.get_visible()]
        texts = [ax.get_title(side) for ax in axes for side in ("left", "center")]
        texts += [ax.get_xlabel() for ax in axes]
        words = [word for text in texts for word in text.split() if word.isalpha()]
        assert words
        text = page.extract_text()
        assert all(word in text for word in words)
        assert reader.metadata["/Keywords"] == made(name).origin
        assert "/CreationDate" not in reader.metadata
        width = float(page.mediabox.width) / 72
        assert any(np.isclose(width, w) for w in (style.COLUMN_WIDTH, style.PAGE_WIDTH))
        assert float(page.mediabox.height) / 72 < 9  # of a page

    def test_png(self, made, name):
        with Image.open(made(name).files["png"]) as image:
            assert image.info["Source"] == made(name).origin
            assert np.isclose(image.width / 200, made(name).drawing.get_figwidth(), atol=0.01)

    def test_csv_is_what_was_computed(self, made, name):
        comment, read = read_csv(made(name).files["csv"])
        assert comment == f"# {made(name).origin}"
        assert list(read) == list(made(name).columns)
        for key, column in made(name).columns.items():
            if column.dtype.kind in "iuf":
                np.testing.assert_array_equal(read[key], column)
            else:
                assert read[key].astype(str).tolist() == column.astype(str).tolist()

    def test_every_number_is_drawn(self, made, name):
        drawn = drawn_numbers(made(name).drawing)
        left_out = NOT_DRAWN.get(name, set())
        columns = made(name).columns
        numbers = [key for key, column in columns.items() if column.dtype.kind == "f"]
        assert numbers
        if name == "method":  # some of its rounds only, each of them whole
            shown = sum(
                is_among(part[key], drawn).all()
                for round_ in range(1, 13)
                for part in [{k: c[columns["round"] == round_] for k, c in columns.items()}]
                for key in ["row x"]
            )
            assert shown >= 6
            return
        for key in numbers:
            if key not in left_out:
                finite = columns[key][np.isfinite(columns[key])]
                missing = finite[~is_among(finite, drawn)]
                assert not missing.size, (key, missing)

    def test_text_is_legible_and_apart(self, made, name):
        figure = made(name).drawing
        with style.context():
            figure.draw_without_rendering()
        page = figure.bbox
        boxes = []
        unseen = unseen_texts(figure)
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip() and text not in unseen:
                assert text.get_fontsize() >= 7
                boxes.append((text.get_text(), text.get_window_extent()))
        assert boxes
        for i, (label, box) in enumerate(boxes):
            assert page.x0 <= box.x0 + 1, label
            assert box.x1 <= page.x1 + 1, label
            for other, other_box in boxes[:i]:
                shrunk = box.padded(-1)
                assert not shrunk.overlaps(other_box.padded(-1)), (label, other)

    def test_same_numbers_same_files(self, made, name, tmp_path):
        recipe, first = registry()[name], made(name)
        drawing = recipe.draw(first.columns)
        files = output.save(recipe, first.columns, drawing, first.origin, tmp_path)
        for suffix, path in files.items():
            assert path.read_bytes() == first.files[suffix].read_bytes()

    def test_drawing_leaves_matplotlib_as_it_was(self, made, name):
        before = dict(mpl.rcParams)
        registry()[name].draw(made(name).columns)
        assert dict(mpl.rcParams) == before

    def test_quantiles_are_ordered(self, made, name):
        columns = made(name).columns
        for key, median in columns.items():
            stem = key.removesuffix("median")
            if stem != key:
                known = np.isfinite(median)
                assert (columns[f"{stem}10%"] <= median)[known].all()
                assert (median <= columns[f"{stem}90%"])[known].all()

    def test_kept_parts_are_used(self, made, name):
        """A second run computes nothing and gives the same numbers."""
        first = made(name)
        run = Run(name, 0, PROFILE, first.parts)
        again = registry()[name].compute(run)
        assert run.computed == []
        assert run.kept
        for key, column in first.columns.items():
            np.testing.assert_array_equal(again[key], column)


@pytest.mark.parametrize("name", [name for name in registry() if name not in TRACED])
def test_same_seed_same_bytes_for_any_number_of_threads(made, name, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    recipe = registry()[name]
    again = recipe.compute(Run(name, 0, PROFILE))
    text = output.csv_text(again, made(name).origin)
    assert text.encode() == made(name).files["csv"].read_bytes()


@pytest.mark.parametrize("name", [name for name in registry() if name not in TRACED])
def test_another_seed_gives_other_numbers(made, name):
    other = registry()[name].compute(Run(name, 1, PROFILE))
    text = output.csv_text(other, made(name).origin)
    assert text.encode() != made(name).files["csv"].read_bytes()
