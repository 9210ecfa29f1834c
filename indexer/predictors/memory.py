"""What it looks like when memory does not suffice."""

import gc

import torch

# What a processor's allocator says; a GPU's has a class of its own.
_SAYS = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a smaller batch might have gone through."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAYS)


def free_memory() -> None:
    """Give back what a failed batch has left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
