"""What goes over the wire: requests and answers, one file a noun."""

from search_api.schemas.collections import CollectionIn, CollectionOut, CollectionsOut, MembersChanged
from search_api.schemas.edits import EditIn, EditItemOut, EditMade, EditOut, EditsOut, EditUndone, Selection
from search_api.schemas.health import AliveOut, PartStatus, ReadyOut, StatsOut
from search_api.schemas.images import (
    CaptionIn,
    CaptionOut,
    ExampleOut,
    ImageOut,
    ImageSummary,
    Refusal,
    SourceOut,
    StatedBy,
    TagOut,
    UploadItem,
    UploadOut,
)
from search_api.schemas.jobs import FailureOut, JobDetail, JobOut, JobsOut
from search_api.schemas.search import HitOut, SearchIn, SearchOut, TagFilterIn, Total
from search_api.schemas.tags import TagCountOut, TagsOut

__all__ = [
    "AliveOut",
    "CaptionIn",
    "CaptionOut",
    "CollectionIn",
    "CollectionOut",
    "CollectionsOut",
    "EditIn",
    "EditItemOut",
    "EditMade",
    "EditOut",
    "EditUndone",
    "EditsOut",
    "ExampleOut",
    "FailureOut",
    "HitOut",
    "ImageOut",
    "ImageSummary",
    "JobDetail",
    "JobOut",
    "JobsOut",
    "MembersChanged",
    "PartStatus",
    "ReadyOut",
    "Refusal",
    "SearchIn",
    "SearchOut",
    "Selection",
    "SourceOut",
    "StatedBy",
    "StatsOut",
    "TagCountOut",
    "TagFilterIn",
    "TagOut",
    "TagsOut",
    "Total",
    "UploadItem",
    "UploadOut",
]
