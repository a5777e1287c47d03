"""The page in a real browser: usable, with a keyboard too, silent, offline, and nothing that axe-core finds."""

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from factories.chromium import Page, chromium, find_chromium
from factories.serving import NAME, Parts, make_parts

from jobs.serve import free_port
from llmrec.registry import current, publish
from serve_app.middleware.keys import KeyRing, parse_keys

AXE = Path(__file__).parent.parent / "fixtures/axe/axe.min.js"
KEY = "0123456789abcdef"
WORDS = "A small kettle. It must be <b>quiet</b>!"
TITLES = "[...document.querySelectorAll('#results > ol.cards h3')].map(h => h.lastChild.textContent.trim())"
AUDIT = """axe.run().then(found => found.violations.map(
  v => `${v.impact} ${v.id}: ${v.nodes.map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')}`))"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    if find_chromium() is None:
        pytest.skip("no Chromium, so the page was not looked at in a browser: apt-get install chromium")
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """Two bundles were published, an experiment runs, and somebody took something."""
    made = make_parts(
        str(tmp_path_factory.mktemp("page")), searchable=True, live={"enabled": True}, exposures={"enabled": True},
        experiments={"try": {"arms": {"plain": {}, "wordy": {"need": 1.0}}}},
    )  # fmt: skip
    second = made.storage.find("bundle", "second")
    assert second is not None
    publish(made.storage, second, NAME)
    return made


def serve(parts: Parts, keys: KeyRing | None) -> Iterator[str]:
    port = free_port("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(parts.app(keys), port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def url(parts: Parts) -> Iterator[str]:
    yield from serve(parts, None)


@pytest.fixture(scope="module")
def locked(parts: Parts) -> Iterator[str]:
    yield from serve(parts, KeyRing(parse_keys(f"me admin {KEY}", "here")))


def until(page: Page, told: str) -> None:
    """Wait until a JavaScript expression is true."""
    deadline = time.monotonic() + 20
    while not page.evaluate(f"Boolean({told})"):
        assert time.monotonic() < deadline, page.evaluate("document.body.innerText")
        time.sleep(0.02)


def press(page: Page, key: str, text: str = "") -> None:
    codes = {"Tab": 9, "Enter": 13}
    common = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key]}
    page.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
    page.call("Input.dispatchKeyEvent", type="keyUp", **common)


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until the focus is on what the selector names."""
    for _ in range(60):
        press(page, "Tab")
        if page.evaluate(f"document.activeElement?.matches({wanted!r})"):
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


def ask(page: Page, url: str, width: int = 1280, dark: bool = False, user: str = "u3") -> None:
    page.show(url, width, dark=dark)
    until(page, "document.getElementById('user')")
    page.evaluate(f"document.getElementById('user').value = {user!r}")
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.querySelectorAll('ol.cards > li').length === 10")


def search(page: Page, url: str, width: int = 1280, dark: bool = False) -> None:
    ask(page, url, width, dark)
    page.evaluate("document.getElementById('query').value = 'a quiet kettle'")
    page.evaluate("document.querySelector('button[value=search]').click()")
    until(page, "document.querySelector('#searched-title')")


def beside(page: Page, url: str, width: int = 1280, dark: bool = False) -> None:
    page.show(url, width, dark=dark)
    until(page, "document.getElementById('user')")
    page.evaluate("document.getElementById('user').value = 'u3'")
    page.evaluate("document.querySelector('input[name=beside]').click()")
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.getElementById('without-title')")


def operate(page: Page, url: str, width: int = 1280, dark: bool = False) -> None:
    ask(page, url, width, dark)
    page.show(f"{url}operator", width, dark=dark)
    until(page, "document.querySelector('table')")


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_found_by_axe_and_nothing_sticks_out(page: Page, url: str, width: int, dark: bool) -> None:
    for begin in (Page.show, ask, search, beside, operate):
        begin(page, url, width, dark=dark)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.evaluate(AXE.read_text(encoding="utf-8") + "; 1")
        assert page.evaluate(AUDIT) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints() == []
        assert {re.split("/page|/operator", request)[0].rstrip("/") for request in page.requests()} <= {
            url.rstrip("/"),
            "data:,",
        }


def test_the_keyboard_alone_asks_and_takes_an_item_out(page: Page, url: str) -> None:
    page.show(url, 1280)
    tab_to(page, "#user")
    page.call("Input.insertText", text="u5")
    tab_to(page, "button.main")
    press(page, "Enter", "\r")
    until(page, "document.querySelectorAll('ol.cards > li').length === 10")
    assert page.evaluate("document.activeElement.id") == "results"
    assert page.evaluate("document.getElementById('results').ariaLive") == "polite"
    before = page.evaluate(TITLES)
    tab_to(page, "ol.cards > li:nth-child(2) button[value^='exclude:']")
    press(page, "Enter", "\r")
    until(page, "document.querySelector('.chips')")
    assert page.evaluate(TITLES)[:9] == [before[0], *before[2:]]
    page.evaluate("document.querySelector('.chips button').click()")
    until(page, "!document.querySelector('.chips')")
    assert page.evaluate(TITLES) == before


def test_a_newcomers_words_are_quoted_and_more_like_one_is_shown(page: Page, url: str) -> None:
    page.show(url, 390)
    page.evaluate("document.getElementById('text').value = " + repr(WORDS))
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.querySelectorAll('ol.cards > li').length === 10")
    said = page.evaluate("[...document.querySelectorAll('.because')].map(e => e.innerText).join('\\n')")
    assert "you wrote “" in said and all(q in WORDS for q in re.findall("you wrote “([^”]+)”", said))
    page.evaluate("document.querySelector('button[value^=\"similar:\"]').click()")
    until(page, "document.getElementById('similar-title')")
    assert page.evaluate("document.querySelectorAll('ol.cards > li').length") == 20


def test_a_key_is_kept_in_the_tab_and_a_wrong_one_is_told(page: Page, locked: str) -> None:
    page.show(locked, 1280)
    page.evaluate("document.getElementById('key').value = 'not the right one'")
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.querySelector('[role=alert]')")
    assert "401" in page.evaluate("document.querySelector('[role=alert]').innerText")
    page.evaluate(f"document.getElementById('key').value = {KEY!r}")
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.querySelectorAll('ol.cards > li').length === 10")
    assert page.evaluate("document.getElementById('key').value") == KEY
    assert KEY not in page.evaluate("document.documentElement.outerHTML")
    assert not any(KEY in request for request in page.requests())


def test_an_operator_activates_a_bundle_by_the_keyboard_once_the_key_is_there(
    page: Page, locked: str, parts: Parts
) -> None:
    page.show(f"{locked}operator", 1280)
    assert "first" not in page.evaluate("document.querySelector('main').innerText")
    page.evaluate(f"document.getElementById('key').value = {KEY!r}")
    page.evaluate("document.querySelector('button.main').click()")
    until(page, "document.querySelector('table')")
    tab_to(page, "button[value='activate:first']")
    press(page, "Enter", "\r")
    until(page, "document.querySelector('.done')")
    assert page.evaluate("document.querySelector('[role=status]').innerText").startswith("CURRENT names bundle first")
    assert current(parts.storage, NAME)["id"] == "first"
    page.evaluate("document.querySelector('button[value=\"roll back\"]').click()")
    until(page, "document.querySelector('.done')?.innerText.includes('second')")
    assert current(parts.storage, NAME)["id"] == "second" and page.complaints() == []
