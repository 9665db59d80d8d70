"""Other versions of a family's numbers, in a copy of the project."""

from pathlib import Path

#: More than any version that a family has.
NEWER = 99


def raised(project: Path, family: str, *steps: str) -> None:
    """Raise the versions of these steps of a family, or that of its closed form.

    ``family`` is the path of the family's module below `collapse.families`.
    """
    module = project / "scripts" / "collapse" / "families" / family
    versions = dict.fromkeys(steps, NEWER)
    part, change = (
        ("iterative", f"versions={{**FAMILY.iterative.versions, **{versions}}}")
        if steps
        else ("closed_form", f"version={NEWER}")
    )
    module.write_text(
        f"{module.read_text()}\nfrom dataclasses import replace\n\n"
        f"FAMILY = replace(FAMILY, {part}=replace(FAMILY.{part}, {change}))\n"
    )
