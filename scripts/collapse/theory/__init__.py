"""Exact expectations of the closed-form families, a module each: the dashed lines of the figures.

Every function names its equation in ``docs/theory/``, where it is derived. Arrays run over the
model-fitting iterations t = 1..T.
"""
