"""A complete `Results` with invented figures. None of them was measured; they only exercise the report."""

from typing import Literal

from llmrec.evaluation.records.estimates import Comparison, Estimate, Point, Verdict
from llmrec.evaluation.records.families import (
    FamilyEffect,
    FamilyStudy,
    FamilyWeight,
    FusionWeights,
    Interaction,
    SelectionCurve,
)
from llmrec.evaluation.records.results import ControlResult, Headline, LeakGap, Results, TrainingCurve
from llmrec.evaluation.records.run import Portrait, RunFacts
from llmrec.evaluation.records.tables import CalibrationBin, LabelTable, ModelKind, ModelResult, Protocol, Slice
from llmrec.evaluation.records.tuned import TunedEncoder, TuningStudy
from llmrec.evaluation.report.format import MINUS, NBSP

DAY = 86_400_000
START = 1_100_000_000_000

#: name, label, kind, invented NDCG@10, share of the catalogue recommended
MODELS: list[tuple[str, str, ModelKind, float, float]] = [
    ("text", "llmrec, with text", "ours", 0.0631, 0.62),
    ("no_text", "llmrec, without text", "ours", 0.0557, 0.41),
    ("popularity", "Popularity, all time", "baseline", 0.0472, 0.04),
    ("popularity_decayed", "Popularity, decayed", "baseline", 0.0561, 0.06),
    ("item_knn", "Item-kNN, cosine", "baseline", 0.0412, 0.71),
    ("ease", "EASE", "baseline", 0.0463, 0.48),
    ("ials", "iALS", "baseline", 0.0458, 0.55),
    ("boosted", "Boosted ranker, same features", "baseline", 0.0518, 0.38),
    ("random_vectors", "Text replaced by random vectors", "control", 0.0549, 0.43),
    ("shuffled_text", "Text shuffled between reviews", "control", 0.0552, 0.42),
]


def estimate(value: float, half: float = 0.0085) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half, n=412, se=half / 1.96)


def comparison(
    model: str = "text", against: str = "no_text", difference: float = 0.0074, half: float = 0.0048,
    base: float = 0.0557, metric: str = "ndcg@10",
) -> Comparison:  # fmt: skip
    verdict: Verdict = "better" if difference > half else "worse" if difference < -half else "cannot tell"
    return Comparison(
        model=model, against=against, metric=metric, difference=estimate(difference, half),
        ratio=estimate(difference / base, half / base), p_value=0.004, p_adjusted=0.012, n_comparisons=9,
        smallest_detectable=half * 1.43, verdict=verdict,
    )  # fmt: skip


def model(name: str, label: str, kind: ModelKind, ndcg: float, coverage: float) -> ModelResult:
    metrics = {
        "ndcg@10": estimate(ndcg), "recall@10": estimate(ndcg * 1.93, 0.016), "recall@50": estimate(ndcg * 5.2, 0.026),
        "mrr@10": estimate(ndcg * 0.62, 0.006), "coverage@10": Estimate(value=coverage),
        "gini@10": Estimate(value=1 - coverage / 1.2), "novelty@10": Estimate(value=7 + 5 * coverage),
    }  # fmt: skip
    curve = [Point(x=k, y=ndcg * 1.93 * (k / 10) ** 0.62) for k in (1, 2, 5, 10, 20, 50, 100)]
    return ModelResult(
        name=name, label=label, kind=kind, metrics=metrics, recall_over_k=curve, seeds=3, fit_seconds=12.5,
        trials=20 if kind == "baseline" else None, settings={"regularisation": 250} if name == "ease" else {},
        fallback="popularity, decayed" if kind == "baseline" else "",
    )  # fmt: skip


def slices() -> list[Slice]:
    levels = {
        "history length": {"0": 138, "1": 97, "2–4": 301, "5–9": 288, "10+": 208},
        "item": {"new": 61, "head": 540, "tail": 431},
    }
    found = []
    for by, sizes in levels.items():
        for index, (level, n) in enumerate(sizes.items()):
            gain = 0.021 - 0.005 * index
            found.append(
                Slice(
                    by=by, level=level, n=n, comparisons=[comparison(difference=gain, half=0.0125)],
                    models={
                        "text": {"ndcg@10": estimate(0.05 + gain, 0.018)},
                        "no_text": {"ndcg@10": estimate(0.05, 0.017)},
                        "popularity_decayed": {"ndcg@10": estimate(0.048, 0.016)},
                    },
                )
            )  # fmt: skip
    return found


def temporal() -> Protocol:
    against = [("popularity_decayed", 0.0070, 0.0561), ("ease", 0.0168, 0.0463), ("boosted", 0.0113, 0.0518)]
    return Protocol(
        name="temporal", information_set="point_in_time",
        description="Each event at or after T2 is a query at its own time; everything strictly before it may be used.",
        history="Validation rows and everybody's events before the query are in the history.",
        refit="Settings were chosen on [T1, T2); parameters were fitted once on everything before T2 and stay frozen.",
        candidates="Items known before the query, less those the user already had.",
        n_queries=1032, n_users=412, n_items=897, n_missed=11, t1=START + 3000 * DAY, t2=START + 3300 * DAY,
        models=[model(*m) for m in MODELS],
        comparisons=[comparison(), *(comparison("text", a, d, 0.0081, b) for a, d, b in against)],
        slices=slices(),
    )  # fmt: skip


def leave_last_out() -> Protocol:
    return Protocol(
        name="leave_last_out", information_set="transductive",
        description="The last event of each user is the query; fitted on all other rows whatever their time.",
        n_queries=1429, models=[model(n, t, k, v * 1.4, c) for n, t, k, v, c in MODELS if k != "control"],
    )  # fmt: skip


def clicks() -> LabelTable:
    models = []
    for (name, label, kind, _, _), auc in zip(MODELS[:3], (0.742, 0.728, 0.671), strict=True):
        bins = [
            CalibrationBin(predicted=p, observed=q + 0.01, n=400)
            for p in (0.05, 0.15, 0.25, 0.35, 0.5, 0.65, 0.8)
            for q in [p**1.15 + (auc - 0.742) * p]
        ]  # fmt: skip
        metrics = {"auc": estimate(auc, 0.011), "gauc": estimate(auc - 0.04, 0.013), "log_loss": estimate(0.49, 0.01),
                   "ece": Estimate(value=0.021)}  # fmt: skip
        models.append(ModelResult(name=name, label=label, kind=kind, metrics=metrics, calibration=bins))
    return LabelTable(
        name="clicks", label="click", information_set="point_in_time", n_rows=5160, n_users=412, positive_share=0.2,
        description="Each review at or after T2 with four negatives drawn by popularity as of its time.",
        models=models, comparisons=[comparison(difference=0.014, half=0.006, base=0.728, metric="auc")],
    )  # fmt: skip


def stars() -> LabelTable:
    rows = [("bias", "User + item bias", 0.861), ("mf_text", "Matrix factorisation with text", 0.858)]
    models = [
        ModelResult(name=name, label=label, kind="baseline", metrics={"rmse": estimate(rmse, 0.03)})
        for name, label, rmse in rows
    ]
    return LabelTable(
        name="stars", label="stars", information_set="point_in_time", n_rows=1032, models=models,
        description="The stars of each review at or after T2, from what was known before it.",
        comparisons=[comparison("mf_text", "bias", -0.003, 0.009, 0.861, metric="rmse")],
    )  # fmt: skip


def families() -> FamilyStudy:
    rows = [("text profile", 0.0043), ("text match", 0.0029), ("popularity", 0.0121), ("collaborative", 0.0018),
            ("ratings", -0.0007), ("recency", 0.0052)]  # fmt: skip
    return FamilyStudy(
        table="temporal", model="text", metric="ndcg@10", full=estimate(0.0631),
        families=[
            FamilyEffect(family=f, n_columns=8, alone=estimate(0.03 + d), contribution=estimate(d, 0.0031))
            for f, d in rows
        ],
        interactions=[Interaction(first="text match", second="recency", effect=estimate(0.0021, 0.0027))],
        description="A stand-in, fitted before T1.", budget=8, kept_by="f_score",
        curves=[
            SelectionCurve(method=m, points=[Point(x=k, y=0.05 + k / 8000, low=0.04, high=0.08) for k in (4, 8, 48)])
            for m in ("f_score", "gradient_boosting")
        ],
        kept={"text match": ["match_0", "match_1"], "recency": ["recency_days"]},
    )  # fmt: skip


def family_weights() -> list[FusionWeights]:
    shares: dict[str, list[tuple[Literal["user", "item"], str, float]]] = {
        "text": [("user", "text profile", 0.61), ("user", "recency", 0.39),
                 ("item", "popularity", 0.48), ("item", "text match", 0.31), ("item", "ratings", 0.21)],
        "no_text": [("user", "recency", 0.72), ("user", "context", 0.28),
                     ("item", "popularity", 0.7), ("item", "ratings", 0.3)],
    }  # fmt: skip
    return [
        FusionWeights(variant=variant, fusion="attention", n_clicks=1032, families=[
            FamilyWeight(side=side, family=family, mean=mean, q05=mean * 0.62, q95=mean**0.8)
            for side, family, mean in rows
        ])
        for variant, rows in shares.items()
    ]  # fmt: skip


def tuning() -> TuningStudy:
    """The encoder as it came, on few pairs, and on all."""
    found = (("frozen", None, 0, 0.031), ("100_pairs", 100, 40, 0.036), ("tuned", 5_200, 120, 0.052))
    return TuningStudy(
        learned="contrastive × 1; lora", n_queries={"every": 500, "new": 80},
        encoders=[TunedEncoder(name=name, pairs=pairs, steps=steps,
                               ndcg={"every": estimate(ndcg), "new": estimate(4 * ndcg, 0.04)})
                  for name, pairs, steps, ndcg in found],
        comparisons={"every": [comparison("100_pairs", "frozen", 0.005), comparison("tuned", "frozen", 0.021)],
                     "new": [comparison("tuned", "frozen", 0.084)]},
        losses=[Point(x=40 * n, y=4.2 - 0.3 * n) for n in range(1, 4)],
        validation=[Point(x=40 * n, y=0.03 + 0.008 * n) for n in range(4)],
    )  # fmt: skip


def portrait(name: str) -> Portrait:
    return Portrait(
        name=name, n_reviews=10261, n_users=1429, n_items=900, first=START, last=START + 3600 * DAY,
        languages={"en": 0.981, "es": 0.012, "de": 0.004, "zh": 0.003},
        stars={"1": 217, "2": 250, "3": 772, "4": 2084, "5": 6938}, tied_share=0.31, tied_users=631, duplicates=3,
        sparsity=0.992, empty_texts=7, median_per_user=6, median_per_item=8,
        quarantined={"malformed_json": 2, "stars_out_of_range": 1}, unknown_token_share=0.002,
        encoder="all-MiniLM-L6-v2 (vLLM, bfloat16, mean pooling)", encoder_seconds_per_1000=2.4,
        notes=["The 5-core was cut with the future in view."],
    )  # fmt: skip


def run() -> RunFacts:
    return RunFacts(
        name="fixture", id="0123456789abcdef", code_version="fixturefixtu", seeds=[7, 8, 9], size="full",
        machine="2 cores, 8 GiB", packages={"ray": "2.60.0", "vllm": "0.32.0"}, created=START + 3700 * DAY,
        seconds=512.0,
        stage_seconds={"corpus": 4.1, "embeddings": 61.0, "examples": 12.0, "models": 96.0, "report": 338.0},
        reproduce="python -m jobs.pipeline --config configs/fixture.yaml", corpus_id="c0", bundle_id="b0",
        config={"seed": 7, "evaluation": {"primary_metric": "ndcg@10", "size": "full"}}, bootstrap=1000,
        primary_metric="ndcg@10",
    )  # fmt: skip


def make_results(name: str = "Invented Instruments (fixture)", headline: Comparison | None = None) -> Results:
    """Everything a full run can hold; `headline` replaces the comparison of text with no text."""
    epochs = [Point(x=e, y=0.7 - 0.05 * e**0.5) for e in range(1, 13)]
    return Results(
        run=run(), portrait=portrait(name), protocols=[temporal(), leave_last_out()], labels=[clicks(), stars()],
        headline=Headline(protocol="temporal", comparison=headline or comparison(), encoder_seconds_per_1000=2.4),
        families=[families()], family_weights=family_weights(),
        controls=[
            ControlResult(name="random_vectors", table="temporal",
                          comparison=comparison("text", "random_vectors", 0.0082),
                          description="Every text vector replaced by a random one of the same length."),
            ControlResult(name="shuffled_text", table="temporal",
                          comparison=comparison("text", "shuffled_text", 0.0041),
                          description="Each review carries the text of another."),
        ],
        leak_gaps=[
            LeakGap(table="stars", model="mf_text", metric="rmse", put_back="both", clean=estimate(0.858, 0.03),
                    leaked=estimate(0.702, 0.03), gap=estimate(-0.156, 0.012)),
            LeakGap(table="temporal", model="text", metric="ndcg@10", put_back="item side", clean=estimate(0.0631),
                    leaked=estimate(0.118), gap=estimate(0.0549, 0.006), existence_leak=True),
        ],
        training_curves=[
            *(
                TrainingCurve(model="two_tower", variant=variant, metric="loss", split=split,
                              points=[Point(x=p.x, y=p.y + offset) for p in epochs])
                for variant, split, offset in (("text", "train", 0.0), ("text", "validation", 0.02),
                                           ("no_text", "train", 0.03), ("no_text", "validation", 0.06))
            ),
            TrainingCurve(model="ranker", metric="auc", points=[Point(x=e, y=0.74 - 0.1 / e) for e in range(1, 7)]),
        ],
        tuning=tuning(),
    )  # fmt: skip


def make_quick_results(name: str = "Invented Instruments (fixture)") -> Results:
    """The least a run can leave: no intervals, no headline."""
    protocol = Protocol(
        name="temporal", information_set="point_in_time", description="As in the fixture.", n_queries=5,
        models=[ModelResult(name="popularity", kind="baseline", metrics={"ndcg@10": Estimate(value=0.05)})],
    )  # fmt: skip
    small = Portrait(name=name, n_reviews=5, n_users=2, n_items=3)
    return Results(run=RunFacts(name="quick", id="q0"), portrait=small, protocols=[protocol])


def plain(text: str) -> str:
    """With an ordinary minus and ordinary spaces."""
    return text.replace(NBSP, " ").replace(MINUS, "-")
