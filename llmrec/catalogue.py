"""Every model by role and name: one line each. A class is imported when it is named, not before."""

from importlib import import_module
from typing import Any, Literal, get_args

Role = Literal["retriever", "ranker", "blender", "calibrator", "rater"]
ROLES: tuple[Role, ...] = get_args(Role)

_ROOMS = ("retrievers", "rankers", "blenders", "calibrators", "raters")
_R, _K, _B, _C, _S = (f"llmrec.models.{room}" for room in _ROOMS)

#: Role -> name -> "module:Class". What a model is, its class says: `INFO`, and `Config`, its settings.
MODELS: dict[Role, dict[str, str]] = {
    "retriever": {
        "two_tower": f"{_R}.two_tower.retriever:TwoTowerRetriever",
        "sasrec": f"{_R}.sequential.sasrec:SasrecRetriever",
        "hstu": f"{_R}.sequential.hstu:HstuRetriever",
        "popularity": f"{_R}.popular.popularity:Popularity",
        "recent_popularity": f"{_R}.popular.popularity:RecentPopularity",
        "time_at_risk": f"{_R}.popular.time_at_risk:TimeAtRisk",
        "adaptive_popularity": f"{_R}.popular.adaptive_popularity:AdaptivePopularity",
        "item_knn": f"{_R}.item_knn:ItemKNN",
        "ease": f"{_R}.ease:EASE",
        "ials": f"{_R}.ials:IALS",
        "bpr": f"{_R}.bpr:BPR",
        "slim": f"{_R}.slim:SLIM",
        "ncf": f"{_R}.ncf:NCF",
        "boosted": f"{_R}.pointwise.boosted:Boosted",
        "boosted_text": f"{_R}.pointwise.boosted:BoostedText",
        "text_logistic": f"{_R}.pointwise.text_logistic:TextLogistic",
        "text_similarity": f"{_R}.text_similarity:TextSimilarity",
        "bm25": f"{_R}.words.bm25:BM25",
        "text_factorization": f"{_R}.text_factorization:TextFactorization",
    },
    "ranker": {
        "dcnv2": f"{_K}.dcnv2:DCNv2Ranker",
        "deepfm": f"{_K}.deepfm:DeepFMRanker",
        "fm": f"{_K}.fm:FMRanker",
        "autoint": f"{_K}.autoint:AutoIntRanker",
        "din": f"{_K}.din:DINRanker",
        "encoder_decoder": f"{_K}.encoder_decoder:EncoderDecoderRanker",
        "ncf": f"{_K}.ncf:NCFRanker",
        "shared_bottom": f"{_K}.multitask.shared_bottom:SharedBottomRanker",
        "mmoe": f"{_K}.multitask.mmoe:MMoERanker",
        "ple": f"{_K}.multitask.ple:PLERanker",
        "esmm": f"{_K}.multitask.esmm:ESMMRanker",
        "lambdarank": f"{_K}.trees.lambdarank:LambdaRank",
        "boosted": f"{_K}.trees.boosted:BoostedRanker",
        "listwise": f"{_K}.listwise.ranker:ListwiseRanker",
        "ensemble": f"{_K}.ensemble:EnsembleRanker",
        "distilled": f"{_K}.trees.distilled:DistilledRanker",
        "logistic": f"{_K}.logistic:LogisticRanker",
        "popularity": f"{_K}.logistic:PopularityRanker",
        "text_logistic": f"{_K}.logistic:TextLogisticRanker",
    },
    "blender": {
        "conditional_logit": f"{_B}.conditional_logit:ConditionalLogit",
        "prior_correction": f"{_B}.prior_correction:PriorCorrection",
    },
    "calibrator": {
        "none": f"{_C}.none:Uncalibrated",
        "temperature": f"{_C}.temperature:Temperature",
        "isotonic": f"{_C}.isotonic:Isotonic",
    },
    "rater": {
        "bias": f"{_S}.bias:Bias",
        "matrix_factorization": f"{_S}.matrix_factorization:MatrixFactorization",
        "bias_text": f"{_S}.bias_text:BiasText",
        "boosted": f"{_S}.features.boosted:BoostedRater",
        "network": f"{_S}.features.network:NetworkRater",
        "rates": f"{_S}.rates:Rates",
        "text_logistic": f"{_S}.text_likes:TextLikes",
        "rates_text": f"{_S}.text_likes:RatesText",
    },
}


def module_of(role: Role, name: str) -> str:
    """The module that holds the model: what its version depends on. Raises KeyError."""
    return MODELS[role][name].partition(":")[0]


def model_class(role: Role, name: str) -> Any:
    """The class of the model. Raises KeyError for a name that is not in MODELS."""
    module, _, attribute = MODELS[role][name].partition(":")
    return getattr(import_module(module), attribute)
