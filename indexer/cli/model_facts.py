"""What `sightline models` says of a model: for scripts as JSON, for people in lines."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from indexer.model_hub import inventory
from indexer.model_hub.home import shown_bytes
from indexer.published import PublishedModel
from indexer.settings import Settings


def state(entry: inventory.Entry, settings: Settings) -> str:
    """In a word; and whether a setting chooses it now."""
    chosen = {"tagger": settings.tagger, "captioner": settings.captioner, "embedder": settings.embedder}
    state = "not here" if entry.state == "published" else entry.state
    return f"{state}, in use" if any(chosen[kind] == entry.name for kind in entry.kinds) else state


def entry_as_json(entry: inventory.Entry, settings: Settings) -> dict[str, object]:
    """A line of the list."""
    plain = asdict(entry) | {"folder": str(entry.folder) if entry.folder else None}
    return {**plain, "settings": list(entry.settings), "in_use": state(entry, settings).endswith("in use")}


def facts_here(entry: inventory.Entry) -> dict[str, object]:
    """Of a model that is here; raises CheckpointError if its metadata cannot be read."""
    found = inventory.details(entry)
    facts: dict[str, object] = {
        "parameters": found.parameters,
        "size": entry.bytes,
        "input": f"{found.input_size} x {found.input_size} pixels",
        "tags": found.tags,
        "languages": list(found.languages),
    }
    if found.thresholds:
        low, middle, high = found.thresholds
        facts["thresholds"] = {
            "lowest": low,
            "median": middle,
            "highest": high,
            "never_fire": found.silent_tags,
        }
    return facts | {
        "versions": dict(found.versions),
        "source": dict(found.source),
        "lies_in": str(entry.folder),
    }


def lines_here(facts: Mapping[str, Any]) -> dict[str, str]:
    """The same for people."""
    source, range_of = facts["source"], facts.get("thresholds")
    lines = {
        "knows": f"{facts['tags']:,} tags ({', '.join(facts['languages'])})" if facts["tags"] else "",
        "thresholds": "{lowest} to {highest}, half of them up to {median}".format(**range_of)
        if range_of
        else "",
        "never fire": f"{range_of['never_fire']} of the tags" if range_of and range_of["never_fire"] else "",
        "sees": facts["input"],
        "size": f"{facts['parameters'] / 1e6:,.1f} million parameters, {shown_bytes(facts['size'])}",
        "version": ", ".join(dict.fromkeys(facts["versions"].values())),
        "lies in": facts["lies_in"],
    }
    if source:
        lines |= {
            "made from": f"{source['file']} ({shown_bytes(source['bytes'])}) {source['address'] or ''}".strip(),
            "SHA-256": source["sha256"] + (", as published" if source["is_published"] else ""),
            "installed": source["installed"],
            "lists": ", ".join(source["side_files"]),
            "left out": "; ".join(
                f"{count} tensors {reason}" for reason, count in source["left_out"].items()
            ),
            "notes": " ".join(source["notes"]),
        }
    return {what: line for what, line in lines.items() if line}


def facts_published(model: PublishedModel) -> dict[str, object]:
    """Of a model that is not: every file with its address and SHA-256."""
    checkpoint = {
        "name": model.file,
        "url": model.urls[0],
        "sha256": model.sha256,
        "bytes": model.download_bytes,
    }
    lists = [
        {"name": one.name, "url": one.url, "sha256": one.sha256, "bytes": one.bytes}
        for one in model.side_files
    ]
    return {
        "homepage": model.homepage,
        "installed_bytes": model.installed_bytes,
        "files": [checkpoint, *lists],
    }


def lines_published(model: PublishedModel) -> dict[str, str]:
    """The same for people."""
    lines = {
        "homepage": model.homepage,
        "size": f"{shown_bytes(model.download_bytes)} to download, {shown_bytes(model.installed_bytes)} installed",
        "bring it": f"sightline models pull {model.name}",
        "by hand": "fetch these into one folder, then `sightline models import` the first:",
    }
    if not model.tags:  # OpenCLIP brings its own
        return {what: line for what, line in lines.items() if what != "by hand"}
    files = [
        (model.file, model.urls[0], model.sha256),
        *((one.name, one.url, one.sha256) for one in model.side_files),
    ]
    return lines | {
        f"  {name}": f"\n    {url}\n    SHA-256 {digest}" for name, url, digest in files if digest
    }
