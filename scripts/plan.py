"""Print what the study costs and how long it takes, on the cores here or with GPUs of a card."""

import sys
from pathlib import Path

from collapse.errors import JobError
from collapse.loop import blocks
from collapse.loop.branches import Branches
from collapse.loop.plan import cards, machine, table
from collapse.study import Study

given, log = snakemake.params, Path(snakemake.log[0])

try:
    card = None if given.card is None else cards.find(str(given.card))
    gpus = cards.number_of(given.gpus, card)
    slots = machine.cores() if card is None else gpus
    core = machine.measured(again=given.measure)
    study = Study.model_validate(given.study)
    holds = {
        name: blocks.chosen(Branches(study, name), given.job_holds, on_cluster=card is not None)
        for name, experiment in study.experiments.items()
        if experiment.by_iteration
    }
    said = table.render(study, core, card, slots=slots, holds=holds)
except JobError as error:
    log.write_text(f"error: {error}\n", encoding="utf-8")
    sys.exit(f"error: {error}")
log.write_text(said, encoding="utf-8")
print(said)
