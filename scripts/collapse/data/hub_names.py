"""Names of data sets on the Hugging Face Hub, as studies write them; no library is needed."""

from __future__ import annotations

#: Prefix of a source on the Hub.
PREFIX = "hub:"

#: Data sets of the papers, by the short names that studies may use.
NAMED = {
    "tinystories": "hub:roneneldan/TinyStories",
    "helpsteer2": "hub:nvidia/HelpSteer2",
    "celeba": "hub:flwrlabs/celeba",
}


def datasets_of(source: str) -> list[str]:
    """Return the Hub's data set that a source names, as a list that is empty if there is none."""
    full = NAMED.get(source, source)
    return [full.removeprefix(PREFIX)] if full.startswith(PREFIX) else []
