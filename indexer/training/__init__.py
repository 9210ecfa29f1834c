"""How the bundled models are made: photos and captions in, safetensors out.

data -> views -> teacher -> distill (backbone) -> tagger, embedder, captioner (heads) -> export.
Each stage leaves a file in the work folder and is skipped when that file is complete.
"""
