"""The web edge: HTTP in, `indexer` behind it, problem+json where something is refused.

- `app`: the factory
- `problems`: which error answers with which status
- `security`: which requests are let in, which headers go out
- `services`: connections and models one server process holds
- `dependencies`: what endpoints ask for
- `multipart`: files read from a request with a limit on each
- `schemas`, `views`: what goes over the wire, and how it is made from catalogue values
- `endpoints/`: one file a noun
- `static/`: the page
"""
