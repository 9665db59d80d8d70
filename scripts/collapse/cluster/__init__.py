"""The driver of a study on a SLURM cluster, what could go wrong there, and how long jobs wait."""
