"""Each objective's loss against one made by hand, and what it does without its texts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories.tuning import texts_of, tiny_bert

from llmrec.config import EncoderConfig, TuningConfig
from llmrec.names import AUGMENTATIONS as TOLD
from llmrec.names import OBJECTIVES as NAMED
from llmrec.names import PAIRS
from llmrec.tuning.augment import AUGMENTATIONS
from llmrec.tuning.data import TuningData
from llmrec.tuning.gradients import Passes, encode
from llmrec.tuning.network import load_network
from llmrec.tuning.objectives.base import Learning, over_prefixes
from llmrec.tuning.objectives.contrastive import Contrastive, info_nce
from llmrec.tuning.objectives.hard_negatives import NearItems, nearest
from llmrec.tuning.objectives.registry import OBJECTIVES, make_objective
from llmrec.tuning.pairs import KINDS, Pairs
from llmrec.workers.process_group import ProcessGroup

ROWS = [(u, i, 10 * u + i, float(1 + i)) for u in range(4) for i in range(5)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("tiny"))


def learning(folder: Path, **config: object) -> Learning:
    texts = texts_of(ROWS, 5)
    tokens = [[101, 2000 + n, 2100 + n, 2200 + n, 102] for n in range(len(texts.texts))]
    data = TuningData(texts, tokens, len(ROWS), TuningConfig(**{"batch_size": 8, **config}), 7)
    encoder = EncoderConfig(model=str(folder))
    return Learning(data, load_network(encoder, folder, "float32", False), folder, encoder)


def test_the_names_are_those_of_the_rooms() -> None:
    assert list(OBJECTIVES) == list(NAMED) and list(KINDS) == list(PAIRS) and list(AUGMENTATIONS) == list(TOLD)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_a_step_gives_encoder_and_head_a_gradient_in_proportion_to_its_weight(name: str, folder: Path) -> None:
    found = {}
    for weight in (1.0, 3.0):
        made = learning(folder)
        torch.manual_seed(3)
        objective = make_objective(name, made)
        loss, n = objective.step(Passes(ProcessGroup(), 4), np.random.default_rng(1), weight)
        encoder = torch.cat([p.grad.flatten() for p in made.network.parameters() if p.grad is not None])
        assert all(p.grad is not None for p in objective.head.parameters() if p.requires_grad) and n >= 8
        found[weight] = loss, encoder
    assert found[1.0][0] == pytest.approx(found[3.0][0], rel=1e-5) and found[1.0][1].abs().max() > 0
    assert torch.allclose(3 * found[1.0][1], found[3.0][1], atol=1e-4)


def test_info_nce_by_hand() -> None:
    anchors, targets = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    log_q = torch.log(torch.tensor([0.25, 0.5]))
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    scores = 2 * np.array([[1.0, 0.6], [0.0, 0.8]]) - np.log([0.25, 0.5])
    expected = -np.mean([scores[i, i] - np.log(np.exp(scores[i]).sum()) for i in range(2)])
    assert float(info_nce(anchors, targets, torch.tensor(2.0), log_q, nothing)) == pytest.approx(expected, rel=1e-6)
    masked = nothing.clone()
    masked[0, 1] = True
    alone = -(scores[1, 1] - np.log(np.exp(scores[1]).sum())) / 2
    assert float(info_nce(anchors, targets, torch.tensor(2.0), log_q, masked)) == pytest.approx(alone, rel=1e-6)


def test_what_the_user_had_and_the_same_item_are_no_negatives(folder: Path) -> None:
    texts = texts_of([(0, 0, 1, 5.0), (0, 1, 2, 5.0), (1, 0, 3, 5.0), (1, 2, 4, 5.0), (0, 2, 5, 5.0)], 3)
    data = TuningData(texts, [[101, 102]] * 8, 4, TuningConfig(batch_size=2, pairs={"description": 1}), 7)
    made = Contrastive(Learning(data, load_network(EncoderConfig(model=str(folder)), folder, "float32", False), folder))
    column = np.array
    pairs = Pairs(column([0, 1, 2, 3]), column([5, 6, 5, 7]), column([0, 0, 1, -1]), column([0, 1, 0, 2]))
    excluded = made.excluded(pairs, pairs.item)
    assert excluded[0].tolist() == [False, True, True, False]  # had item 1, is item 0; item 2 comes after training
    assert excluded[2].tolist() == [True, False, False, True]
    assert excluded[3].tolist() == [False, False, False, False]  # nobody's
    mined = made.excluded(pairs, np.array([*pairs.item, 1, 2]))
    assert mined[:, :4].tolist() == excluded.tolist()
    assert mined[:, 4:].tolist() == [[True, False], [True, False], [False, True], [False, True]]


def test_few_pairs_are_drawn_by_the_shares_of_their_kinds_none_twice(folder: Path) -> None:
    shares = {"description": 3.0, "same_item": 1.0}
    every = Contrastive(learning(folder, pairs=shares, batch_size=4))
    few = Contrastive(learning(folder, pairs=shares, batch_size=4, max_pairs=8))
    assert sum(few.counts.values()) == 8 and few.counts["description"] > few.counts["same_item"] > 0
    assert Contrastive(learning(folder, pairs=shares, batch_size=4, max_pairs=8)).counts == few.counts
    assert Contrastive(learning(folder, pairs=shares, batch_size=4, max_pairs=9_999)).counts == every.counts
    pairs = few._pairs
    assert len(set(zip(pairs.anchor.tolist(), pairs.target.tolist(), strict=True))) == 8


def test_hidden_words_are_asked_for_and_special_ones_never(folder: Path) -> None:
    made = make_objective("masked_language_model", learning(folder, masked_share=0.5))
    ids = [[101, *range(2000, 2400), 102]] * 3
    shown, asked = made._hide(ids, np.random.default_rng(0))  # type: ignore[attr-defined]
    chosen = np.array(asked) != -100
    assert 0.45 < chosen[:, 1:-1].mean() < 0.55 and not chosen[:, [0, -1]].any()
    assert (np.array(asked)[chosen] == np.array(ids)[chosen]).all()
    assert (np.array(shown)[~chosen] == np.array(ids)[~chosen]).all()
    assert 0.74 < (np.array(shown)[chosen] == 103).mean() < 0.86


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("contrastive", {"batch_size": 64, "pairs": {"same_user": 1}}, r"found 4 pairs before T1 \(same_user 4\).*64"),
        ("masked_language_model", {"batch_size": 64}, "found 25 texts before T1, expected at least.*64"),
        ("stars", {"batch_size": 64}, "found 20 reviews with stars before T1, expected at least.*64"),
    ],
)
def test_fewer_than_a_batch_are_refused(name: str, config: dict[str, object], said: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=said):
        make_objective(name, learning(folder, **config))


def test_nearest_by_hand() -> None:
    vectors = torch.tensor([[2.0, 0.0], [1.0, 0.1], [0.0, 3.0], [0.5, 1.0]])
    assert nearest(vectors, 2).tolist() == [[1, 3], [0, 3], [3, 1], [2, 1]]


def test_mined_negatives_are_the_nearest_items_and_make_the_loss_larger(folder: Path) -> None:
    made = learning(folder, pairs={"description": 1})
    near = NearItems(made, np.array([0, 1, 3, 4]))
    vectors = encode(made.network, [made.data.tokens[len(ROWS) + i] for i in (0, 1, 3, 4)], Passes(ProcessGroup(), 8))
    drawn = near.draw(np.array([3, 2]), 400, np.random.default_rng(0)).reshape(2, 400)
    assert set(drawn[0]) == {0, 1, 4}  # POOL is larger than what there is
    assert set(drawn[1]) == {-1}  # not among the pairs' items
    assert near._near[3].tolist() == np.array([0, 1, 3, 4])[nearest(vectors, 3)[2]].tolist()
    losses = []
    for n in (0, 2):
        torch.manual_seed(0)
        objective = Contrastive(learning(folder, pairs={"description": 1}, hard_negatives=n))
        objective._had = np.array([-1])  # nobody has had anything: every other item is a negative
        loss, texts = objective.step(Passes(ProcessGroup(), 8), np.random.default_rng(1), 1.0)
        losses.append((loss, texts))
    assert losses[0][1] == 16 and losses[1][1] == 32 and losses[1][0] > losses[0][0] + 0.1


def test_a_catalogue_of_one_has_nothing_near(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"tuning.hard_negatives: found 1 items with a text"):
        NearItems(learning(folder), np.array([2]))


def test_the_loss_over_prefixes_is_their_mean() -> None:
    vectors = torch.tensor([[1.0, 2.0, 4.0]])
    assert float(over_prefixes(vectors, (1, 2), torch.sum)) == pytest.approx((1 + 3 + 7) / 3)
    with pytest.raises(ValueError, match=r"tuning.prefixes: found 3, expected fewer than the vector's 3"):
        over_prefixes(vectors, (3,), torch.sum)


def test_a_student_that_is_its_teacher_has_nothing_to_learn_but_its_prefixes(folder: Path) -> None:
    whole = make_objective("distillation", learning(folder))
    tokenizer = whole._tokenizer  # type: ignore[attr-defined]
    for prefixes, expected in (((), 0.0), ((8,), None)):
        made = learning(folder, prefixes=prefixes, dtype="float32")
        made.data.tokens[:] = tokenizer(made.data.texts.texts).ids
        loss, n = make_objective("distillation", made).step(Passes(ProcessGroup(), 4), np.random.default_rng(0), 1.0)
        assert n == 8
        if expected is None:
            assert loss > 1e-5
        else:
            assert loss == pytest.approx(expected, abs=1e-9)


def test_distillation_by_hand(folder: Path) -> None:
    """The mean over all pairs of the squared difference of cosines, the teacher's prompt in place of the student's."""
    teacher = EncoderConfig(model=str(folder), document_prompt="passage: ")
    made = learning(folder, teacher=teacher, dtype="float32")
    objective = make_objective("distillation", made)
    rows = objective._rows[np.random.default_rng(5).integers(0, 25, 8)]  # type: ignore[attr-defined]
    told = [f"passage: {made.data.texts.texts[row]}" for row in rows]
    passes = Passes(ProcessGroup(), 8)
    network = load_network(teacher, folder, "float32", False)
    theirs = encode(network, objective._tokenizer(told).ids, passes)  # type: ignore[attr-defined]
    mine = encode(made.network, [made.data.tokens[row] for row in rows], passes)
    expected = ((mine @ mine.T - theirs @ theirs.T) ** 2).mean()
    loss, _ = objective.step(passes, np.random.default_rng(5), 1.0)
    assert loss == pytest.approx(float(expected), rel=1e-4) and loss > 1e-6
