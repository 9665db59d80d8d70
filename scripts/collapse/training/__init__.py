"""Resumable training on one or several GPUs, which all neural families share."""
