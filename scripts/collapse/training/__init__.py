"""Training that can be interrupted and goes on, on one GPU or many: what neural families share."""
