"""A study on a SLURM cluster: its driver, checks before it starts, and the waits of its chains."""
