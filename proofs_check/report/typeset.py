"""Prose with TeX between dollar signs, as HTML with MathML."""

from __future__ import annotations

import re
from functools import cache

from markupsafe import Markup, escape
from math_core import LatexToMathML

TOKENS = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>.+?)\$|`(?P<code>.+?)`", re.DOTALL)


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML()


@cache
def mathml(tex: str, display: bool) -> Markup:
    r"""One formula.

    Parameters
    ----------
    tex : str
    display : bool
        On a line of its own.

    Raises
    ------
    math_core.LatexError
        If it is not TeX.

    Examples
    --------
    >>> print(mathml(r"e_i \le 1", display=False))
    <math><msub><mi>e</mi><mi>i</mi></msub><mo>≤</mo><mn>1</mn></math>
    """
    return Markup(_converter().convert_with_local_state(tex, displaystyle=display))


def typeset(text: str, ids: frozenset[str] = frozenset()) -> Markup:
    """Prose with mathematics.

    Parameters
    ----------
    text : str
        ``$...$`` is a formula in the line, ``$$...$$`` one on a line of its own, and a name in
        backquotes is code.
    ids : set of str
        Names that are the id of an element of the page, and become links to it.

    Returns
    -------
    Markup
        Paragraphs and formulas, one after another.

    Examples
    --------
    >>> print(typeset("See `dense-rate`.", frozenset({"dense-rate"})))
    <p>See <a href="#dense-rate"><code>dense-rate</code></a>.</p>
    >>> print(typeset("Noise, $k$ < 2."))
    <p>Noise, <math><mi>k</mi></math> &lt; 2.</p>
    """
    paragraph, done, position = Markup(), Markup(), 0

    def closed() -> Markup:
        return Markup("<p>{}</p>").format(paragraph) if paragraph.strip() else Markup()

    for token in TOKENS.finditer(text):
        paragraph += escape(text[position : token.start()])
        position = token.end()
        if token["display"]:
            formula = Markup('<div class="formula">{}</div>')
            done += closed() + formula.format(mathml(token["display"], display=True))
            paragraph = Markup()
        elif token["inline"]:
            paragraph += mathml(token["inline"], display=False)
        elif token["code"] in ids:
            paragraph += Markup('<a href="#{0}"><code>{0}</code></a>').format(token["code"])
        else:
            paragraph += Markup("<code>{}</code>").format(token["code"])
    paragraph += escape(text[position:])
    return done + closed()
