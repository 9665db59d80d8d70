"""A run as an RO-Crate: everything that it lists is there, as it says."""

import json

import pytest

import collapse
from collapse import study
from collapse.artifacts import manifest
from running import PROJECT, python

pytest.importorskip("rocrate")

from collapse.results import crate

STUDY = """
experiments:
  mine: {family: gaussian, regimes: [replace], iterations: 2, seeds: 2, samples: 9}
"""
LICENCE = "https://creativecommons.org/licenses/by/4.0/"


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    for name in ("mine", "other"):
        (folder / name).mkdir(parents=True)
        found = collapse.simulate("gaussian", "replace", samples=9, iterations=2, seeds=2)
        found.to_netcdf(folder / name / "metrics.nc")
        (folder / "figures" / name).mkdir(parents=True)
        (folder / "figures" / name / "trace-ratio.svg").write_text("<svg/>")
    (folder / "tables").mkdir()
    for name in ("summary.csv", "mixture-mine.csv", "mixture-other.csv", ".summary.csv.partial"):
        (folder / "tables" / name).write_text("a\n1\n")
    return folder


def written(results, **sources):
    path = results.parent / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    plan = study.load(path)
    given = {"study_file": path, "sources": sources, "project": PROJECT, "licence": LICENCE}
    found = crate.write(results, plan, **given)
    assert found == results / "ro-crate-metadata.json"
    return {entity["@id"]: entity for entity in json.loads(found.read_text())["@graph"]}


def test_every_output_of_the_study_is_listed_with_its_checksum(results):
    found = written(results, data="ab12")
    outputs = {
        *("mine/metrics.nc", "figures/mine/trace-ratio.svg"),
        *("tables/summary.csv", "tables/mixture-mine.csv"),
    }
    assert {one["@id"] for one in found["#run"]["result"]} == outputs
    assert {one["@id"] for one in found["#run"]["object"]} == {"study.yaml", "#source-1"}
    assert found["#source-1"]["value"] == "ab12"
    assert (results / "study.yaml").read_text() == STUDY
    listed = {one["@id"] for one in found["./"]["hasPart"]}
    assert listed == {*outputs, "study.yaml", "workflow.smk"}
    for name in listed:
        assert found[name]["sha256"] == manifest.checksum(results / name)
        assert int(found[name]["contentSize"]) == (results / name).stat().st_size


def test_nothing_that_is_referred_to_is_missing(results):
    found = written(results)
    elsewhere = ("http", "#source")

    def references(value):
        if isinstance(value, dict) and set(value) == {"@id"}:
            yield value["@id"]
        elif isinstance(value, dict | list):
            for one in value.values() if isinstance(value, dict) else value:
                yield from references(one)

    for entity in found.values():
        for name in references(entity):
            assert name in found or name.startswith(elsewhere), (entity["@id"], name)
    workflow = found[found["./"]["mainEntity"]["@id"]]
    assert workflow["@type"] == ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    assert found["#run"]["instrument"] == {"@id": "workflow.smk"}
    assert found["#run"]["startTime"] <= found["#run"]["endTime"]
    profiles = {one["@id"] for one in found["./"]["conformsTo"]}
    assert profiles == set(crate.PROFILES) and found["./"]["license"] == {"@id": LICENCE}


def test_the_command_writes_it_and_tells_what_is_missing(results):
    (results.parent / "study.yaml").write_text(STUDY, encoding="utf-8")
    command = (PROJECT / "scripts" / "crate.py", "--directory", results.parent)
    found = python(*command, "--license", LICENCE, "--config", "study=study.yaml")
    assert found.stdout == f"crate: {results}/ro-crate-metadata.json\n", found.stderr
    (results / "mine" / "metrics.nc").unlink()
    found = python(*command, "--config", "study=study.yaml")
    assert found.returncode == 1 and len(found.stderr.splitlines()) == 1
    assert found.stderr.startswith(f"error: {results}/mine/metrics.nc: found nothing, expected")
