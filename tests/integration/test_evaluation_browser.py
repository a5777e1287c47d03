"""The report in a real browser: silent, offline, and never wider than the screen."""

import pytest
from factories.chromium import Page, chromium, find_chromium
from factories.results import make_quick_results, make_results

from llmrec.evaluation.report.render import render_html

LONG = "Uncommonly" * 12
#: Elements that stick out of the page although no scrolling box holds them.
OVERFLOW = """
[...document.querySelectorAll('main *, nav *')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > WIDTH + 1 && !e.closest('.scroll, pre, details:not([open]), .skip');
}).map(e => e.outerHTML.slice(0, 120))
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if find_chromium() is None:
        pytest.skip("no Chromium, so no report was looked at in a browser: apt-get install chromium")
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_html(make_results()), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [360, 390, 768, 1280, 1920])
@pytest.mark.parametrize("dark", [False, True])
def test_no_sideways_scroll_no_complaint_no_request(page: Page, report, width, dark):
    page.show(report, width, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERFLOW.replace("WIDTH", str(width))) == []
    assert page.complaints() == []
    assert page.requests() == [report.absolute().as_uri()]


def test_open_details_and_long_names_do_not_widen_the_page(page: Page, tmp_path):
    results = make_results(LONG)
    results.protocols[0].models[0].label = LONG
    results.run.reproduce = f"python -m jobs.pipeline --config {LONG}.yaml"
    path = tmp_path / "long.html"
    path.write_text(render_html(results), encoding="utf-8")
    page.show(path, 360)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_script_in_a_name_does_not_run(page: Page, tmp_path):
    path = tmp_path / "attack.html"
    path.write_text(render_html(make_quick_results("<script>window.ran = 1</script>")), encoding="utf-8")
    page.show(path, 1280)
    assert page.evaluate("window.ran === undefined")
    assert "<script>window.ran = 1</script>" in page.evaluate("document.body.innerText")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(page: Page, report, dark):
    """WCAG 2.2 AA: 4.5 to 1 for text, over every element that holds some."""
    page.show(report, 1280, dark=dark)
    assert page.evaluate(CONTRAST) == []


def test_colours_follow_the_scheme_and_paper_is_light(page: Page, report):
    page.show(report, 1280, dark=False)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.show(report, 1280, dark=True)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.show(report, 800, dark=True, media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


CONTRAST = """
(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length > 3 ? m : [...m, 1]; };
  const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = e => { for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if (c.startsWith('rgb') && parse(c)[3] > .5) return parse(c);
    } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('main *, nav *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('svg, .skip') || !e.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) bad.push(`${e.outerHTML.slice(0, 100)} ${ratio.toFixed(2)}`);
  }
  return [...new Set(bad)];
})()
"""
