"""`sightline vocabulary`: tags of one's own, beside those a tagger was trained with."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from indexer.cli.indexing import progress_bar
from indexer.cli.workspace import remarks
from indexer.errors import ConfigurationError
from indexer.model_hub.home import Home
from indexer.open_set import names as names_file
from indexer.open_set import own_tags
from indexer.settings import Settings, get_settings
from indexer.vocabulary import Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from indexer.open_set.names import NamedTag
    from indexer.open_set.own_tags import OwnTags

SHOWN_TAGS = 4
_TOKENS = 75  # what CLIP reads of a text, besides its beginning and its end

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Set = Annotated[str, typer.Argument(help="What the set of tags is called.")]
TaggerName = Annotated[
    str | None, typer.Option("--tagger", help="Which tagger it is for; default: SIGHTLINE_TAGGER.")
]


def add_to(root: typer.Typer) -> None:
    """Register the commands."""
    app.command()(add)
    app.command("list")(show_list)
    app.command()(remove)
    root.add_typer(
        app,
        name="vocabulary",
        help=(
            "Tags of your own, beside those a tagger was trained with.\n\n"
            "RAM and RAM++ look for anything that can be named. A set of names is embedded once, by CLIP, and kept"
            " with the tagger; SIGHTLINE_OWN_TAGS says which sets are looked for.\n\n"
            "Examples:\n\n"
            "- `sightline vocabulary add drones names.txt --tagger ram`\n"
            "- `SIGHTLINE_TAGGER=ram SIGHTLINE_OWN_TAGS=drones sightline index ~/Pictures`"
        ),
    )


@dataclass(frozen=True)
class OpenTagger:
    """An installed tagger that takes tags of one's own. `descriptions` is how many it weighs of each (RAM++), or 1."""

    name: str
    folder: Path
    descriptions: int
    label_width: int
    vocabulary: Vocabulary


def add(
    name: Set,
    file: Annotated[Path, typer.Argument(help="The tags: one name a line, or JSON.")],
    tagger: TaggerName = None,
    threshold: Annotated[
        float,
        typer.Option(min=0, max=1, help="Confidence above which a tag is asserted, if the file has none."),
    ] = 0.5,
    clip: Annotated[
        str | None,
        typer.Option(help="The text encoder, if from a file: ViT-B-16-quickgelu/FILE with OpenAI's weights."),
    ] = None,
) -> None:
    """Teach a tagger tags of your own, from a file of their names.

    For RAM, names are enough: each is put into 63 sentences. RAM++ weighs 51 descriptions of each tag, which
    somebody or some language model has to write. A set of the same name is replaced.

    The file: one name a line; or `[{"name": "drone", "threshold": 0.6}]`; or, for RAM++,
    `[{"name": "drone", "descriptions": ["...", ...]}]` or `[{"drone": ["...", ...]}]`.

    Thresholds of tags nobody has trained are guesses: look at what is found, and add the set again.

    Examples: `sightline vocabulary add drones names.txt --tagger ram` ·
    `sightline vocabulary add birds birds.json --tagger ram_plus --threshold 0.65`
    """
    settings = get_settings()
    chosen = _tagger(settings, tagger)
    tags = names_file.read_names(file)
    if chosen.descriptions > 1:
        names_file.check_descriptions(tags, chosen.descriptions, chosen.name)
    encoder = clip or own_tags.required_encoder(chosen.folder)
    own_tags.check_encoder(chosen.folder, encoder)
    own = _embedded(settings, chosen, name, tags, threshold, encoder, file)
    home = Home(settings.models_home, remarks.print)
    with home.locked(chosen.name):
        folder = own_tags.save(own, chosen.folder)
    for remark in _remarks(chosen, tags):
        remarks.print(f"[yellow]{escape(remark)}[/yellow]", soft_wrap=True)
    remarks.print(f"[green]{chosen.name} knows {len(tags):,} tags more:[/green] {folder}", soft_wrap=True)
    remarks.print(
        f"A new library looks for them with SIGHTLINE_TAGGER={chosen.name} SIGHTLINE_OWN_TAGS={name}; one that is there"
        f" after `SIGHTLINE_OWN_TAGS={name} sightline reindex --tagger {chosen.name}`.",
        soft_wrap=True,
    )


def show_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """List the sets of tags there are, and which are looked for.

    Example: `sightline vocabulary list`
    """
    settings = get_settings()
    folders = sorted(path.parent for path in settings.models_home.glob("[!.]*/tagger.json"))
    sets = [(folder, own_tags.load(folder, name)) for folder in folders for name in own_tags.names_of(folder)]
    if as_json:
        sys.stdout.write(json.dumps([_plain(settings, *one) for one in sets], ensure_ascii=False) + "\n")
        return
    table = Table(
        Column("set", no_wrap=True), Column("tagger", no_wrap=True), "tags", "such as", "looked for"
    )
    for folder, own in sets:
        some = ", ".join(own.vocabulary.tags[:SHOWN_TAGS])
        used = "yes" if _is_used(settings, folder, own) else ""
        table.add_row(own.name, folder.name, f"{len(own.vocabulary):,}", escape(some), used)
    if sets:
        Console().print(table)
    remarks.print(
        "[cyan]sightline vocabulary add NAME FILE[/cyan] adds a set; SIGHTLINE_OWN_TAGS chooses.",
        soft_wrap=True,
    )


def remove(name: Set, tagger: TaggerName = None) -> None:
    """Forget a set of tags. Images keep what was found.

    Example: `sightline vocabulary remove drones --tagger ram`
    """
    settings = get_settings()
    chosen = _tagger(settings, tagger)
    with Home(settings.models_home, remarks.print).locked(chosen.name):
        own_tags.remove(chosen.folder, name)
    remarks.print(f"{chosen.name} has forgotten {name}.")
    if name in settings.own_tag_sets:
        remarks.print(f"[yellow]SIGHTLINE_OWN_TAGS still names {name}: take it out there.[/yellow]")


def _tagger(settings: Settings, name: str | None) -> OpenTagger:
    """The tagger meant.

    Raises:
        UnknownModel: it is not here; ConfigurationError: its tags are fixed.
    """
    from indexer.checkpoints import read_spec

    spec, folder = read_spec("tagger", name or settings.tagger, settings.models_home)
    own_tags.required_encoder(folder)
    vocabulary = load_vocabulary(folder / (spec.vocabulary or "vocabulary.json"))
    return OpenTagger(
        spec.name, folder, spec.config.get("descriptions", 1), spec.config.get("label_width", 512), vocabulary
    )


def _embedded(
    settings: Settings,
    tagger: OpenTagger,
    name: str,
    tags: list["NamedTag"],
    threshold: float,
    encoder: str,
    file: Path,
) -> "OwnTags":
    """The set with its embeddings, made now."""
    from indexer import predictors
    from indexer.model_hub import open_clip_models

    own_tags.check_name(name)
    if encoder == own_tags.required_encoder(tagger.folder) and not open_clip_models.find(encoder).cached:
        raise ConfigurationError(
            f"{encoder}, whose text side embeds the tags, is not here: `sightline models pull {encoder}` brings it."
        )
    clip = predictors.load_embedder(encoder, predictors.resolve_device(settings.device), settings.models_home)
    if clip.dimension != tagger.label_width:
        raise ConfigurationError(
            f"{tagger.name} reads label embeddings {tagger.label_width} wide, {encoder} makes them {clip.dimension}"
            " wide: it is not the text encoder this tagger was trained with."
        )
    embed = own_tags.embed_descriptions if tagger.descriptions > 1 else own_tags.embed_names
    with progress_bar("Embedding tags", len(tags), False) as advance:
        label_embed = embed(tags, clip, advance)
    thresholds = tuple(threshold if tag.threshold is None else tag.threshold for tag in tags)
    vocabulary = Vocabulary(tuple(tag.name.replace("_", " ") for tag in tags), thresholds)
    made_by = (encoder, clip.identity.version)
    return own_tags.OwnTags(name, vocabulary, label_embed, tagger.descriptions, made_by, {"file": file.name})


def _remarks(tagger: OpenTagger, tags: list["NamedTag"]) -> list[str]:
    """What a person might not expect."""
    found = []
    if known := [tag.name for tag in tags if tag.name in tagger.vocabulary]:
        found.append(
            f"{tagger.name} knows {_some(known)} already: of the two tags, the surer one speaks for an image."
        )
    described = [tag.name for tag in tags if tag.descriptions]
    if tagger.descriptions == 1 and described:
        found.append(
            f"{tagger.name} reads no descriptions; those of {_some(described)} were not used, ram_plus would."
        )
    if tagger.descriptions > 1 and (cut := _cut(tags)):
        found.append(
            f"{cut:,} descriptions are longer than CLIP reads ({_TOKENS} tokens); their ends were cut."
        )
    return found


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_TAGS
    return ", ".join(names[:SHOWN_TAGS]) + (f" and {more} more" if more > 0 else "")


def _cut(tags: list["NamedTag"]) -> int:
    """How many descriptions have more tokens than are read."""
    import open_clip

    tokenizer = open_clip.get_tokenizer("ViT-B-16")
    return sum(len(tokenizer.encode(text)) > _TOKENS for tag in tags for text in tag.descriptions)


def _is_used(settings: Settings, folder: Path, own: "OwnTags") -> bool:
    return settings.tagger == folder.name and own.name in settings.own_tag_sets


def _plain(settings: Settings, folder: Path, own: "OwnTags") -> dict[str, object]:
    return {
        "name": own.name,
        "tagger": folder.name,
        "tags": own.vocabulary.thresholds_by_name(),
        "version": own.version,
        "text_encoder": {"name": own.text_encoder[0], "version": own.text_encoder[1]},
        "is_used": _is_used(settings, folder, own),
        "folder": str(folder / own_tags.FOLDER / own.name),
        **own.source,
    }
