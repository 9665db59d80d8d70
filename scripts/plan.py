"""Print an estimate of what the study costs."""

from collapse.loop import plan
from collapse.study import Study

print(plan.render(Study.model_validate(snakemake.params.study)))
