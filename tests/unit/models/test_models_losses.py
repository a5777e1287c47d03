"""The sampled softmax against numbers computed by hand."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from llmrec.models.networks.losses import accidental_hits, companions, mixture_log_q, sampled_softmax

NOTHING = torch.zeros((1, 3), dtype=torch.bool)


def test_log_q_is_subtracted_from_every_candidate_the_positive_included() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.5]])
    log_q = torch.log(torch.tensor([0.5, 0.25, 0.125]))
    # s - log q = 1 + log 2, 2 + log 4, .5 + log 8: weights 2e, 4e^2, 8e^.5
    weights = [2 * math.e, 4 * math.e**2, 8 * math.e**0.5]
    expected = -math.log(weights[0] / sum(weights))
    loss = sampled_softmax(scores, torch.tensor([0]), log_q, NOTHING)
    assert math.isclose(float(loss[0]), expected, rel_tol=1e-6)


def test_an_accidental_hit_does_not_compete() -> None:
    scores = torch.tensor([[1.0, 2.0, 0.5]])
    excluded = torch.tensor([[True, True, False]])  # the positive's own column cannot be excluded
    loss = sampled_softmax(scores, torch.tensor([0]), torch.zeros(3), excluded)
    assert math.isclose(float(loss[0]), math.log(1 + math.exp(-0.5)), rel_tol=1e-6)


def test_accidental_hits_are_the_same_item_and_what_the_user_had() -> None:
    hits = accidental_hits(torch.tensor([4, 5]), torch.tensor([4, 5, 0, 7]), torch.tensor([[0, 7], [0, 0]]))
    assert hits.tolist() == [[True, False, False, True], [False, True, False, False]]


def test_what_a_user_takes_in_the_batch_is_no_negative_of_theirs() -> None:
    users, taken = torch.tensor([1, 2, 1]), torch.tensor([7, 8, 9])
    found = companions(users, taken, torch.tensor([7, 8, 9, 9, 5]))  # the batch's items, then two sampled ones
    assert found.tolist() == [[1, 0, 1, 1, 0], [0, 1, 0, 0, 0], [1, 0, 1, 1, 0]]


def test_the_mixture_is_the_expected_share_of_draws() -> None:
    log_q = mixture_log_q(torch.tensor([0.5, 0.0]), torch.tensor([0.1, 0.1]), 10, 30)
    expected = [math.log((10 * 0.5 + 30 * 0.1) / 40), math.log(30 * 0.1 / 40)]
    assert torch.allclose(log_q, torch.tensor(expected))


def test_golden_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn((4, 8), generator=generator)
    log_q = torch.log(torch.linspace(0.02, 0.2, 8))
    excluded = accidental_hits(torch.arange(4), torch.arange(8), torch.tensor([[5], [0], [7], [6]]))
    loss = sampled_softmax(scores, torch.arange(4), log_q, excluded)
    by_hand = []
    for row in range(4):
        kept = [j for j in range(8) if not excluded[row, j] or j == row]
        weight = {j: math.exp(float(scores[row, j])) / math.exp(float(log_q[j])) for j in kept}
        by_hand.append(-math.log(weight[row] / sum(weight.values())))
    assert torch.allclose(loss, torch.tensor(by_hand), atol=1e-5)
    assert math.isclose(float(loss.mean()), 2.1791, abs_tol=1e-4)


@given(st.floats(-5, 5))
def test_a_constant_in_log_q_changes_nothing(constant: float) -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0]])
    log_q = torch.tensor([-1.0, -2.0, -3.0])
    base = sampled_softmax(scores, torch.tensor([1]), log_q, NOTHING)
    assert torch.allclose(sampled_softmax(scores, torch.tensor([1]), log_q + constant, NOTHING), base, atol=1e-5)


def test_the_correction_recovers_the_full_softmax_from_biased_samples() -> None:
    """Averaged over many draws by popularity, the corrected gradient is the full softmax's; the uncorrected is not."""
    torch.manual_seed(0)
    n, draws = 6, 4_000
    scores = torch.tensor([0.5, -0.2, 0.1, 0.9, -0.7, 0.3])
    q = torch.tensor([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    full = torch.softmax(scores, 0)

    def mean_share(log_q: torch.Tensor) -> torch.Tensor:
        sampled = torch.multinomial(q, draws * 200, replacement=True).view(draws, 200)
        weights = torch.exp(scores - log_q)[sampled]
        shares = weights / weights.sum(1, keepdim=True)
        return torch.stack([(shares * (sampled == j)).sum(1).mean() for j in range(n)])

    assert torch.allclose(mean_share(q.log()), full, atol=0.01)
    assert not torch.allclose(mean_share(torch.zeros(n)), full, atol=0.05)
