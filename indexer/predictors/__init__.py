"""Batches of pixels in, plain values out: Tagger, Captioner, Embedder.

Importing this loads torch, so only workers, the API and training do. Predictors are not thread-safe to move or
change, but may be called from several threads.
"""

from indexer.modeling.sampling import Sampling
from indexer.predictors.captioner import CaptionCandidate, Captioner, GuidedCaptions, TagControl
from indexer.predictors.cores import share_cores
from indexer.predictors.embedder import Embedder
from indexer.predictors.identity import ModelIdentity
from indexer.predictors.loading import load_captioner, load_embedder, load_tagger, options
from indexer.predictors.memory import free_memory, is_out_of_memory
from indexer.predictors.tagger import Tagger, TagScore, passing
from indexer.predictors.vision import resolve_device

__all__ = [
    "CaptionCandidate",
    "Captioner",
    "Embedder",
    "GuidedCaptions",
    "ModelIdentity",
    "Sampling",
    "TagControl",
    "TagScore",
    "Tagger",
    "free_memory",
    "is_out_of_memory",
    "load_captioner",
    "load_embedder",
    "load_tagger",
    "options",
    "passing",
    "resolve_device",
    "share_cores",
]
