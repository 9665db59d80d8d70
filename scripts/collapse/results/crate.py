"""The results of a study as a Workflow Run RO-Crate: what was run, on what, and what came out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from collapse.artifacts import files, manifest
from collapse.errors import JobError
from collapse.results import provenance
from collapse.results.dataset import read_dataset
from collapse.study import Study

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

#: The file that makes a folder an RO-Crate.
METADATA = "ro-crate-metadata.json"
#: Copies in the folder of the results; no experiment has a name with a point.
STUDY, WORKFLOW = "study.yaml", "workflow.smk"
#: The profiles that a crate of a run of a workflow conforms to.
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
#: The profile of the description of a workflow.
BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
#: Where ``sha256`` and ``FormalParameter`` are defined.
CONTEXT = "https://w3id.org/ro/terms/workflow-run/context"
FORMATS = {
    ".nc": "application/x-netcdf",
    ".csv": "text/csv",
    ".html": "text/html",
    ".png": "image/png",
    ".smk": "text/plain",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".yaml": "application/yaml",
}


def write(
    results: Path,
    study: Study,
    *,
    study_file: Path,
    sources: Mapping[str, str],
    project: Path,
    licence: str,
) -> Path:
    """Write the metadata of the crate, beside copies of the study and of the Snakefile.

    Parameters
    ----------
    results : Path
        The folder of the results, which becomes a crate.
    study, study_file
        The study, and the file that it was read from.
    sources : mapping of str to str
        The checksums of the files and folders that the study reads from outside.
    project : Path
        The folder of the Snakefile.
    licence : str
        The address of the licence of the results.

    Raises
    ------
    JobError
        If an experiment of the study has no dataset.
    """
    from rocrate.rocrate import ROCrate

    outputs = _outputs(results, study)
    shutil.copyfile(study_file, results / STUDY)
    shutil.copyfile(project / "Snakefile", results / WORKFLOW)
    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(CONTEXT)
    crate.root_dataset["conformsTo"] = [
        crate.add_jsonld(
            {"@id": address, "@type": "CreativeWork", "name": name, "version": version}
        )
        for address, (name, version) in PROFILES.items()
    ]
    names = ", ".join(study.experiments)
    crate.name = f"Model-data feedback loops: {names}"
    crate.description = f"Results of the experiments {names}, a run of a Snakemake workflow."
    about = {"@id": licence, "@type": "CreativeWork", "name": "Licence of the results"}
    crate.root_dataset["license"] = crate.add_jsonld(about)
    found = read_dataset(results / next(iter(study.experiments)) / "metrics.nc").attrs
    workflow = _workflow(crate, results, found)
    inputs = [_file(crate, results, STUDY), *_sources(crate, sources)]
    parameter = crate.add_formal_parameter(
        "study", "File", identifier="#study", valueRequired=True, description="The study file."
    )
    workflow["input"] = parameter
    inputs[0]["exampleOfWork"] = parameter
    made = [_file(crate, results, path) for path in outputs]
    times = sorted((results / path).stat().st_mtime for path in outputs)
    action = crate.add_action(
        workflow,
        "#run",
        object=inputs if len(inputs) > 1 else inputs[0],
        result=made,
        properties={
            "name": f"Run of the study {study_file.name}",
            "description": "The times are those of the first and the last output.",
            "startTime": _time(times[0]),
            "endTime": _time(times[-1]),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    )
    crate.root_dataset["mentions"] = action
    path = results / METADATA
    files.write_text(path, json.dumps(crate.metadata.generate(), indent=1) + "\n")
    return path


def _outputs(results: Path, study: Study) -> list[str]:
    """Return the datasets, tables, figures and pictures of a study, and its report."""
    for name in study.experiments:
        if not (results / name / "metrics.nc").is_file():
            raise JobError(
                f"{results / name / 'metrics.nc'}: found nothing, expected the dataset of a "
                "finished run; run the study first"
            )
    found = [results / name / "metrics.nc" for name in study.experiments]
    tables = sorted(results.glob("tables/*"))
    # Tables of one experiment have its name after the first hyphen.
    mine = {f"{kind}-{name}" for kind in ("samples", "mixture") for name in study.experiments}
    found += [path for path in tables if "-" not in path.stem or path.stem in mine]
    for folder in ("figures", "pictures"):
        for name in study.experiments:
            found += sorted((results / folder / name).glob("*"))
    found += [path for path in [results / "report.html"] if path.exists()]
    hidden = (path for path in found if path.is_file() and not path.name.startswith("."))
    return [path.relative_to(results).as_posix() for path in hidden]


def _workflow(crate: ROCrate, results: Path, versions: Mapping[str, Any]) -> Entity:
    """Add the workflow, with the versions of what its numbers depend on."""
    workflow = crate.add_workflow(
        str(results / WORKFLOW),
        WORKFLOW,
        main=True,
        lang="snakemake",
        lang_version=versions.get("snakemake_version"),
        properties=_properties(results, WORKFLOW)
        | {
            "name": "collapse: model-data feedback loops",
            "description": "The Snakefile; rules and scripts are in the project's commit.",
            "version": f"{versions['collapse_version']} ({versions['git_commit']})",
            "conformsTo": {"@id": BIOSCHEMAS},
        },
    )
    workflow["softwareRequirements"] = [
        crate.add_jsonld(
            {
                "@id": f"#{name}",
                "@type": "SoftwareApplication",
                "name": name,
                "version": str(versions[f"{name}_version"]),
            }
        )
        for name in ("python", *map(str.lower, provenance.PACKAGES))
        if f"{name}_version" in versions
    ]
    return workflow


def _sources(crate: ROCrate, sources: Mapping[str, str]) -> Iterable[Entity]:
    """Add the files and folders that a study reads, which are not in the crate themselves."""
    for number, (path, checksum) in enumerate(sources.items(), start=1):
        yield crate.add_jsonld(
            {
                "@id": f"#source-{number}",
                "@type": "PropertyValue",
                "name": Path(path).name,
                "description": "Data or a pretrained model that is not part of the crate.",
                "propertyID": "sha256",
                "value": checksum,
            }
        )


def _file(crate: ROCrate, results: Path, path: str) -> Entity:
    return crate.add_file(str(results / path), path, properties=_properties(results, path))


def _properties(results: Path, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "contentSize": str((results / path).stat().st_size),
        "sha256": manifest.checksum(results / path),
        "dateModified": _time((results / path).stat().st_mtime),
    }
    kind = FORMATS.get(Path(path).suffix)
    return found | {"encodingFormat": kind} if kind else found


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
