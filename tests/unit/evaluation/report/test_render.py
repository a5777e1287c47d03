"""The report shows what the run has, escapes what it was given, and asks for nothing."""

import re
from html.parser import HTMLParser

import pytest
from factories.results import make_quick_results, make_results

from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.render import render_html, render_model_card, write_report

ATTACK = "<script>alert('x')</script><img src=x onerror=alert(1)>\"'{{ 7 * 7 }}"


class Document(HTMLParser):
    """Tags, attributes and text of a page; raises where tags do not nest."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]} at {self.getpos()}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def attacked(results: Results) -> Results:
    """Every free text of the run replaced by an attack; names that refer to each other stay in step."""
    keep = {"information_set", "kind", "label", "metric", "model", "against", "name", "table", "protocol", "verdict",
            "split", "put_back", "primary_metric", "side", "fusion"}  # fmt: skip

    def spoil(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {k: spoil(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [spoil(v, key) for v in value]
        return ATTACK if isinstance(value, str) and key not in keep else value

    data = spoil(results.model_dump())
    assert isinstance(data, dict)
    for model in data["protocols"][0]["models"]:
        model["label"] = ATTACK + model["name"]
    data["portrait"]["name"] = data["run"]["name"] = ATTACK
    data["portrait"]["languages"] = {ATTACK: 1.0}
    data["portrait"]["quarantined"] = {ATTACK: 1}
    return Results.model_validate(data)


@pytest.mark.parametrize("make", [make_results, make_quick_results])
def test_the_page_is_well_formed_and_labelled(make):
    page = Document(render_html(make()))
    assert len(page.all("h1")) == 1
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    links = [a["href"] for a in page.all("a")]
    assert all(href and href.startswith("#") and href[1:] in ids for href in links)
    assert all(a.get("scope") in ("row", "col") for a in page.all("th"))
    assert all(a.get("aria-hidden") == "true" or a.get("aria-label") for a in page.all("svg"))


@pytest.mark.parametrize("make", [make_results, make_quick_results])
def test_the_page_asks_for_nothing(make):
    html = render_html(make())
    page = Document(html)
    assert not page.all("script") and not page.all("iframe") and not page.all("img")
    assert [a["href"] for a in page.all("link")] == ["data:,"]
    assert not re.search(r"url\(|@import|https?://", html)
    policy = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy and policy[0] is not None and policy[0].startswith("default-src 'none'")


def test_text_from_outside_stays_text():
    page = Document(render_html(attacked(make_results())))
    assert not page.all("script") and not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.text.count(ATTACK) > 20


def test_full_run_shows_every_section():
    page = Document(render_html(make_results("Shop")))
    ids = {a["id"] for _, a in page.tags if a.get("id")}
    assert ids == {"verdict", "table-0", "table-1", "table-2", "table-3", "families", "controls", "tuning", "leak",
                   "training", "corpus", "reproduce", "reading"}  # fmt: skip
    for text in ("[+4.7\xa0%,\xa0+21.9\xa0%] on Shop", "existence leak", "python -m jobs.pipeline"):
        assert text in " ".join(page.text.split(" ")), text


def test_quick_run_shows_only_what_it_has():
    page = Document(render_html(make_quick_results()))
    ids = {a["id"] for _, a in page.tags if a.get("id")}
    assert ids == {"verdict", "table-0", "corpus", "reproduce", "reading"}
    for absent in ("quarantined", "outside the candidates", "Duplicates", "None", "nan"):
        assert absent not in page.text, absent


def test_every_figure_of_a_table_is_on_the_page():
    results = make_results()
    text = Document(render_html(results)).text
    for table in results.tables():
        for model in table.models:
            for estimate in model.metrics.values():
                assert f"{estimate.value:.4f}" in text or f"{estimate.value:.3f}" in text


def test_a_label_says_in_words_what_the_text_was_worth():
    text = Document(render_html(make_results())).text
    assert text.count("The text was worth +0.0140 AUC [+0.0080,") == 1  # clicks have both variants, stars do not


def table_after(text: str, start: str, end: str) -> str:
    return " ".join(text[text.index(start) : text.index(end)].split())


def test_weights_of_families_stand_side_by_side_by_tower():
    text = Document(render_html(make_results())).text
    assert "mean over 1,032 clicks of the test, and the middle 90 % of them" in text
    assert "Attention: each example weighs" in text
    user = table_after(text, "User tower", "Item tower")
    assert user.startswith("User towerwith textwithout text text profile 61.0 %37.8 % to"), user
    assert user.endswith("context ·28.0 %17.4 % to 36.1 % equal shares would be50.0 %50.0 %"), user
    item = table_after(text, "Item tower", "Is it the meaning")
    assert item.index("popularity") < item.index("text match") < item.index("ratings")
    assert "text match 31.0 %19.2 % to 39.2 %·" in item, item  # the variant without text does not have it


def test_variants_of_different_fusions_are_told_apart():
    results = make_results()
    gated = results.family_weights[1].model_copy(update={"fusion": "gated"})
    both = results.model_copy(update={"family_weights": [results.family_weights[0], gated]})
    text = Document(render_html(both)).text
    assert (
        "multiplies the family's projection. (with text)" in text and "share of all families'. (without text)" in text
    )


def test_weights_that_are_equal_for_all_examples_have_no_spread():
    results = make_results()
    equal = results.family_weights[0].model_copy(update={"fusion": "weighted_sum"})
    text = Document(render_html(results.model_copy(update={"family_weights": [equal], "families": []}))).text
    assert "the same for every example" in text and "middle 90" not in text
    user = table_after(text, "User tower", "Item tower")
    assert "text profile 61.0 % recency 39.0 %" in user, user


def test_point_in_time_stands_apart_and_first():
    results = make_results()
    results.protocols.reverse()
    page = Document(render_html(results))
    assert page.text.index("Ranking, by the clock") < page.text.index("Ranking, leave last out")
    tables = [a["aria-label"] or "" for a in page.all("div") if " and more of " in (a.get("aria-label") or "")]
    ranking = [
        f"{what} and more of {name}" for name in ("temporal", "leave_last_out") for what in ("NDCG@10", "Coverage@10")
    ]
    assert tables == [*ranking, "AUC and more of clicks", "RMSE and more of stars"]


def test_write_report_leaves_three_files(tmp_path):
    results = make_results()
    write_report(str(tmp_path), results)
    assert {p.name for p in tmp_path.iterdir()} == {"results.json", "report.html", "model_card.md"}
    assert Results.model_validate_json((tmp_path / "results.json").read_bytes()) == results
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_model_card_has_its_sections_and_tables():
    card = render_model_card(make_results())
    headings = re.findall(r"^## (.+)$", card, re.M)
    assert headings == ["What it is", "Data", "Features", "Training", "Metrics", "Limits"]
    for block in re.findall(r"(?:^\|.*\n)+", card, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
        assert re.fullmatch(r"(\|---)+\|", block.splitlines()[1])
    assert "licence of the data is for you to state" in card


def test_model_card_escapes_markup():
    card = render_model_card(attacked(make_results()))
    outside_code = re.sub(r"```.*?```|`[^`\n]*`", "", card, flags=re.S)
    assert "<script>" not in outside_code and "<img" not in outside_code
    assert render_model_card(make_quick_results()).count("**Not asked.**") == 1


def test_a_run_with_readings_links_to_their_page():
    results = make_results()
    linked = 'href="aspects.html"'
    assert linked not in render_html(results)
    seconds = results.run.stage_seconds | {"readings": 3.0}
    run = results.run.model_copy(update={"stage_seconds": seconds})
    assert linked in render_html(results.model_copy(update={"run": run}))
