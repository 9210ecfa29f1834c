"""Models other people have published: what they are for, where they lie, what they weigh. Data only.

Addresses are pinned and files are known by their SHA-256, so that what is pulled next year is what was read today.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Family = Literal["ram", "ram_plus", "tag2text"]
Kind = Literal["tagger", "captioner", "embedder"]

HUB = "https://huggingface.co"
_CODE = "https://raw.githubusercontent.com/xinyu1205/recognize-anything"
_COMMIT = "7cb804a8609e9f4b1a50b7f31436d2df40bb9481"
_BERT = f"{HUB}/google-bert/bert-base-uncased"
_BERT_REVISION = "86b5e0934494bd15c9632b12f734a8a67f723594"


@dataclass(frozen=True)
class SideFile:
    """A small text file that belongs to a checkpoint; `also_called` are names people keep it under."""

    name: str
    what: str
    url: str
    sha256: str
    bytes: int
    also_called: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every file name it may be found under."""
        return (self.name, *self.also_called)


@dataclass(frozen=True)
class PublishedModel:
    """One checkpoint as its authors released it.

    `repository` and `revision` are of the Hugging Face Hub. `download_bytes` is the released file, optimizer state
    included; `installed_bytes` about what is kept of it. `names` maps a language to the file of tag names in it.
    """

    name: str
    kinds: tuple[Kind, ...]
    summary: str
    homepage: str
    licence: str
    repository: str
    file: str
    revision: str
    sha256: str | None
    download_bytes: int
    installed_bytes: int
    tags: SideFile | None = None
    thresholds: SideFile | None = None
    names: Mapping[str, SideFile] = field(default_factory=dict)
    tokenizer: SideFile | None = None

    @property
    def side_files(self) -> tuple[SideFile, ...]:
        """All files that come along with the checkpoint."""
        files = (self.tags, self.thresholds, *self.names.values(), self.tokenizer)
        return tuple(file for file in files if file is not None)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the checkpoint is, of the pinned revision and of the newest; its SHA-256 says whether it is the one."""
        revisions = dict.fromkeys((self.revision, "main"))
        return tuple(f"{HUB}/{self.repository}/resolve/{revision}/{self.file}" for revision in revisions)


RAM_TAGS = SideFile(
    "ram_tag_list.txt",
    "the 4,585 tags of RAM and RAM++",
    f"{_CODE}/{_COMMIT}/ram/data/ram_tag_list.txt",
    "5d96d2f7225527480ad773aaac76b6e5c08a18adf6eae9ca7d2ab923d5e7bd8b",
    41_904,
)
RAM_TAGS_CHINESE = SideFile(
    "ram_tag_list_chinese.txt",
    "their Chinese names",
    f"{_CODE}/{_COMMIT}/ram/data/ram_tag_list_chinese.txt",
    "c912657a0f30be7b2f5df6ccffa17e1d84561d0bea508528e38b6d0d711bcfbe",
    44_181,
)
RAM_THRESHOLDS = SideFile(
    "ram_tag_list_threshold.txt",
    "their thresholds",
    f"{_CODE}/{_COMMIT}/ram/data/ram_tag_list_threshold.txt",
    "b6f81d0de1bc7f9c251af512c413eae976c77dbfbadf700d4e3d90510f4c6447",
    22_016,
)
TAG2TEXT_TAGS = SideFile(
    "tag2text_ori_tag_list.txt",
    "the 3,429 tags of Tag2Text",
    f"{_CODE}/{_COMMIT}/ram/data/tag2text_ori_tag_list.txt",
    "7d05c7cb88ed46a2aee1434776964f6bdbda0c0f4233c8633e109084382d3a45",
    29_062,
    also_called=("tag_list.txt",),
)
BERT_TOKENS = SideFile(
    "vocab.txt",
    "the word pieces of bert-base-uncased",
    f"{_BERT}/resolve/{_BERT_REVISION}/vocab.txt",
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    231_508,
    also_called=("bert-base-uncased-vocab.txt",),
)

MODELS: dict[str, PublishedModel] = {
    model.name: model
    for model in (
        PublishedModel(
            "ram",
            ("tagger",),
            "4,585 tags in English and Chinese, and tags of your own",
            "https://github.com/xinyu1205/recognize-anything",
            "Apache-2.0",
            "xinyu1205/recognize_anything_model",
            "ram_swin_large_14m.pth",
            "ebc52dc741e86466202a5ab8ab22eae6e7d48bf1",
            "15c729c793af28b9d107c69f85836a1356d76ea830d4714699fb62e55fcc08ed",
            5_625_634_877,
            860_000_000,
            RAM_TAGS,
            RAM_THRESHOLDS,
            {"zh": RAM_TAGS_CHINESE},
        ),
        PublishedModel(
            "ram_plus",
            ("tagger",),
            "RAM++: the same tags from 51 descriptions each; better with rare ones",
            "https://github.com/xinyu1205/recognize-anything",
            "Apache-2.0",
            "xinyu1205/recognize-anything-plus-model",
            "ram_plus_swin_large_14m.pth",
            "84d4aee3a0265c4e0df1f714f0572011d1bf2ec3",
            "497c178836ba66698ca226c7895317e6e800034be986452dbd2593298d50e87d",
            3_010_210_801,
            1_330_000_000,
            RAM_TAGS,
            RAM_THRESHOLDS,
            {"zh": RAM_TAGS_CHINESE},
        ),
        PublishedModel(
            "tag2text",
            ("tagger", "captioner"),
            "3,429 tags, and captions guided by them or by tags of yours",
            "https://github.com/xinyu1205/recognize-anything",
            "Apache-2.0",
            "xinyu1205/recognize_anything_model",
            "tag2text_swin_14m.pth",
            "main",
            "4ce96f0ce98f940a6680d567f66a38ccc9ca8c4e638e5f5c5c2e881a0e3502ac",
            4_478_705_095,
            1_500_000_000,
            TAG2TEXT_TAGS,
            tokenizer=BERT_TOKENS,
        ),
        PublishedModel(
            "ViT-B-16/openai",
            ("embedder",),
            "CLIP; its text side makes tags of your own for RAM and RAM++",
            "https://github.com/openai/CLIP",
            "MIT",
            "timm/vit_base_patch16_clip_224.openai",
            "open_clip_model.safetensors",
            "main",
            None,
            598_500_000,
            598_500_000,
        ),
    )
}

# Tag2Text publishes no list of thresholds: its code has one for all tags, another for three, and its scripts delete
# seven that fire on everything.
TAG2TEXT_THRESHOLD = 0.68
TAG2TEXT_THRESHOLDS = {2701: 0.7, 2828: 0.7, 1167: 0.7}  # person, man, woman
TAG2TEXT_DELETED = (127, 2961, 3351, 3265, 3338, 3355, 3359)  # quarter, back, two, three, four, five, one
NEVER = 1.0  # a confidence is never over this

TAG2TEXT_PROMPT = (30522, 1037, 3861, 1997)  # [DEC] a picture of
TAG2TEXT_END = 102  # [SEP]
