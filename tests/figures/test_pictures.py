"""Pictures look as they did: three figures against small pictures kept beside the tests.

Renew them with ``python -m tests.figures.test_pictures`` after looking at the new ones.
"""

from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from figures import style
from figures.registry import registry
from figures.run import Run

pytestmark = pytest.mark.compiled

BASELINES = Path(__file__).parent / "baselines"
NAMES = ("hashing-trick-exact", "sketch-gallery", "tightness-atlas")
DPI = 60

TOLERANCE = 12.0
"""Root mean square of the difference of the levels, 0 to 255: letters may move by a pixel."""


def picture(drawing, path):
    """A small PNG."""
    with style.context():
        drawing.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


@pytest.mark.parametrize("name", NAMES)
def test_picture_looks_as_it_did(made, name, tmp_path):
    actual = picture(registry()[name].draw(made(name).columns), tmp_path / f"{name}.png")
    assert compare_images(BASELINES / f"{name}.png", actual, TOLERANCE) is None


@pytest.mark.parametrize("name", NAMES)
def test_other_numbers_are_noticed(name, tmp_path):
    """The tolerance tells these pictures from those of another seed, or of less."""
    columns = registry()[name].compute(Run(name, 1, "draft"))
    if name == "hashing-trick-exact":  # another seed changes its points by little
        columns |= {key: columns[key] ** 2 for key in ("mean", "one-hot-exact")}
        columns |= dict.fromkeys(("lower", "upper"), columns["mean"])
    if name == "tightness-atlas":
        factors = [key for key in columns if key.startswith("factor")]
        columns |= {key: columns[key][::-1] for key in factors}
    actual = picture(registry()[name].draw(columns), tmp_path / f"{name}.png")
    assert compare_images(BASELINES / f"{name}.png", actual, TOLERANCE) is not None


def renew():
    """Draw the pictures again."""
    BASELINES.mkdir(exist_ok=True)
    for name in NAMES:
        recipe = registry()[name]
        drawing = recipe.draw(recipe.compute(Run(name, 0, "draft")))
        print(picture(drawing, BASELINES / f"{name}.png"))


if __name__ == "__main__":
    renew()
