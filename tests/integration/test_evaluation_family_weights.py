"""What learned fusions say of feature families: the table, its figures in `results.json`, and the page."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from factories.features import World
from factories.training import examples as made_examples
from factories.training import tiny_config

from llmrec.bundle import Bundle, assemble
from llmrec.config import RunConfig
from llmrec.evaluation import evaluate
from llmrec.evaluation.ablation import family_weights
from llmrec.evaluation.records.families import FusionWeights
from llmrec.evaluation.records.results import Results
from llmrec.evaluation.report.format import count
from llmrec.models.networks.fusion import FusionName
from llmrec.schema import FAMILY_WEIGHTS
from llmrec.schema import Column as C
from llmrec.storage import Artifact, Storage
from llmrec.training import train

#: Of the variants in one report; a run has one fusion, but a report shows whatever bundles it is given.
REPORTS: tuple[dict[str, FusionName], ...] = (
    {"text": "weighted_sum", "no_text": "attention"},
    {"text": "gated"},
    {"text": "concat", "no_text": "mean"},
)


@dataclass(frozen=True)
class Made:
    """A small world's examples and, for each variant's fusion, a bundle and the report that it is in."""

    storage: Storage
    examples: Artifact
    bundles: dict[tuple[str, str], Artifact]
    reports: dict[tuple[str, str], Artifact]

    @property
    def clicks(self) -> pd.DataFrame:
        """The test's clicks in the order of the examples' files."""
        found: pd.DataFrame = self.examples.table("examples").to_pandas()
        return found[(found.split == "test") & (found.click == 1)].reset_index(drop=True)

    def table(self, variant: str, fusion: str) -> pd.DataFrame:
        found: pd.DataFrame = pd.read_parquet(self.reports[variant, fusion].uri(f"family_weights/{variant}.parquet"))
        return found

    def entry(self, variant: str, fusion: str) -> FusionWeights | None:
        entries = results(self.reports[variant, fusion]).family_weights
        return next((f for f in entries if f.variant == variant), None)

    def families(self, variant: str, fusion: str) -> dict[str, list[str]]:
        columns = Bundle.load(self.bundles[variant, fusion].root).context.columns
        return {side: list(dict.fromkeys(c.family for c in columns[side])) for side in ("user", "item")}


def results(report: Artifact) -> Results:
    return Results.model_validate(report.json("results.json"))


def config_of(fusion: FusionName) -> RunConfig:
    towers = {"dim": 8, "hidden": (), "epochs": 2, "batch_size": 32, "sampled_negatives": 16, "fusion": fusion}
    config = tiny_config(retrievers={"two_tower": towers})
    asked = {"protocols": ("temporal",), "baselines": (), "cutoffs": (5,), "list_length": 10, "retrieve": 10,
             "primary_metric": "ndcg@5", "bootstrap": 20}  # fmt: skip
    return config.model_copy(update={"evaluation": config.evaluation.model_copy(update=asked)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    storage, world = Storage(str(tmp_path_factory.mktemp("weights"))), World.random()
    world = replace(world, reviews=[r | {C.STARS: None} for r in world.reviews])  # clicks alone: the quickest report
    corpus, _ = world.stored(storage)
    validation, test = made_examples(storage, world, "validation"), made_examples(storage, world, "test")
    bundles, reports = {}, {}
    for fusions in REPORTS:
        of_report: dict[str, Artifact] = {}
        for variant, fusion in fusions.items():
            config = config_of(fusion)
            models = train(config, storage, validation, test, [variant])[variant]
            of_report[variant] = bundles[variant, fusion] = assemble(config, storage, test, models)
        report = evaluate(config_of(fusions["text"]), storage, corpus, None, of_report)
        reports |= dict.fromkeys(fusions.items(), report)
    return Made(storage, test, bundles, reports)


LEARNED = [("no_text", "attention"), ("text", "weighted_sum"), ("text", "gated")]


@pytest.mark.parametrize(("variant", "fusion"), LEARNED)
def test_every_click_has_each_family_of_both_towers_once(made: Made, variant: str, fusion: str) -> None:
    table, clicks, families = made.table(variant, fusion), made.clicks, made.families(variant, fusion)
    owners = [(side, family) for side, names in families.items() for family in names]
    assert len(table) == len(clicks) * len(owners) > 100 and len(families["user"]) > 1 < len(families["item"])
    assert list(zip(table.side, table.family, strict=True)) == owners * len(clicks)
    once = table.iloc[:: len(owners)].reset_index(drop=True)
    for column in ("query_id", "user_id", "item_id", "timestamp"):
        assert (once[column].astype(clicks[column].dtype) == clicks[column]).all(), column
        per_click = table[column].to_numpy().reshape(len(clicks), len(owners))
        assert (per_click == once[column].to_numpy()[:, None]).all(), column


@pytest.mark.parametrize(("variant", "fusion"), LEARNED)
def test_a_tower_shares_out_one(made: Made, variant: str, fusion: str) -> None:
    table = made.table(variant, fusion)
    assert table.weight.dtype == np.float32 and table.weight.between(0, 1).all()
    sums = table.groupby(["query_id", "side"], observed=True).weight.sum()
    assert len(sums) == 2 * len(made.clicks) and np.allclose(sums, 1, atol=1e-5)


@pytest.mark.parametrize(("variant", "fusion"), LEARNED)
def test_weights_are_those_that_the_served_towers_use(made: Made, variant: str, fusion: str) -> None:
    """Put into the fusion by hand, they give what the tower itself computes from the same features."""
    bundle, clicks = Bundle.load(made.bundles[variant, fusion].root), made.clicks
    chosen, net = bundle.context.selection, bundle.models.retrievers["two_tower"].net  # type: ignore[attr-defined]
    sides = (("user", net.user_tower, chosen.user), ("item", net.item_tower, chosen.item))
    for side, tower, columns in sides:
        features = torch.from_numpy(np.stack(clicks[f"{side}_features"])[:, columns])
        mine = made.table(variant, fusion).query("side == @side").weight.to_numpy(copy=True).reshape(len(clicks), -1)
        projected = tower.fusion.projected(features)  # type: ignore[operator]
        if fusion == "gated":
            gates = torch.sigmoid(tower.fusion.gate(projected.flatten(1))).view_as(projected).mean(-1)  # type: ignore[operator]
            expected = (gates / gates.sum(1, keepdim=True)).detach().numpy()
            assert np.allclose(mine, expected, atol=1e-6)
        else:
            by_hand = (torch.from_numpy(mine)[:, :, None] * projected).sum(1)
            assert torch.allclose(by_hand, tower.fusion(features), atol=1e-5)


@pytest.mark.parametrize(("fusion", "differs"), [("attention", True), ("gated", True), ("weighted_sum", False)])
def test_weights_differ_between_examples_where_the_fusion_looks_at_them(made: Made, fusion: str, differs: bool) -> None:
    variant = "no_text" if fusion == "attention" else "text"
    spread = made.table(variant, fusion).groupby(["side", "family"], observed=True).weight.agg(np.ptp)
    assert (spread > 1e-4).all() if differs else (spread == 0).all()


@pytest.mark.parametrize(("variant", "fusion"), LEARNED)
def test_the_figures_follow_from_the_table(made: Made, variant: str, fusion: str) -> None:
    entry, table = made.entry(variant, fusion), made.table(variant, fusion)
    assert entry is not None and (entry.fusion, entry.n_clicks) == (fusion, len(made.clicks))
    groups = dict(iter(table.groupby(["side", "family"], observed=True).weight))
    assert sorted(groups) == sorted((f.side, f.family) for f in entry.families)
    for f in entry.families:
        weights = groups[f.side, f.family].to_numpy(np.float64)
        expected = np.quantile(weights, [0.05, 0.95], method="inverted_cdf")
        assert f.mean == pytest.approx(weights.mean(), abs=1e-9)
        assert (f.q05, f.q95) == pytest.approx(tuple(expected), abs=1e-5)


@pytest.mark.parametrize(("variant", "fusion"), [("text", "concat"), ("no_text", "mean")])
def test_a_fusion_that_learns_no_weights_leaves_no_file(made: Made, variant: str, fusion: str) -> None:
    assert made.entry(variant, fusion) is None
    assert made.reports[variant, fusion].uri("report.html")
    with pytest.raises(FileNotFoundError, match=f"no file 'family_weights/{variant}.parquet'"):
        made.reports[variant, fusion].uri(f"family_weights/{variant}.parquet")


def test_the_page_names_families_and_fusion(made: Made) -> None:
    pages = {k: Path(r.uri("report.html")).read_text(encoding="utf-8") for k, r in made.reports.items()}
    page = pages["no_text", "attention"]
    for text in ("What the towers listen to", "User tower", "Item tower", "Attention:", "A weighted sum:",
                 f"mean over {count(len(made.clicks))} clicks", 'href="#families"'):  # fmt: skip
        assert text in page, text
    for names in made.families("text", "weighted_sum").values():
        assert names and all(f"<bdi>{name}</bdi>" in page for name in names)
    assert "Gated:" in pages["text", "gated"] and "Attention:" not in pages["text", "gated"]
    plain = pages["text", "concat"]
    assert "What the towers listen to" not in plain and 'id="families"' not in plain


def test_the_file_reads_as_its_schema_says_in_pieces_or_whole(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family_weights, "_ROWS", 16)
    uri = str(tmp_path / "pieces.parquet")
    entry = family_weights.family_weights(Bundle.load(made.bundles["no_text", "attention"].root), made.examples, uri)
    whole = made.table("no_text", "attention")
    assert pq.ParquetFile(uri).metadata.num_row_groups > 2
    assert pq.read_schema(uri).equals(FAMILY_WEIGHTS)
    pieces = pd.read_parquet(uri)
    assert isinstance(pieces.family.dtype, pd.CategoricalDtype)
    same = [c for c in whole if c != "weight"]
    pd.testing.assert_frame_equal(pieces[same].astype(str), whole[same].astype(str))
    assert np.allclose(pieces.weight, whole.weight, atol=1e-6)
    both = made.entry("no_text", "attention")
    assert entry is not None and both is not None and entry.n_clicks == both.n_clicks
    assert [f.mean for f in entry.families] == pytest.approx([f.mean for f in both.families], abs=1e-6)
