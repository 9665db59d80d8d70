"""Names of data sets on the Hugging Face Hub, as studies write them: without any library."""

from __future__ import annotations

#: What the name of such a source begins with.
PREFIX = "hub:"

#: Data sets of the papers, by the names that studies may call them.
NAMED = {
    "tinystories": "hub:roneneldan/TinyStories",
    "helpsteer2": "hub:nvidia/HelpSteer2",
    "celeba": "hub:flwrlabs/celeba",
}


def datasets_of(source: str) -> list[str]:
    """Return the data set of the Hub that a source of real data stands for, if it does."""
    full = NAMED.get(source, source)
    return [full.removeprefix(PREFIX)] if full.startswith(PREFIX) else []
