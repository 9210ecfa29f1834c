"""Tags of one's own, for taggers that take any: `names` reads a list of them, `prompts` words them for a text
encoder, `own_tags` keeps the embeddings beside the tagger.

The tagger asks the image about each tag alone, so new tags are scored beside the built-in ones without changing them.
"""
