"""Every SQL statement, by what it is about.

Functions take a session, never commit, and return plain values: whoever opened the session decides.

- `connection`: engine, migrations, the lock that makes one writer at a time
- `images`: registration, identity, the road from pending to indexed
- `annotations`: what models, people and files say of an image
- `tags`: names, aliases, counts
- `spellings`: every name of every tag, for autocomplete
- `filters`: a tag filter as SQL
- `changes`: which images have changed since one last looked
- `postings`: image ids by tag, year, format, who describes them, collection, size, in one stream
- `browsing`: pages in the order of a column, along its index
- `hits`: everything a result page shows of its images
- `jobs`: requests to index and how far they are
- `consistency`: what Milvus should hold
"""
