"""The loop: chains in closed form, the steps of an iteration, the inputs of rules, and the plan."""
