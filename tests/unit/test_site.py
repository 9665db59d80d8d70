"""The pages of the documentation: generated tables and pictures, and studies that are studies.

`make docs` builds the site. Here is only what changes of the code would break.
"""

import re
from xml.etree import ElementTree

import pytest

import page_diagrams
import page_tables
from collapse import families, study
from collapse.regimes import NAMED, Regime
from collapse.study.experiment import IterativeExperiment
from running import PROJECT

PAGES = sorted(PROJECT.glob("docs/**/*.md"))
#: The tables that every page of a family has.
OF_FAMILIES = ("parameters", "headline", "metrics", "scores", "theory", "published")


def directives(page, kind):
    return re.findall(rf"^```\{{{kind}\}} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_table_and_picture_of_the_pages_is_made():
    tables = [words.split() for page in PAGES for words in directives(page, "generated")]
    for name, *arguments in tables:
        assert page_tables.TABLES[name](*arguments)
    assert {name for name, *_ in tables} == set(page_tables.TABLES)
    pictures = [words.split() for page in PAGES for words in directives(page, "diagram")]
    for name, *arguments in pictures:
        ElementTree.fromstring(page_diagrams.DIAGRAMS[name](*arguments))
    shown = {arguments[0] for name, *arguments in pictures if name == "regime"}
    assert shown == set(page_diagrams.SHOWN) >= set(NAMED)


@pytest.mark.parametrize("name", families.MODULES)
def test_every_family_has_a_page_with_all_of_its_tables(name):
    page = PROJECT / "docs" / "families" / f"{name}.md"
    assert page.is_file(), f"docs/families/{name}.md: found nothing, expected a page"
    assert directives(page, "generated") == [f"{table} {name}" for table in OF_FAMILIES]
    family, tables = (
        families.load(name),
        {one: page_tables.TABLES[one](name) for one in OF_FAMILIES},
    )
    declared = {"parameters": family.parameters.model_fields, "metrics": family.metrics}
    for table, names in declared.items():
        for one in names:
            assert f"| `{one}` |" in tables[table]
    assert f"`{family.headline.metric}`" in tables["headline"]


def test_the_tables_of_a_study_have_all_keys():
    tables = "".join(
        page_tables.TABLES[name]() for name in ("experiment", "by-steps", "regime-keys")
    )
    for key in (*IterativeExperiment.model_fields, *Regime.model_fields):
        assert f"| `{key}` |" in tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_studies_in_pages_are_studies(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for number, block in enumerate(block for block in blocks if "experiments:" in block):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block, encoding="utf-8")
        for data in re.findall(r"data: (\w+\.\w+)", block):
            (tmp_path / data).touch()
        study.load(path)
