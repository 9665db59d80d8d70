"""Drawings of a test, which are looked at and not saved."""

from matplotlib import pyplot

from collapse.plotting import style


def kept(patch):
    """Return the drawings that are to be saved from now on, by the names of their files."""
    found = {}

    def keep(drawing, path):
        found[path.name] = drawing
        pyplot.close(drawing)

    patch.setattr(style, "save", keep)
    return found
