"""What is for a public host names commands, files and papers that are there."""

import re

import yaml

import collapse
from running import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()


def read(path):
    return (PROJECT / path).read_text(encoding="utf-8")


def test_targets_that_are_named_are_there():
    pages = ["CONTRIBUTING.md", ".github/workflows/ci.yml", ".github/pull_request_template.md"]
    for page in (*pages, "config/README.md", "README.md"):
        named = set(re.findall(r"\bmake ([a-z-]+)(?=[`\s])", read(page)))
        assert named <= {*TARGETS, "sets", "and"}, page
    jobs = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]
    assert {"test", "lint", "docs", "slurm"} == set(jobs)


def test_hooks_run_what_make_lint_runs():
    lint = MAKEFILE.partition("\nlint:")[2].partition("\n\n")[0]
    for hook in yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]:
        program = re.search(r"\.venv/bin/(\S+)", hook["entry"])[1]
        assert f"$(BIN)/{program}" in lint


def test_the_citation_is_of_this_version_and_of_the_papers():
    found = yaml.safe_load(read("CITATION.cff"))
    assert str(found["version"]) == collapse.__version__
    assert {paper["url"] for paper in found["references"]} == set(
        re.findall(r"https://arxiv\.org/abs/[\d.]+", README)
    )


def test_the_table_of_studies_names_all_of_them():
    named = set(re.findall(r"`studies/([\w.]+)`", read("config/README.md")))
    assert named == {path.name for path in (PROJECT / "config" / "studies").iterdir()}
