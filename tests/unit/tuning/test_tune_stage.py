"""The stage on a tiny encoder: what it writes, that it learns from nothing later, and that it can be stopped."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from factories.tuning import sample_corpus, tiny_bert, tuning_config
from safetensors.torch import load_file

from llmrec.config import RunConfig, SplitConfig, TrackingConfig
from llmrec.corpus.splits import cutoffs
from llmrec.encoding.encoders.tokens import Tokenizer
from llmrec.encoding.encoders.tuned import tuned_before
from llmrec.encoding.stage import decisive as encode_decisive
from llmrec.storage import Artifact, Storage
from llmrec.tuning import fit, refitted, tune, with_encoder
from llmrec.tuning.network import load_network

TEXTS = ["These strings stay in tune.", "It hums! Würde ich wieder kaufen 🎸"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


def weights(made: Artifact) -> dict[str, torch.Tensor]:
    return dict(load_file(made.uri("model/model.safetensors")))


def same(left: Artifact, right: Artifact) -> bool:
    one, two = weights(left), weights(right)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def run(
    root: Path, model: Path, edit: Callable[[pa.Table], pa.Table] = lambda t: t, curves: Path | None = None,
    **tuning: Any,
) -> Artifact:  # fmt: skip
    storage, config = Storage(str(root)), tuning_config(model, root, **tuning)
    config = config.model_copy(update={"tracking": TrackingConfig(tensorboard=str(curves) if curves else None)})
    return tune(config, storage, sample_corpus(storage, edit=edit))


def word(at: Callable[[np.ndarray, float], np.ndarray]) -> Callable[[pa.Table], pa.Table]:
    """An edit that adds a word to the reviews of some moments."""

    def edit(reviews: pa.Table) -> pa.Table:
        times = reviews["timestamp"].to_numpy()
        marked = pa.array(at(times, cutoffs(times, SplitConfig()).t1))
        texts = pc.if_else(marked, pc.binary_join_element_wise("zebra", reviews["text"], " "), reviews["text"])
        return reviews.set_column(reviews.schema.get_field_index("text"), "text", texts)

    return edit


def test_a_word_after_the_cut_off_changes_no_weight(tmp_path: Path, model: Path) -> None:
    as_it_is = run(tmp_path / "a", model, validation_share=0)
    later = run(tmp_path / "b", model, word(lambda times, t1: times >= t1), validation_share=0)
    earlier = run(tmp_path / "c", model, word(lambda times, t1: times < t1), validation_share=0)
    assert same(as_it_is, later) and not same(as_it_is, earlier)
    t1 = cutoffs(sample_corpus(Storage(str(tmp_path / "a"))).table("reviews")["timestamp"].to_numpy(), SplitConfig()).t1
    told = tuned_before(with_encoder(tuning_config(model, tmp_path), later).encoding.encoder)
    assert told is not None and t1 - 1 < told <= t1


def test_a_word_after_the_cut_off_chooses_no_step(tmp_path: Path, model: Path) -> None:
    edits = {
        "a": lambda reviews: reviews,
        "b": word(lambda times, t1: times >= t1),
        "c": word(lambda times, t1: times < t1),
    }
    curves = {name: run(tmp_path / name, model, edit).manifest.info["curve"] for name, edit in edits.items()}
    assert curves["a"] == curves["b"] != curves["c"] and "ndcg@10" in curves["a"][0]


def test_tuned_anew_it_learns_until_t2_for_the_steps_that_were_chosen_before_t1(tmp_path: Path, model: Path) -> None:
    """A word from T1 on changes the second encoder and not the first, one from T2 on changes neither."""
    split = SplitConfig()

    def made(name: str, at: str | None) -> tuple[Artifact, Artifact]:
        def edit(reviews: pa.Table) -> pa.Table:
            if at is None:
                return reviews
            times = reviews["timestamp"].to_numpy()
            marked = pa.array(times >= getattr(cutoffs(times, split), at))
            texts = pc.if_else(marked, pc.binary_join_element_wise("zebra", reviews["text"], " "), reviews["text"])
            return reviews.set_column(reviews.schema.get_field_index("text"), "text", texts)

        storage, config = Storage(str(tmp_path / name)), tuning_config(model, tmp_path / name, validate_every=1)
        corpus = sample_corpus(storage, edit=edit)
        first = tune(config, storage, corpus)
        assert first.manifest.info["best_step"] > 0  # else there is nothing to tune anew
        return first, refitted(config, storage, corpus, first)

    (first, second), (same_first, other), (still_first, still) = (made(str(at), at) for at in (None, "t1", "t2"))
    assert same(first, same_first) and same(first, still_first)
    assert not same(second, first) and not same(second, other) and same(second, still)
    assert second.manifest.info["best_step"] == first.manifest.info["best_step"]
    times = sample_corpus(Storage(str(tmp_path / "None"))).table("reviews")["timestamp"].to_numpy()
    cut = cutoffs(times, split)
    assert cut.t1 - 1 < first.manifest.info["texts_before"] <= cut.t1 < second.manifest.info["texts_before"] <= cut.t2


def test_what_is_written_is_read_by_all(tmp_path: Path, model: Path) -> None:
    config = tuning_config(model, tmp_path, objectives={"contrastive": 1, "masked_language_model": 0.5, "stars": 0.5},
                           validation_share=0)  # fmt: skip
    storage = Storage(str(tmp_path))
    corpus = sample_corpus(storage)
    made = tune(config, storage, corpus)
    assert not made.reused and tune(config, storage, corpus).reused and not list(tmp_path.glob("tuning_runs/*"))
    encoder = with_encoder(config, made).encoding.encoder
    folder = Path(encoder.model)
    network = load_network(encoder, folder, "float32", False)
    ids = Tokenizer(folder, 64)(TEXTS).ids
    assert ids == Tokenizer(model, 64)(TEXTS).ids
    vectors = torch.cat([network([row]) for row in ids]).detach().numpy()
    frozen = load_network(encoder, model, "float32", False)
    assert np.abs(vectors - torch.cat([frozen([row]) for row in ids]).detach().numpy()).max() > 1e-4
    sentence = pytest.importorskip("sentence_transformers").SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(sentence.encode(TEXTS), vectors, atol=1e-5)
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    assert [name for name, value in pooling.items() if value is True] == ["pooling_mode_mean_tokens", "include_prompt"]
    card = (folder / "README.md").read_text()
    assert "contrastive × 1, masked_language_model × 0.5" in card and "next_item" in card and corpus.id in card
    assert [row["step"] for row in made.manifest.info["curve"]] == [0, 2, 4]


EVERYTHING = {
    "objectives": {"contrastive": 1, "distillation": 1}, "hard_negatives": 2, "prefixes": [8],
    "augment": {"word_dropout": 0.2, "span_deletion": 0.2, "sentence_order": 0.5},
}  # fmt: skip


#: Ranks fall from step 5 on: the second half goes by what the first has seen.
RANKS = {"method": "adalora", "steps": 10, "lora": {"rank": 2}, "validate_every": 6}


@pytest.mark.parametrize("also", [{}, EVERYTHING], ids=["plain", "everything"])
def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, also: dict[str, Any]
) -> None:
    tuning = {"dropout": True, **also}
    whole = run(tmp_path / "whole", model, **tuning)
    step, taken = fit.one_step, []

    def killed(*arguments: Any) -> Any:
        taken.append(arguments[-1])
        if arguments[-1] == 4 and len(taken) == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(fit, "one_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", model, curves=tmp_path / "curves", **tuning)
    assert not list((tmp_path / "killed").glob("encoder/*/manifest.json"))
    made = run(tmp_path / "killed", model, curves=tmp_path / "curves", **tuning)
    assert same(made, whole) and taken == [1, 2, 3, 4, 3, 4]
    shown = tmp_path / "curves" / made.id / "tune"
    assert events(shown, "ndcg@10") == curve(made, "ndcg@10")
    assert events(shown, "contrastive") == curve(made, "contrastive")


def test_a_killed_run_goes_on_to_the_same_ranks(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(tmp_path / "whole", model, **RANKS)
    step, taken = fit.one_step, []

    def killed(*arguments: Any) -> Any:
        taken.append(arguments[-1])
        if taken == [*range(1, 9)]:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(fit, "one_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", model, **RANKS)
    made = run(tmp_path / "killed", model, **RANKS)
    assert same(made, whole) and taken == [*range(1, 9), *range(7, 11)]


def events(folder: Path, name: str) -> list[tuple[int, float]]:
    """What TensorBoard reads."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [(e.step, e.value) for e in EventAccumulator(str(folder)).Reload().Scalars(name)]


def curve(made: Artifact, name: str) -> list[tuple[int, float]]:
    rows = made.manifest.info["curve"]
    return [(int(row["step"]), pytest.approx(row[name], rel=1e-6)) for row in rows if name in row]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path: Path, model: Path) -> None:
    one, two = run(tmp_path / "one", model, validation_share=0), run(tmp_path / "two", model, validation_share=0)
    assert same(one, two)
    storage = Storage(str(tmp_path / "one"))
    config = tuning_config(model, tmp_path / "one", validation_share=0)
    assert not same(one, tune(config.model_copy(update={"seed": 8}), storage, sample_corpus(storage)))


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"learning_rate": 1e30, "steps": 6}, "the loss of contrastive is nan at step.*nothing was written"),
        ({"batch_size": 100_000}, "pairs before T1.*expected at least tuning.batch_size 100000"),
        ({"method": "last_layers", "last_layers": 9}, "last_layers: found 9"),
        ({"validation_share": 0.999999, "batch_size": 2}, "found 1 pairs before T1"),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    tmp_path: Path, model: Path, tuning: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        run(tmp_path, model, **tuning)
    assert not list(tmp_path.glob("encoder/**/*.*")) and not list(tmp_path.glob("tuning_runs/*"))


def test_a_corpus_without_likes(tmp_path: Path, model: Path) -> None:
    def disliked(reviews: pa.Table) -> pa.Table:
        ones = pa.array([1.0] * len(reviews), pa.float32())
        return reviews.set_column(reviews.schema.get_field_index("stars"), "stars", ones)

    with pytest.raises(ValueError, match=r"found 0 pairs before T1 \(next_item 0\)"):
        run(tmp_path, model, disliked, pairs={"next_item": 1})


def test_another_pooling_than_the_models_own_is_refused(tmp_path: Path, model: Path) -> None:
    made = run(tmp_path, model)
    config = with_encoder(tuning_config(model, tmp_path), made)
    encoder = config.encoding.encoder.model_copy(update={"pooling": "cls"})
    storage, config = (
        Storage(str(tmp_path)),
        config.model_copy(update={"encoding": config.encoding.model_copy(update={"encoder": encoder})}),
    )
    with pytest.raises(ValueError, match=r"pooling: found 'cls', but .* was made for mean"):
        tune(config, storage, sample_corpus(storage))


def test_vectors_are_known_by_what_the_folder_holds(tmp_path: Path, model: Path) -> None:
    made = run(tmp_path, model)
    config: RunConfig = with_encoder(tuning_config(model, tmp_path), made)
    before = encode_decisive(config)
    assert made.root not in json.dumps(before) and "tuned_before" in before
    weights_file = Path(config.encoding.encoder.model) / "model.safetensors"
    weights_file.write_bytes((model / "model.safetensors").read_bytes())
    assert encode_decisive(config) != before
