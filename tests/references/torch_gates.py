"""Gates of sparse layers plainly by their papers' formulas in PyTorch, for the scripts beside this one.

The noise is that of engine/gate_noise.h: Philox4x32-10 of Random123's known answers
(make_philox_vectors.py), two normal numbers of two words by Box and Muller.
"""
import math

import torch

NOISE = 13  # RandomUse::noise


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        left, right = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF,
             (left >> 32) ^ c[3] ^ k[1], left & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def noise(seed, step, op, rows, experts):
    """ε of an operator, rows×experts. step: from 1; op: the number of the operator's output."""
    draws = []
    for block in range((rows * experts + 3) // 4):
        words = [(word >> 8) / 2**24 for word in philox((block, NOISE, step, op), (seed, 0))]
        for first, second in (words[:2], words[2:]):
            radius = math.sqrt(-2 * math.log(1 - first))
            draws += [radius * math.cos(2 * math.pi * second), radius * math.sin(2 * math.pi * second)]
    return torch.tensor(draws[:rows * experts], dtype=torch.float64).reshape(rows, experts)


def normal_cdf(x):
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def squared_variation(sums, ddof=0, epsilon=0):
    return torch.var(sums, correction=ddof) / (sums.mean()**2 + epsilon)


def top_k(x, k, softmax):
    """The gates of each row's k largest values, and 0."""
    values, experts = torch.topk(x, k)
    return torch.zeros_like(x).scatter(1, experts, torch.softmax(values, 1) if softmax else values)


def shazeer_load(clean, noisy, sigma, k):
    """Shazeer et al. 2017, appendix A: P, how probable each choice is; the threshold is the k-th largest of
    the other experts' noisy logits.
    """
    values, order = torch.sort(noisy, descending=True)
    chosen = torch.zeros_like(noisy, dtype=torch.bool).scatter(1, order[:, :k], True)
    kth_excluding = torch.where(chosen, values[:, k:k + 1], values[:, k - 1:k])
    return normal_cdf((clean - kth_excluding) / sigma)


def vision_load(clean, noisy, sigma, k):
    """Riquelme et al. 2021, appendix A.2: as above, with the k-th largest noisy logit for all."""
    threshold = torch.topk(noisy, k).values[:, -1:]
    return 1 - normal_cdf((threshold - clean) / sigma)


def kept(gates, k, factor, priority):
    """Riquelme et al. 2021, §2.2 and §4.1: 1 where a choice of the rows of one group finds room, 0 elsewhere."""
    rows, experts = gates.shape
    room = math.ceil(rows * k * factor / experts)
    room += -room % 4
    values, choices = torch.topk(gates.detach(), k)
    served = torch.argsort(-values[:, 0], stable=True) if priority else range(rows)
    taken, found = [0] * experts, torch.zeros_like(gates)
    for choice in range(k):
        for row in served:
            expert = choices[row, choice]
            found[row, expert] = float(taken[expert] < room)
            taken[expert] += 1
    return found
