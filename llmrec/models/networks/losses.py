"""Losses of the two-tower model."""

import torch
import torch.nn.functional as F
from torch import Tensor


def sampled_softmax(scores: Tensor, target: Tensor, log_q: Tensor, excluded: Tensor) -> Tensor:
    """Softmax over in-batch and sampled candidates, corrected for how often each is drawn: (B,) losses.

    s^c(x, y_j) = s(x, y_j) - log p_j for every candidate, the positive included, then cross-entropy (Yi et al.,
    "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019, section 3.1, eq. 3
    to 5). Where uniform samples join the batch, p_j is of the mixture (Yang et al., "Mixed negative sampling for
    learning two-tower neural networks in recommendations", WWW 2020, section 3.3).

    `scores` (B, C): dot products. `target` (B,): column of each row's positive. `log_q` (C,): log of the probability
    that one draw yields the candidate; a constant added to all of it changes nothing. `excluded` (B, C): accidental
    hits, true where the candidate is the positive's item again or an item the user already had; the positive's own
    column is never excluded.
    """
    corrected = scores - log_q
    keep_target = torch.zeros_like(excluded).scatter_(1, target.unsqueeze(1), True)
    corrected = corrected.masked_fill(excluded & ~keep_target, -torch.inf)
    return F.cross_entropy(corrected, target, reduction="none")


def accidental_hits(positives: Tensor, candidates: Tensor, histories: Tensor) -> Tensor:
    """(B, C) bool: candidate (C,) is the row's positive (B,) or in its history (B, L; 0 pads). Ids of any one kind."""
    different, place = torch.unique(candidates, return_inverse=True)  # (U,), (C,)
    wanted = torch.cat([positives.unsqueeze(1), histories], dim=1)  # (B, 1 + L)
    at = torch.searchsorted(different, wanted.contiguous()).clamp(max=len(different) - 1)
    found = different[at] == wanted
    found[:, 1:] &= histories > 0
    # one more column takes what is no candidate
    member = torch.zeros((len(positives), len(different) + 1), dtype=torch.bool, device=candidates.device)
    member.scatter_(1, at.masked_fill(~found, len(different)), True)
    return member[:, place]


def companions(users: Tensor, positives: Tensor, candidates: Tensor) -> Tensor:
    """(B, C) bool: candidate (C,) is a positive (B,) of the same user (B,) somewhere in the batch, the row's own too.

    A batch's rows are neighbours in time: what somebody takes together, or within days, is no negative of theirs.
    """
    same_user = (users.unsqueeze(1) == users).float()  # (B, B)
    same_item = (positives.unsqueeze(1) == candidates).float()  # (B, C)
    return (same_user @ same_item) > 0


def mixture_log_q(in_batch: Tensor, uniform: Tensor, n_in_batch: int, n_sampled: int) -> Tensor:
    """(C,) log probability of one draw: `n_in_batch` draws from `in_batch` (C,), `n_sampled` from `uniform` (C,)."""
    total = n_in_batch + n_sampled
    mixed = (n_in_batch * in_batch + n_sampled * uniform) / total
    return mixed.clamp(min=torch.finfo(mixed.dtype).tiny).log()
