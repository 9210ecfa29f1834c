"""Sightline's core: from a file to an answer, without HTTP and without task bodies.

1. `images`, `metadata`, `decoding`: bytes become an RGB image, model inputs, a thumbnail, facts.
2. `predictors` (over `modeling` and `checkpoints`): pixels become tags, a caption, embeddings.
3. `pipeline`: saves them in Postgres (`catalog` over `tables`), then in Milvus (`embeddings`).
4. `task_queue`: carries ids from whoever registers images to the workers that annotate them.
5. `query` and `search`: a question becomes a filter and an embedding, then ranked hits.
6. `local_stack`: starts private servers where no URL is configured.
7. `training` and `evaluation`: make the bundled models and say how good they are.
"""
