"""The page at `/` without a browser: what it shows, what it lets nobody see, and what it never runs."""

import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode

import pytest
from factories.serving import SMALL, Parts, make_parts
from starlette.testclient import TestClient

from llmrec.exposures import ExposureLog
from llmrec.reasons import Because
from serve_app.messages import ItemCard
from serve_app.middleware.keys import KeyRing, parse_keys
from serve_app.page.render import STATIC_FOLDER, PageView, because, page, terms
from serve_app.page.state import PageState

KEY = "0123456789abcdef"
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Seen(HTMLParser):
    """Titles of items, values of buttons, and hidden fields."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.buttons: list[str] = []
        self.hidden: list[tuple[str, str]] = []
        self.titles, self._in = list[str](), False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self._in = self._in or tag == "h3"
        if tag == "button":
            self.buttons.append(found["value"])
        if tag == "input" and found.get("type") == "hidden":
            self.hidden.append((found["name"], found["value"]))

    def handle_endtag(self, tag: str) -> None:
        self._in = self._in and tag != "h3"

    def handle_data(self, data: str) -> None:
        if self._in and data.strip() and not data.strip().isdigit():
            self.titles.append(data.strip())


def post(client: TestClient, *fields: tuple[str, str], **headers: str) -> Seen:
    answer = client.post("/page", content=urlencode(fields), headers=FORM | headers)
    assert answer.status_code == 200, answer.text
    return Seen(answer.text)


def test_the_empty_form_is_open_and_nothing_else_is_where_keys_are_set(parts: Parts) -> None:
    client = TestClient(parts.app(KeyRing(parse_keys(f"me read {KEY}", "here"))))
    form = client.get("/")
    assert form.status_code == 200 and 'id="key"' in form.text and 'name="key"' not in form.text
    assert "u1" not in form.text and "first" not in form.text
    assert client.post("/page", content="user_id=u1", headers=FORM).status_code == 401
    assert len(post(client, ("user_id", "u1"), authorization=f"Bearer {KEY}").titles) == 10
    assert client.get("/page/static/page.js").status_code == client.get("/page/static/page.css").status_code == 200
    assert client.get("/page/static/../page.py").status_code in (401, 404)


def test_the_list_is_recommends_with_its_reasons(client: TestClient) -> None:
    asked = client.post("/v1/recommend", json={"user_id": "u3", "reasons": True}).json()["items"]
    answer = client.post("/page", content="user_id=u3&act=ask", headers=FORM)
    assert Seen(answer.text).titles == [item["item_id"] for item in asked]
    assert "From what this user reviewed before." in answer.text
    for item in asked:
        for reason in item["reasons"]["because"]:
            assert reason["statement"] in answer.text.replace("&#34;", '"')
        assert f"{item['score'] - item['reasons']['baseline']:+.3f}" in answer.text


def test_the_list_without_words_stands_beside(client: TestClient) -> None:
    asked = client.post("/v1/recommend", json={"user_id": "u3", "reasons": True, "without_text": True}).json()
    ids = [item["item_id"] for item in asked["items"]]
    assert len(asked["without_text"]) == 10 and asked["without_text"] != ids
    answer = client.post("/page", content="user_id=u3&beside=1", headers=FORM).text
    side = re.findall(r"<li>(i[^<]*?) <span class=\"soft\">\(([^)]+)\)", answer)
    assert [title for title, _ in side] == asked["without_text"] and "checked" in answer
    for place, (title, said) in enumerate(side, 1):
        rank = ids.index(title) + 1 if title in ids else 0
        known = "the same place" if rank == place else f"with words: {rank}"
        assert said == (known if rank else "not in the list with words")
    assert "without-title" not in client.post("/page", content="user_id=u3", headers=FORM).text


def test_what_is_not_wanted_goes_at_once_and_can_be_taken_back(client: TestClient) -> None:
    first = post(client, ("user_id", "u3"))
    gone = first.titles[0]
    then = post(client, ("user_id", "u3"), ("act", f"exclude:{gone}"))
    assert gone not in then.titles and then.titles[:9] == first.titles[1:]
    assert then.hidden == [("excluded", gone)] and f"allow:{gone}" in then.buttons
    more = post(client, ("user_id", "u3"), *then.hidden, ("act", f"exclude:{then.titles[0]}"))
    assert {gone, then.titles[0]}.isdisjoint(more.titles) and len(more.hidden) == 2
    back = post(client, ("user_id", "u3"), *then.hidden, ("act", f"allow:{gone}"))
    assert back.titles == first.titles and back.hidden == []


def test_somebody_new_is_known_by_words_and_likes(client: TestClient) -> None:
    spoken = post(client, ("text", "a quiet drum"))
    assert post(client, ("text", "ein Bogen")).titles != spoken.titles
    liked = post(client, ("text", "a quiet drum"), ("act", f"like:{spoken.titles[0]}"))
    assert liked.hidden == [("liked", spoken.titles[0])] and spoken.titles[0] not in liked.titles
    assert not any(button.startswith("like:") for button in post(client, ("user_id", "u3")).buttons)


def test_more_like_this_is_similars(client: TestClient) -> None:
    near = client.get("/v1/items/i4/similar").json()["items"]
    shown = post(client, ("user_id", "u3"), ("act", "similar:i4"))
    assert shown.titles[:10] == [item["item_id"] for item in near] and len(shown.titles) == 20


def test_a_mistake_is_told_on_the_page(client: TestClient) -> None:
    for body in (urlencode({"text": "x" * 501}), urlencode({"user_id": "u" * 513}), "act=similar:nowhere"):
        answer = client.post("/page", content=body, headers=FORM)
        assert answer.status_code == 422 and 'role="alert"' in answer.text
    assert client.post("/page", content=b"\xff", headers=FORM).status_code == 400
    assert client.post("/page", content="&".join(["a=1"] * 3_000), headers=FORM).status_code == 400


@pytest.mark.parametrize("field", ["user_id", "text", "excluded", "liked"])
def test_nothing_from_outside_is_markup(client: TestClient, field: str) -> None:
    evil = '"><script>window.ran=1</script><img src=x onerror=alert(1)>'
    answer = client.post("/page", content=urlencode({field: evil}), headers=FORM)
    assert "<script>window" not in answer.text and "<img" not in answer.text
    assert "&lt;script&gt;" in answer.text


def test_a_title_is_no_markup_either() -> None:
    card = ItemCard("i1", "<b>bold</b>")
    assert because(Because("liked", "you liked i1", 1.0, "i1"), {"i1": card}) == "you liked <b>bold</b>"
    assert "<script>" not in page(PageView(PageState(user_id="<script>"), problem="<script>"))


def test_nothing_is_asked_of_another_host_and_nothing_inline_runs(client: TestClient) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", answer.text)
    files = [answer.text, *(path.read_text(encoding="utf-8") for path in STATIC_FOLDER.iterdir())]
    assert not any(re.search(r"https?://|url\(|@import|innerHTML|eval\(", text) for text in files)


def test_terms_are_the_largest_and_the_rest() -> None:
    found = terms({f"t_{n}": (-1.0) ** n * (10 - n) for n in range(9)})
    assert [name for name, *_ in found] == ["t 0", "t 1", "t 2", "t 3", "t 4", "t 5", "3 smaller terms"]
    assert found[0][1:] == (10.0, 100) and found[1][1:] == (-9.0, 90)
    assert sum(value for _, value, _ in found) == sum((-1.0) ** n * (10 - n) for n in range(9))


def test_the_form_holds_the_whole_state() -> None:
    state = PageState("u", "words", "", ("a", "b"), ("c",))
    assert PageState.parse(urlencode([("user_id", "u"), ("text", " words "), ("liked", "a"), ("liked", "b"),
                                      ("excluded", "c"), ("liked", "a"), ("act", "ask")]).encode()
                           ) == replace(state, act="ask")  # fmt: skip
    moved = PageState.parse(urlencode([("liked", "a"), ("act", "exclude:a")]).encode())
    assert (moved.liked, moved.excluded) == ((), ("a",))
    assert PageState.parse(b"liked=a&act=drop:a") == PageState(liked=("a",), act="drop")  # no act of ours


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A server whose items tell what they are."""
    return TestClient(make_parts(str(tmp_path_factory.mktemp("shop")), searchable=True, **SMALL).app())


def test_items_have_titles_and_what_else_is_known(shop: TestClient) -> None:
    answer = shop.post("/page", content="user_id=u3", headers=FORM).text
    assert all(re.fullmatch(r"\D+ 1\d\d", title) for title in Seen(answer).titles)
    assert "<span>Vohazi</span><span>kettle</span>" in answer and "The kettle by Vohazi." in answer
    had = set(re.findall(r"you (?:liked|had) ([^<]+)</li>", answer))
    assert had and all(re.fullmatch(r"\D+ 1\d\d", title) for title in had)


def test_a_search_finds_and_shows_what_matched(shop: TestClient) -> None:
    answer = shop.post("/page", content=urlencode({"query": "blue <tent>", "act": "search"}), headers=FORM).text
    found = shop.post("/v1/search", json={"text": "blue <tent>"}).json()["items"]
    titles = Seen(answer).titles
    assert titles[: len(found)] == [item["title"] for item in found] and "Blue Tent 101" in titles
    assert "title: <q>Blue Tent 101</q>" in answer and "Found for “blue &lt;tent&gt;”" in answer
    gone = urlencode({"query": "blue tent", "act": f"exclude:{found[0]['item_id']}"})
    assert found[0]["title"] not in Seen(shop.post("/page", content=gone, headers=FORM).text).titles
    assert "Found for" not in shop.post("/page", content="query=tent&act=ask", headers=FORM).text


def test_where_nothing_can_be_searched_the_page_says_so(client: TestClient) -> None:
    answer = client.post("/page", content="query=tent&act=search", headers=FORM)
    assert answer.status_code == 422 and "no search index" in answer.text


def test_a_need_quotes_the_items_own_words(shop: TestClient) -> None:
    asked = {"user_id": "u3", "text": "a quiet kettle", "need": 0.8, "reasons": True}
    items = shop.post("/v1/recommend", json=asked).json()["items"]
    said = {b["quote"] for item in items for b in item["reasons"]["because"] if b["kind"] == "asked"}
    assert any(quote and re.fullmatch(r"Quiet Kettle 1\d\d", quote) for quote in said)
    for item in items:
        total = sum(item["reasons"]["contributions"].values())
        assert total == pytest.approx(item["score"] - item["reasons"]["baseline"], abs=2e-3)


def test_a_list_of_the_page_is_logged_and_takes_part_in_experiments(tmp_path: Path) -> None:
    parts = make_parts(str(tmp_path), **SMALL, live={"enabled": True}, exposures={"enabled": True, "flush_ms": 1},
                       experiments={"try": {"arms": {"a": {}, "b": {}}}})  # fmt: skip
    with TestClient(parts.app()) as client:
        shown = post(client, ("user_id", "u3"), ("act", "ask")).titles
        log, deadline = ExposureLog(parts.exposures), time.monotonic() + 20
        while not (lists := list(log.lists())):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert len(lists) == 1 and lists[0][1].experiment == "try" and lists[0][1].user == "u3"
    assert len(lists[0][1].items) == len(shown)
