"""Print an estimate of what the study costs."""

from pathlib import Path

from collapse.loop import plan
from collapse.study import Study

said = plan.render(Study.model_validate(snakemake.params.study))
Path(snakemake.log[0]).write_text(said, encoding="utf-8")
print(said)
