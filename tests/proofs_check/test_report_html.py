"""The HTML page: what it holds, and how it behaves in a browser.

The tests in a browser need Chromium; where there is none they fail and say what to do.
"""

import io
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from proofs_check.claim import registry
from proofs_check.finding import Verdict
from proofs_check.report import as_html, write_html
from proofs_check.report.typeset import mathml, typeset
from proofs_check.run import Report
from tests.browser import find
from tests.proofs_check.reports import CONFIRMED, every_claim, everything, finding

VOID = {"meta", "input", "br", "link", "img"}


class Page(HTMLParser):
    """Elements of a page with their attributes, and text; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.stack, self.text = [], [], []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, tag

    def handle_data(self, data):
        if "style" not in self.stack:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page():
    return Page(as_html(everything()))


# ------------------------------------------------------------------ what the page holds


def test_nothing_comes_from_outside(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "iframe", "object", "font"}
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    text = as_html(everything())
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"@import|url\(", text)


def test_every_reference_has_its_target(page):
    ids = Counter(a["id"] for _, a in page.elements if "id" in a)
    assert max(ids.values()) == 1
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "for"):
            for target in attributes.get(name, "").split():
                assert target in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


def test_landmarks_language_and_title(page):
    assert page.all("html") == [{"lang": "en-GB"}]
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        assert len([1 for tag, _ in page.elements if tag == landmark]) >= 1
    assert len(page.all("main")) == len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_claim_is_told_in_full(page):
    articles = {a["id"] for a in page.all("article")}
    assert articles == set(everything().claims)
    text = " ".join(" ".join(page.text).split())
    for claim in registry().values():
        assert claim.title in text
        assert f"run {claim.id} " in text
    assert "a mean | of 1e-4 <b>is</b> too small" in text  # shown, not taken for a tag
    for name, version in [("seed", "Seed 0"), ("profile", "Profile quick")]:
        assert version in text, name
    assert "numpy " in text


def test_every_plot_is_told_in_words(page):
    plots = [a for tag, a in page.elements if tag == "svg" and "role" in a]
    titles = re.findall(r"<svg class=\"plot[^>]*><title>(.+?)</title>", as_html(everything()))
    assert len(plots) == len(titles) > len(everything().findings)
    for f in everything().findings:
        if f.verdict is not CONFIRMED:
            assert any(t.startswith(f.instance) and t.endswith(f.verdict) for t in titles)


def test_verdicts_differ_by_shape_not_by_colour_alone():
    text = as_html(everything())
    for verdict, symbol in {"confirmed": "✓", "refuted": "✗", "undecided": "?"}.items():
        assert re.search(rf'<span aria-hidden="true">{re.escape(symbol)}</span>', text)
        plots = re.findall(rf'<svg class="plot {verdict}".*?</svg>\n</svg>', text, re.DOTALL)
        assert plots
        drawn = [plot for plot in plots if 'class="mark"' in plot]
        assert all(('<path class="mark"' in plot) == (verdict == "refuted") for plot in drawn)


def test_the_page_of_an_empty_run_is_a_page():
    empty = Report("quick", 0, 0.01, ["dense-rate"], ["flat"], list(everything().evidence))
    assert Page(as_html(empty)).all("article") == []


def test_the_same_report_gives_the_same_page(tmp_path):
    write_html(every_claim(), tmp_path / "a.html")
    assert (tmp_path / "a.html").read_bytes() == as_html(every_claim()).encode()
    assert as_html(every_claim()) == as_html(every_claim())


def luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_enough_contrast(scheme):
    """WCAG 2.2 AA: 4.5 to 1 for text, 3 to 1 for lines of a plot."""
    text = as_html(every_claim())
    blocks = re.findall(r":root \{(.*?)\n\s*\}", text, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", blocks[scheme == "dark"]))

    def contrast(a, b):
        low, high = sorted((luminance(colours[a]), luminance(colours[b])))
        return (high + 0.05) / (low + 0.05)

    for ink in ("ink", "quiet", "link", "confirmed", "refuted", "undecided"):
        assert contrast(ink, "paper") >= 4.5, ink
    for ink in ("ink", "quiet"):
        assert contrast(ink, "panel") >= 4.5, ink
    for line in ("limit", "confirmed", "refuted", "undecided"):
        assert contrast(line, "outside") >= 3, line


# ------------------------------------------------------------------ typeset statements


@pytest.mark.parametrize("claim", registry())
@pytest.mark.parametrize("part", ["Statement", "Hypotheses"])
def test_statements_are_typeset(claim, part):
    text = registry()[claim].typeset[part]
    done = str(typeset(text))
    assert "$" not in done
    assert "\\" not in done
    assert done.count("<math") == len(re.findall(r"\$\$.+?\$\$|\$.+?\$", text, re.DOTALL))
    ET.fromstring(f"<div>{done.replace('&ApplyFunction;', '')}</div>")


GREEK = {"alpha", "delta", "eps", "eta", "kappa", "lambda", "rho", "sigma"}


def symbols(text):
    """Digits and Greek letters."""
    text = text.replace(r"\varepsilon", r"\eps").replace(r"\theta", "").replace(r"\beta", "")
    text = re.sub(r"(?<![a-z])Beta|sqrt", " ", text)
    text = re.sub(r"(?<=[a-z_{^ (])lmin", "", text)
    return set(re.findall(r"\d", text)) | {name for name in GREEK if re.search(name, text)}


@pytest.mark.parametrize("claim", registry())
def test_typeset_and_plain_statement_speak_of_the_same(claim):
    """The same digits and Greek letters: a slip in one of the two is noticed."""
    found = registry()[claim]
    assert symbols(found.typeset["Statement"]) == symbols(found.sections["Statement"])


def test_a_formula_is_mathml():
    tree = ET.fromstring(mathml(r"\frac{a}{b}", display=True))
    assert tree.tag == "math"
    assert tree.get("display") == "block"
    assert [child.tag for child in tree.iter()] == ["math", "mfrac", "mi", "mi"]


# ------------------------------------------------------------------ in a browser

pytest_browser = pytest.mark.compiled  # once is enough: nothing here is compiled


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "report.html"
    write_html(everything(), path)
    return path


@pytest.fixture
def visit(browser, file):
    """Open the page; at the end nothing else was asked for and nothing complained."""
    contexts, requests, complaints = [], [], []

    def visit(width=1400, scheme="light", height=900):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme
        )
        contexts.append(context)
        opened = context.new_page()
        opened.on("request", lambda request: requests.append(request.url))
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.goto(file.as_uri())
        return opened

    yield visit
    for context in contexts:
        context.close()
    assert set(requests) <= {file.as_uri()}
    assert complaints == []


def pixels(opened, **options):
    return np.array(Image.open(io.BytesIO(opened.screenshot(**options))).convert("RGB"), float)


@pytest_browser
@pytest.mark.parametrize(
    ("width", "scheme"),
    [(320, "light"), *((w, scheme) for w in (390, 800, 1400) for scheme in ("light", "dark"))],
)
def test_the_page_fits_and_is_drawn(visit, width, scheme):
    opened = visit(width, scheme)
    opened.locator("details").evaluate_all("all => all.forEach(one => { one.open = true })")
    if width < 700:
        opened.check("#show-numbers")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.evaluate("document.documentElement.scrollHeight") > 5000
    picture = pixels(opened)
    paper = picture[-1, 2]
    assert (paper.mean() > 230) if scheme == "light" else (paper.mean() < 60)
    written = np.abs(picture - paper).sum(axis=2) > 60
    assert 0.01 < written.mean() < 0.4
    sizes = opened.locator("math").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => [box.width, box.height])"
    )
    assert len(sizes) > 150
    assert np.min(sizes) > 4


@pytest_browser
def test_nothing_overlaps_in_a_row_at_phone_width(visit):
    """Name, plot and verdict of an instance stand beside one another, within the page."""
    opened = visit(390)
    rows = opened.locator("tbody tr").evaluate_all(
        """rows => rows.map(row => ["tbody th", ".drawn", ".judged"].map(part => {
            const box = row.querySelector(part.split(" ").pop()).getBoundingClientRect();
            return [box.left, box.right, box.top, box.bottom]}))"""
    )
    assert len(rows) == len(everything().findings)
    for name, plot, verdict in rows:
        assert name[1] <= plot[0] + 0.5
        assert plot[1] - plot[0] > 120
        assert verdict[0] >= plot[1] - 0.5 or verdict[2] >= plot[3] - 0.5
        assert 0 <= name[0] <= verdict[1] <= 390


@pytest_browser
def test_a_plot_shows_where_the_interval_lies(visit):
    """Seen, not read: the mark of a confirmed claim is left of the limit, a refuted one right."""
    opened = visit(1400)
    for name, beyond in (("dense-rate", False), ("false-dense-rate-by-dimension", True)):
        plot = opened.locator(f"#{name} tbody .plot").first
        limit = plot.locator(".limit").bounding_box()
        mark = plot.locator(".mark").bounding_box()
        whole = plot.bounding_box()
        centre = mark["x"] + mark["width"] / 2
        assert (centre > limit["x"]) == beyond
        share = 0.9 / 0.8 if beyond else (1 - 0.8) / (1 - 0.6)
        start = whole["x"]
        assert centre - start == pytest.approx(share * (limit["x"] - start), abs=1.5)
        picture = np.array(Image.open(io.BytesIO(plot.screenshot())).convert("RGB"))
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3


@pytest_browser
def test_the_keyboard_reaches_everything(visit):
    opened = visit(1400)
    focused = "document.activeElement"
    opened.keyboard.press("Tab")
    assert opened.evaluate(f"{focused}.className") == "skip"
    assert opened.locator(".skip").bounding_box()["x"] >= 0
    opened.keyboard.press("Enter")
    assert opened.url.endswith("#claims")
    opened.keyboard.press("Tab")
    assert opened.evaluate(f"{focused}.closest('article').id") == everything_first()
    style = opened.evaluate(f"(s => [s.outlineStyle, s.outlineWidth])(getComputedStyle({focused}))")
    assert style[0] == "solid"
    assert float(style[1].removesuffix("px")) >= 2

    opened.goto(opened.url.split("#")[0])
    order = []
    for _ in range(60):
        opened.keyboard.press("Tab")
        order.append(
            opened.evaluate(f"[{focused}.tagName, {focused}.id, {focused}.getAttribute('href')]")
        )
    links = [href for tag, _, href in order if tag == "A" and href]
    claims = opened.locator(".overview li a").evaluate_all(
        "all => all.map(one => one.getAttribute('href'))"
    )
    assert [link for link in links if link in claims][: len(claims)] == claims
    assert ["INPUT", "show-all", None] in order
    assert any(tag == "SUMMARY" for tag, _, _ in order)

    summary = opened.locator("article summary").first
    summary.focus()
    opened.keyboard.press("Enter")
    assert summary.evaluate("one => one.parentElement.open")


def everything_first():
    """Id of the first claim on the page."""
    return re.search(r'<article id="([\w-]+)"', as_html(everything()))[1]


@pytest_browser
@pytest.mark.parametrize("verdict", list(Verdict))
def test_verdicts_are_filtered_by_the_keyboard(visit, verdict):
    opened = visit(800)
    opened.locator("#show-all").focus()
    for _ in range(1 + list(Verdict).index(verdict)):
        opened.keyboard.press("ArrowRight")
    assert opened.is_checked(f"#show-{verdict}")
    wanted = {f.claim for f in everything().findings if f.verdict is verdict}
    for where in ("article", ".overview li"):
        shown = opened.locator(where).evaluate_all(
            """all => all.filter(one => one.checkVisibility())
                .map(one => one.id || one.querySelector('a').textContent)"""
        )
        assert set(shown) == wanted


@pytest_browser
def test_a_screen_reader_finds_names_and_numbers(visit, file):
    opened = visit(390)
    opened.check("#show-numbers")
    table = opened.locator("#dense-rate table").first
    tree = table.aria_snapshot()
    assert "rowheader" in tree
    f = next(f for f in everything().findings if f.claim == "dense-rate")
    assert f.instance in tree
    assert "confirmed" in tree
    assert "0.6000" in tree
    assert 'img "flat: mean 0.6000, interval 0.5500 … 0.7000, limit ≤ 0.8000' in tree


def test_a_missing_browser_is_an_error_with_advice(monkeypatch, tmp_path):
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match="make browser"):
        find()


def test_one_finding_without_observations_is_a_row_without_a_mark():
    report = every_claim()
    report.findings = [finding("lloyd-monotone", verdict=Verdict.UNDECIDED)]
    assert 'class="mark"' not in as_html(report)
