"""What a machine can do at its best, as a yardstick for what training gets out of it."""

import time

import torch

SIZES = (256, 512, 1024, 2048, 4096, 8192)
SECONDS = 0.7  # in all


def matmul_peak(device: torch.device, dtype: torch.dtype) -> float:
    """The most floating-point operations per second that a square matrix product reached, in FLOP/s.

    Sizes grow as long as the next, of eight times the work, is expected to fit into the time allowed: under a second
    on anything from a laptop to a large GPU.
    """
    deadline = time.perf_counter() + SECONDS
    generator = torch.Generator(device).manual_seed(0)
    best = 0.0
    for size in SIZES:
        started = time.perf_counter()
        # Random numbers, as a GPU multiplies ones faster; of a generator of their own, to leave the run's alone.
        a, b = torch.randn(2, size, size, device=device, dtype=dtype, generator=generator)
        seconds = min(_seconds(a, b) for _ in range(4))
        best = max(best, 2 * size**3 / seconds)
        now = time.perf_counter()
        if now + 8 * (now - started) > deadline:
            break
    return best


def _seconds(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    started = time.perf_counter()
    a @ b
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    return time.perf_counter() - started
