"""How embeddings and memory states lie in space: what shows a collapse before any benchmark does."""

import torch
from torch import Tensor


def effective_dimension(embeddings: Tensor) -> Tensor:
    """The effective rank of the embeddings' centred covariance (Roy and Vetterli 2007): exp of its spectral entropy.

    `embeddings` is [N, D]; the result is a float64 scalar on the CPU, between 1 (all on one line) and min(N - 1, D)
    (the same spread along each direction that N points can have). It is 0 where the embeddings are all the same up to
    float32 rounding, and NaN where one of them is not finite.
    """
    assert embeddings.ndim == 2
    points = embeddings.detach().cpu().double()  # [N, D]
    if not points.isfinite().all():
        return points.new_tensor(float("nan"))
    centred = points - points.mean(dim=0)
    # Rounding is white noise: left in, a collapsed encoder would show a large dimension.
    if centred.square().sum() <= torch.finfo(torch.float32).eps ** 2 * points.square().sum():
        return points.new_tensor(0.0)
    variances = torch.linalg.svdvals(centred).square()  # [min(N, D)], the covariance's eigenvalues but for a factor
    shares = variances / variances.sum()
    return torch.special.entr(shares).sum().exp()


def pairwise_correlation(memory: Tensor) -> Tensor:
    """The mean Pearson correlation between two memory states of one text, over all pairs and texts.

    `memory` is [N, k, D]; the result is a float32 scalar on its device: 1 where a text's memory states are copies of
    each other, near 0 where they are unrelated. With k = 1 there is no pair, and the result is NaN. A state that is
    the same number throughout has no correlation with anything and counts as 0.
    """
    assert memory.ndim == 3
    states = memory.detach().float()
    k = states.shape[1]
    if k == 1:
        return states.new_tensor(float("nan"))
    directions = torch.nn.functional.normalize(states - states.mean(dim=-1, keepdim=True), dim=-1)
    correlation = directions @ directions.mT  # [N, k, k]
    first, second = torch.triu_indices(k, k, offset=1, device=states.device)
    return correlation[:, first, second].mean()


def memory_norm(memory: Tensor) -> Tensor:
    """The mean root mean square of the states, [..., D]: 1 for unit normal states, whatever their width.

    Token embeddings of an LLM have about 0.1 on this scale, the states after its final norm more than ten times that.
    """
    return memory.detach().float().square().mean(dim=-1).sqrt().mean()
