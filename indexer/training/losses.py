"""Losses with their papers."""

import torch
from torch import Tensor
from torch.nn import functional as F


def asymmetric(
    logits: Tensor, targets: Tensor, known: Tensor, gamma_neg: float = 4.0, clip: float = 0.05
) -> Tensor:
    """Asymmetric loss ("Asymmetric Loss for Multi-Label Classification", Ridnik et al., ICCV 2021).

    `logits`, `targets` and `known` are (B, tags); pairs where `known` is 0 are left out. The focal weight carries
    no gradient. Summed over tags, averaged over the batch.
    """
    positive = torch.sigmoid(logits.float())
    negative = (1 - positive + clip).clamp(max=1)
    log_likelihood = targets * positive.clamp(min=1e-8).log() + (1 - targets) * negative.clamp(min=1e-8).log()
    weight = (targets + (1 - targets) * (1 - negative) ** gamma_neg).detach()
    return -(log_likelihood * weight * known).sum(1).mean()


def contrastive(images: Tensor, texts: Tensor, log_scale: Tensor, groups: Tensor) -> Tensor:
    """Symmetric contrastive loss (CLIP, Radford et al., ICML 2021) over L2-normalised (B, D) pairs.

    Rows of the same `groups` (B,) number show the same photo; they count as shared answers, not as wrong ones.
    """
    scores = images @ texts.T * log_scale.exp()
    same = (groups[:, None] == groups[None, :]).float()
    answers = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(scores, answers) + F.cross_entropy(scores.T, answers)) / 2


def weighted_mse(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean squared error with one weight (C,) per last-axis component."""
    return ((predicted - target).square() * weight).mean()


def soft_labels(logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Distillation by softened class probabilities ("Distilling the Knowledge in a Neural Network", 2015)."""
    student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.softmax(teacher_logits / temperature, dim=-1)
    return F.kl_div(student, teacher, reduction="batchmean") * temperature**2
