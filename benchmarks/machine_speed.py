"""How fast the machine itself is at the moment, for runs so long that a shared one may change meanwhile."""

import time

import torch

SIDE = 1024
SECONDS = 10.0


@torch.inference_mode()
def gemm() -> float:
    """GFLOP/s of float32 matrix products on all cores, the mean over ten seconds with nothing else running."""
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    products, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        torch.mm(left, right)
        products += 1
    return round(2 * SIDE**3 * products / (time.perf_counter() - started) / 1e9, 1)
