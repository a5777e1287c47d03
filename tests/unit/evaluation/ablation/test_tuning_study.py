"""What tuning was worth by itself: figures are those of the encoders' own rankings, paired, and asked after T2."""

from pathlib import Path

import numpy as np
import pytest
from factories.tuning import sample_corpus, tiny_bert, tuning_config

from llmrec.corpus.splits import cutoffs
from llmrec.evaluation.ablation.tuning_study import tuned_encoders, tuning_study
from llmrec.experiment import control_names
from llmrec.storage import Storage
from llmrec.tuning import refitted, tune, with_encoder, with_few_pairs
from llmrec.tuning.worth import text_ndcg, text_questions


def test_each_encoder_is_asked_the_same_questions(tmp_path: Path) -> None:
    config = tuning_config(tiny_bert(tmp_path / "tiny"), tmp_path, few_pairs=[16], validate_every=4)
    storage = Storage(str(tmp_path))
    corpus = sample_corpus(storage)
    assert tuned_encoders(config, storage, corpus) == {}
    made, few = tune(config, storage, corpus), tune(with_few_pairs(config, 16), storage, corpus)
    tuned = tuned_encoders(config, storage, corpus)
    assert {name: one.id for name, one in tuned.items()} == {"16_pairs": few.id, "tuned": made.id}
    assert few.id != made.id and few.manifest.info["pairs"] != made.manifest.info["pairs"]

    study = tuning_study(config, corpus, tuned)
    assert study is not None and [e.name for e in study.encoders] == ["frozen", "16_pairs", "tuned"]
    assert [e.pairs for e in study.encoders] == [None, 16, sum(made.manifest.info["pairs"].values())]
    times = corpus.table("reviews", ["timestamp"])["timestamp"].to_numpy()
    t2 = cutoffs(times, config.split).t2
    asked = text_questions(config, corpus, t2, 500)
    assert (asked.data.texts.time[asked.every.asked] >= t2).all() and len(asked.every) == study.n_queries["every"]
    for encoder, one in zip(study.encoders, (None, few, made), strict=True):
        found = text_ndcg(with_encoder(config, one).encoding.encoder, asked.data, asked.every)
        assert encoder.ndcg["every"].value == pytest.approx(np.mean(found), abs=1e-12)
    values = {e.name: e.ndcg["every"].value for e in study.encoders}
    for c in study.comparisons["every"]:
        assert c.against == "frozen"
        assert c.difference.value == pytest.approx(values[c.model] - values["frozen"], abs=1e-12)
    assert [p.x for p in study.losses] == [4] and [p.x for p in study.validation] == [0, 4]


def test_the_encoder_that_was_tuned_anew_stands_beside(tmp_path: Path) -> None:
    config = tuning_config(tiny_bert(tmp_path / "tiny"), tmp_path, refit=True, validation_share=0)
    storage = Storage(str(tmp_path))
    corpus = sample_corpus(storage)
    first = tune(config, storage, corpus)
    assert list(tuned_encoders(config, storage, corpus)) == ["tuned"]  # what is not there is not made by an evaluation
    refitted(config, storage, corpus, first)
    tuned = tuned_encoders(config, storage, corpus)
    assert list(tuned) == ["tuned", "refitted"] and tuned["tuned"].id != tuned["refitted"].id
    study = tuning_study(config, corpus, tuned)
    assert study is not None and [e.name for e in study.encoders] == ["frozen", "tuned", "refitted"]


def test_a_run_that_tunes_is_set_against_the_encoder_as_it_came(tmp_path: Path) -> None:
    config = tuning_config(tmp_path, tmp_path)
    assert control_names(config) == ("frozen_encoder",)
    untuned = config.model_copy(update={"tuning": config.tuning.model_copy(update={"objectives": {}})})
    assert control_names(untuned) == ()
