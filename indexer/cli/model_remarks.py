"""What a person should know of a library's models: a setting that is not obeyed, a model that is not here."""

from collections.abc import Iterator, Mapping

from indexer.catalog.models import ModelRow
from indexer.errors import UnknownModel
from indexer.model_names import check_known
from indexer.published import Kind
from indexer.settings import Settings


def remarks_on(settings: Settings, in_effect: Mapping[Kind, ModelRow]) -> Iterator[str]:
    """One line for each thing that is otherwise than the settings say, or cannot work here."""
    for kind, row in in_effect.items():
        yield from _not_here(settings, kind, row)
        if reason := _not_obeyed(settings, kind, row):
            wanted = settings.chosen_models[kind]
            yield (
                f"{reason} is not obeyed: the {kind} of this library is {row.name} ({row.version})."
                f" `sightline reindex --{kind} {wanted}` changes it."
            )


def _not_here(settings: Settings, kind: Kind, row: ModelRow) -> Iterator[str]:
    if "/" in row.name:  # OpenCLIP's own library knows whether it has it
        return
    try:
        check_known(kind, row.name, settings.models_home)
    except UnknownModel as error:
        needs = "searched by meaning or indexed" if kind == "embedder" else "indexed"
        yield (
            f"Nothing can be {needs} here: the {kind} of this library is not on this machine. {error} Or change the"
            f" library to one that is: `sightline reindex --{kind} NAME`."
        )


def _not_obeyed(settings: Settings, kind: Kind, row: ModelRow) -> str:
    """The setting somebody has made that says otherwise, if one does."""
    made, wanted, parts = settings.model_fields_set, settings.chosen_models[kind], row.version.split("+")
    if kind in made and wanted != row.name:
        return f"SIGHTLINE_{kind.upper()}={wanted}"
    precision = "bf16" if "bf16" in parts else "exact"
    if "precision" in made and settings.precision != precision and "/" not in row.name:
        return f"SIGHTLINE_PRECISION={settings.precision}"
    sets = sum(part.startswith("tags.") for part in parts)
    if kind == "tagger" and "own_tags" in made and len(settings.own_tag_sets) != sets:
        return f"SIGHTLINE_OWN_TAGS={settings.own_tags}"
    return ""
