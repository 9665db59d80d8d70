"""The configuration that Snakemake would have with some arguments, as its own parser reads them."""

from __future__ import annotations

import io
import shlex
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from collapse.study.errors import StudyError, shown


def configuration(
    arguments: Sequence[str], *, default: Path, directory: Path, profile: str | Path
) -> dict[str, Any]:
    """Return the configuration of the workflow.

    Parameters
    ----------
    arguments : sequence of str
        Snakemake's arguments, such as ``--config study=PATH`` and ``--configfile FILE``.
    default : Path
        The workflow's own configuration file.
    directory : Path
        The working directory of Snakemake, where its relative paths begin.
    profile : path
        The folder of its profile, which may configure the workflow as well.

    Raises
    ------
    StudyError
        If Snakemake does not understand the arguments, or the files that they name.
    """
    from snakemake import cli
    from snakemake.common.configfile import load_configfile
    from snakemake.settings.types import ConfigSettings
    from snakemake.utils import update_config
    from snakemake_interface_common.exceptions import WorkflowError

    usage = io.StringIO()
    try:
        with redirect_stderr(usage):
            chosen = cli.get_argument_parser(profiles=[str(profile)]).parse_args(list(arguments))
    except SystemExit:
        why = (usage.getvalue().splitlines() or ["its help"])[-1].removeprefix("snakemake: ")
        raise StudyError(f"Snakemake's arguments: {why}") from None
    for target in chosen.targets:
        if target.startswith("study="):
            wanted = f"--config {shlex.quote(target)}"
            raise StudyError(f"Snakemake's arguments: found {shown(target)}, expected {wanted}")
    try:
        given = ConfigSettings(
            config=cli.parse_config(chosen.config),
            configfiles=[directory / path for path in chosen.configfile],
        )
        found: dict[str, Any] = {} if chosen.replace_workflow_config else load_configfile(default)
    except (WorkflowError, OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise StudyError(f"Snakemake's arguments: {why}") from None
    update_config(found, given.overwrite_config)
    return found
