"""Generalised linear models with the canonical link, fitted by unpenalised maximum likelihood."""
