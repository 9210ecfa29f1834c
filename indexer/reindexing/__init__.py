"""From one model to the next without an outage: filling, comparing, switching, going back.

Nothing is overwritten. A new embedder's embeddings lie beside the old one's; what a new tagger or captioner says lies
on the shelf until it is in effect, and what the old one said goes there then. A change is a row in Postgres, so
whatever dies on the way, the next one goes on from there.
"""
