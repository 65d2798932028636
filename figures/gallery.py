"""The gallery of the README: every figure small, linked to a larger picture and to its file."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lsq_sketch.files import write_whole

from .registry import Recipe, registry
from .run import source_root

GALLERY = "docs/gallery"

BEGIN = "<!-- gallery: made by python -m figures --gallery -->"
END = "<!-- end of gallery -->"

INTRODUCTION = """\
All figures of `python -m figures`; `--list` describes them. A picture links to itself at full size,
its name to the file that computes and draws it."""

COLOURS = 128
"""Of the palette of a picture in the gallery: a third of the bytes, and no difference to see."""

LIMIT = 2 << 20
"""Bytes of all pictures together."""

PER_ROW = 2


class GalleryError(ValueError):
    """The gallery cannot be made; the message says why."""


def write_gallery(recipes: Iterable[Recipe], out: Path, root: Path | None = None) -> str:
    """Renew the pictures of some figures, and the gallery's section of the README.

    Parameters
    ----------
    recipes : iterable of Recipe
        Figures whose PNG is in ``out``.
    out : Path
    root : Path, optional
        Of the checkout.

    Returns
    -------
    str
        What was written.

    Raises
    ------
    GalleryError
        If this is no checkout of the project, or the pictures would be too large.
    OSError
        If a file cannot be read or written.
    """
    root = source_root() if root is None else root
    readme = root / "README.md"
    if not readme.is_file():
        raise GalleryError(f"there is no README.md in {root}; run it in a checkout of the project.")
    text = with_section(readme.read_text(encoding="utf-8"))
    folder = root / GALLERY
    folder.mkdir(parents=True, exist_ok=True)
    recipes = list(recipes)
    pictures = {recipe.id: small(out / f"{recipe.id}.png") for recipe in recipes}
    kept = {
        path.stem: path.stat().st_size
        for path in folder.glob("*.png")
        if path.stem in registry() and path.stem not in pictures
    }
    total = sum(kept.values()) + sum(map(len, pictures.values()))
    if total > LIMIT:
        raise GalleryError(f"the pictures would take {total:,} bytes, more than {LIMIT:,}.")
    for name, content in pictures.items():
        write_whole(folder / f"{name}.png", content)
    for path in folder.glob("*.png"):
        if path.stem not in registry():
            path.unlink()
    write_whole(readme, text.encode())
    return f"{len(pictures)} of {len(pictures) + len(kept)} pictures in {folder}, {total:,} bytes"


def small(path: Path) -> bytes:
    """A PNG of the same size with a palette of its own, and with what it was made with."""
    with Image.open(path) as image:
        palette = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        origin = PngInfo()
        for key in ("Title", "Source"):
            origin.add_text(key, str(image.info.get(key, "")))
        buffer = BytesIO()
        palette.save(buffer, "png", optimize=True, pnginfo=origin)
    return buffer.getvalue()


def section() -> str:
    """The gallery in HTML, that a row can hold several pictures."""
    cells = []
    for recipe in registry().values():
        picture = f"{GALLERY}/{recipe.id}.png"
        source = f"figures/recipes/{recipe.id.replace('-', '_')}.py"
        cells.append(
            f'<td width="{100 // PER_ROW}%" valign="top"><a href="{picture}">'
            f'<img src="{picture}" alt="{escape(recipe.title)}"></a><br>'
            f'<a href="{source}"><code>{recipe.id}</code></a>: {escape(recipe.title)}.</td>'
        )
    rows = [cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)]
    lines = [line for row in rows for line in ("<tr>", *row, "</tr>")]
    return "\n".join([BEGIN, INTRODUCTION, "", "<table>", *lines, "</table>", END])


def with_section(readme: str) -> str:
    """The text of the README with the gallery's section renewed.

    Raises
    ------
    GalleryError
        If it has no markers, or more than one pair.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in after:
        raise GalleryError(f"README.md must hold the lines {BEGIN} and {END} once each.")
    return before + section() + after
