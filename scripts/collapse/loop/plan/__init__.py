"""What a study costs: its jobs, the time and memory they take, and how long all of it takes.

Families count the work of their steps (`collapse.families.work`); `device` turns counted work into
seconds, `machine` measures the cores at hand, `cards` has figures of GPUs, `jobs` draws the graph
of a study's jobs, `schedule` simulates it, and `table` says what comes of it.
"""
