"""Find or pretrain the base model that every iteration starts from, and check it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import transformers

from collapse.artifacts import manifest, remedies
from collapse.artifacts.step import Step
from collapse.data import hub
from collapse.data.text import stories, tokenizing, tokens
from collapse.data.text.tokenizing import OWN, Special
from collapse.errors import JobError, in_one_line
from collapse.families import language_model
from collapse.families.fine_tuning import architectures
from collapse.families.fine_tuning.parameters import Parameters
from collapse.families.language_model import training
from collapse.families.step_jobs import TrainJob
from collapse.text import checkpoints

#: Folder of the built-in base, within the folder of the real data.
FOLDER = "base"

#: Number of passes of the built-in base over its stories.
EPOCHS = 2.0

#: Number of test stories for the learning curve of its pretraining.
_TEST_STORIES = 200

#: The files of a checkpoint that are downloaded from the Hub.
_NEEDED = ("*.json", "*.safetensors", "tokenizer.model")


class Base(NamedTuple):
    """A base model: its checkpoint, its special tokens, and its checksum."""

    path: Path
    special: Special
    sha256: str

    def as_details(self, directory: Path) -> dict[str, Any]:
        """Return the base as plain values, to be recorded with the real data in a directory."""
        inside = self.path.is_relative_to(directory)
        path = self.path.relative_to(directory) if inside else self.path.resolve()
        return {"path": str(path), "special": self.special._asdict(), "sha256": self.sha256}


def recorded(data: Path, details: dict[str, Any]) -> Base:
    """Return the base that was recorded when the real data was prepared.

    Raises
    ------
    DamagedFileError
        If its checkpoint is no longer there.
    """
    noted = details["base"]
    path = data / noted["path"]  # an absolute path stays what it is
    if not (path / "config.json").is_file():
        raise remedies.damaged(path, "the base model is missing")
    return Base(path, Special(**noted["special"]), noted["sha256"])


def prepare(
    step: Step, parameters: Parameters, pairs: Iterable[str], directory: Path, tokenizer: Path
) -> Base:
    """Find or pretrain a base, and save its tokenizer.

    Parameters
    ----------
    step : Step
        The step of the preparation, which gives the random streams.
    parameters : Parameters
    pairs : iterable of str
        Texts that the built-in base's tokenizer is trained on, besides the stories.
    directory : path
        Folder of the real data; the built-in base is saved in it.
    tokenizer : path
        Folder in which the tokenizer is saved.

    Raises
    ------
    JobError
        If there is no such checkpoint, or it can't be fine-tuned on pairs.
    """
    if architectures.is_built_in(parameters.base):
        return _pretrained_here(step, parameters, pairs, directory, tokenizer)
    local = architectures.folder(parameters.base)
    path = _downloaded(str(architectures.on_hub(parameters.base))) if local is None else local
    special = _checked(parameters, path, tokenizer)
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise JobError(f"{path}: found no weights, expected at least one file *.safetensors")
    return Base(path, special, manifest.joint_checksum([path / "config.json", *weights]))


def _pretrained_here(
    step: Step, parameters: Parameters, pairs: Iterable[str], directory: Path, tokenizer: Path
) -> Base:
    """Pretrain the built-in base on stories, with a vocabulary of stories and pairs."""
    generator = step.stream("base stories")
    texts = stories.draw(parameters.base_stories + _TEST_STORIES, generator)
    test, train = texts[:_TEST_STORIES], texts[_TEST_STORIES:]
    # The tokenizer sees as many pairs as stories, so that words of both get their own tokens.
    known = [*train, *islice(pairs, len(train))]
    tokenizing.train(known, parameters.vocabulary, tokenizer)
    pretrained = language_model.Parameters(
        model=architectures.TINY,
        vocabulary=parameters.vocabulary,
        context=parameters.context,
        epochs=EPOCHS,
        precision=parameters.precision,
        curve_points=1,
    )
    path = directory / FOLDER
    path.mkdir()
    with tempfile.TemporaryDirectory(dir=directory) as name:
        scratch = Path(name)
        for split, documents in (("train", train), ("test", test)):
            tokens.write_documents(
                scratch / split,
                documents,
                tokenizer,
                context=parameters.context,
                long_documents="truncate",
            )
        job = TrainJob(
            step=step,
            parameters=pretrained,
            data=scratch,
            selections=(),
            fingerprint="base",
            scratch=scratch,
            model=path,
        )
        training.train(
            job,
            tokens.read(scratch / "train", columns=("tokens", "ended")),
            test=tokens.read(scratch / "test"),
            tokenizer=tokenizer,
        )
    return Base(path, OWN, manifest.joint_checksum(sorted(path.glob("*.safetensors"))))


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
    config = checkpoints.configuration(path)
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and parameters.context > positions:
        raise JobError(
            f"{path}: context is {parameters.context}, expected at most the model's {positions}"
        )
    try:
        found = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=True, trust_remote_code=False
        )
        found.save_pretrained(tokenizer)
    except Exception as error:  # each kind of tokenizer raises its own
        raise JobError(f"{path}: the tokenizer can't be loaded ({in_one_line(error)})") from None
    if not (tokenizer / "tokenizer.json").is_file():
        raise JobError(f"{path}: found no fast tokenizer, expected a tokenizer.json")
    if found.chat_template is not None and parameters.chat_template == "refuse":
        raise JobError(
            f"{path}: the base has a chat template, so it was fine-tuned before; choose a base "
            "without one, or set chat_template: ignore (the template is not used)"
        )
    ids = {"pad": found.pad_token_id, "bos": found.bos_token_id, "eos": found.eos_token_id}
    for kind, number in ids.items():
        if number is None:
            raise JobError(
                f"{path}: the base's tokenizer has no {kind.upper()} token; name one as "
                f'"{kind}_token" in its tokenizer_config.json'
            )
    if len(found) > config.vocab_size:
        raise JobError(
            f"{path}: the tokenizer has {len(found)} tokens, expected at most the "
            f"{config.vocab_size} of the model's vocabulary"
        )
    return Special(**ids)
