"""Print what the study costs."""

from collapse import planning
from collapse.study import Study

print(planning.render(Study.model_validate(snakemake.params.study)))
