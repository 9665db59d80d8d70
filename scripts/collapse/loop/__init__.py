"""What runs, in which order: chains in closed form, the steps of an iteration, and the plan."""
