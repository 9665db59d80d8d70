"""Find the base model that every iteration starts from, and check it.

A base that the workflow pretrains itself (`pretraining.py`) needs no check.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from collapse.artifacts import manifest, remedies
from collapse.data import hub
from collapse.data.reading import reading
from collapse.data.text import tokenizing
from collapse.data.text.tokenizing import OWN, Special
from collapse.errors import JobError
from collapse.families.fine_tuning import architectures
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.text import TOKENIZER

#: Folder of the checkpoint, within that of a base that the workflow pretrains.
MODEL = "model"

#: The files of a checkpoint that are downloaded from the Hub.
_NEEDED = ("*.json", "*.safetensors")


class Base(NamedTuple):
    """A base model: its checkpoint, its special tokens, and its checksum."""

    path: Path
    special: Special
    sha256: str

    def as_details(self, relative_to: Path | None = None) -> dict[str, Any]:
        """Return the base as plain values, to be recorded with the real data.

        The path is absolute, or relative to the folder of the real data.
        """
        path = os.path.relpath(self.path, relative_to) if relative_to else self.path.resolve()
        return {"path": str(path), "special": self.special._asdict(), "sha256": self.sha256}


def recorded(data: Path, details: dict[str, Any]) -> Base:
    """Return the base that was recorded when the real data was prepared.

    Raises
    ------
    DamagedFileError
        If its checkpoint is no longer there.
    """
    noted = details["base"]
    path = Path(os.path.normpath(data / noted["path"]))  # an absolute path stays what it is
    if not (path / "config.json").is_file():
        raise remedies.damaged(path, "the base model is missing")
    return Base(path, special(details), noted["sha256"])


def special(details: Mapping[str, Any]) -> Special:
    """Return the special tokens of the base that was recorded."""
    return Special(**details["base"]["special"])


def prepare(parameters: Parameters, pretrained: Path | None, tokenizer: Path) -> dict[str, Any]:
    """Find a base and save its tokenizer; return the details to record.

    Parameters
    ----------
    parameters : Parameters
    pretrained : path or None
        Folder of the base that the workflow pretrained, if the parameters name it.
    tokenizer : path
        Folder in which the tokenizer is saved, in that of the real data.

    Raises
    ------
    JobError
        If there is no such checkpoint, or it can't be fine-tuned on pairs.
    """
    if pretrained is not None:
        shutil.copytree(pretrained / TOKENIZER, tokenizer)
        path = pretrained / MODEL
        base = Base(path, OWN, manifest.joint_checksum(sorted(path.glob("*.safetensors"))))
        return base.as_details(relative_to=tokenizer.parent)
    from collapse.text import trainable

    local = architectures.folder(parameters.base)
    path = _downloaded(str(architectures.on_hub(parameters.base))) if local is None else local
    found = _checked(parameters, path, tokenizer)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise JobError(f"{path}: found no weights, expected at least one file *.safetensors")
    trainable.check(path)
    checksum = manifest.joint_checksum([path / "config.json", *weights])
    return Base(path, found, checksum).as_details()


def _downloaded(name: str) -> Path:
    """Download a checkpoint from the Hub, or find it in the cache, and return its folder."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_NEEDED)))
    # The user has to resolve whatever fails here: the network, a licence, or a full disk.
    except Exception as error:
        raise JobError(
            f"{hub.missing(f'hub:{name}', error)}; accept its licence and run `hf download {name}` "
            "once where there is a network (a login node, same HF_HOME) and set HF_HUB_OFFLINE=1 "
            "for the jobs, or name a folder"
        ) from error


def _checked(parameters: Parameters, path: Path, tokenizer: Path) -> Special:
    """Save a checkpoint's tokenizer and return its special tokens, if it can be tuned on pairs."""
    from collapse.text import checkpoints
    from collapse.text.library import transformers

    config = checkpoints.configuration(path)
    with reading(path):
        shape = config.get_text_config()
        positions = getattr(shape, "max_position_embeddings", None)
        vocabulary = int(shape.vocab_size)
    if positions is not None and 0 < positions < parameters.context:
        raise JobError(
            f"{path}: context is {parameters.context}, expected at most the model's {positions}"
        )
    if not (path / "tokenizer.json").is_file():
        raise JobError(f"{path}: found no fast tokenizer, expected a tokenizer.json")
    with reading(path, "the tokenizer can't be loaded"):
        # The file says how texts are tokenised, and transformers what the special tokens are: it
        # would build another tokenizer from the vocabulary with most classes of tokenizers.
        content = (path / "tokenizer.json").read_text(encoding="utf-8")
        named = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
        own = tokenizing.load(path)
    if named.chat_template is not None and parameters.chat_template == "refuse":
        raise JobError(
            f"{path}: the base has a chat template, so it was fine-tuned before; choose a base "
            "without one, or set chat_template: ignore (the template is not used)"
        )
    names = {"pad": named.pad_token, "bos": named.bos_token, "eos": named.eos_token}
    ids: dict[str, int] = {}
    for kind, name in names.items():
        if name is None:
            raise JobError(
                f"{path}: the base's tokenizer has no {kind.upper()} token; name one as "
                f'"{kind}_token" in its tokenizer_config.json'
            )
        if (number := own.token_to_id(name)) is None:
            raise JobError(
                f"{path}: found {name!r} as {kind.upper()} token, expected one of tokenizer.json; "
                f'name one as "{kind}_token" in tokenizer_config.json'
            )
        ids[kind] = number
    if (found := tokenizing.vocabulary_of(own)) > vocabulary:
        raise JobError(
            f"{path}: the tokenizer has {found} tokens, expected at most the "
            f"{vocabulary} of the model's vocabulary"
        )
    tokenizing.write(tokenizer, content, list(names.values()))
    return Special(**ids)
