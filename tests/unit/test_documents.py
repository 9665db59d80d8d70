"""What documents, code and schema cite is there: pages, sections, mistakes, equations, tests."""

import re

import pytest

from collapse import families
from collapse.regimes import NAMED
from contract.examples import EXAMPLES
from running import PROJECT

REPRODUCTION = (PROJECT / "docs/reproduction.md").read_text(encoding="utf-8")
WRITTEN = [
    path
    for folder in ("*", "docs/**/*", "scripts/**/*", "tests/**/*", "config/**/*", "rules/*")
    for path in sorted(PROJECT.glob(folder))
    if path.suffix in (".md", ".rst", ".py", ".json", ".yaml", ".smk")
]


def words_of(path):
    """The text of a file without line breaks, and without what begins a comment's lines."""
    return re.sub(r"\s*\n\s*(#:? )?", " ", path.read_text(encoding="utf-8"))


def equations_of(page):
    """The numbers of the equations of a page."""
    return [int(n) for n in re.findall(r"\\tag\{(\d+)\}", (PROJECT / page).read_text("utf-8"))]


def test_cited_files_are_there():
    """All but those that docs/extending.md tells its reader to write."""
    file = r"(?<![\w/*-])[\w./-]*\w\.md\b|(?<![\w/])docs/[\w/]+\.\w++"
    for path in WRITTEN:
        for name in re.findall(rf"(?:{file})(?!` \| new)", words_of(path)):
            assert (PROJECT / name).exists() or (path.parent / name).exists(), (path, name)


def test_cited_mistakes_and_sections_are_there():
    for path in WRITTEN:
        words = words_of(path)
        for number in re.findall(r"reproduction\.md, mistake (\d+)", words):
            assert re.search(rf"^{number}\. \*\*", REPRODUCTION, re.MULTILINE), (path, number)
        for section in re.findall(r'reproduction\.md, \\?"([^"\\]+)', words):
            assert f"\n## {section}\n" in REPRODUCTION, (path, section)


def test_cited_equations_are_there():
    one, several = (
        r"(docs/[\w/]+\.md), eq\. \((\d+)\)",
        r"quations? ([\d ()toand]+) of `*(docs/[\w/]+\.md)",
    )
    for path in WRITTEN:
        words = words_of(path)
        found = re.findall(one, words) + [(page, n) for n, page in re.findall(several, words)]
        for page, numbers in found:
            cited = {int(number) for number in re.findall(r"\d+", numbers)}
            assert cited <= set(equations_of(page)), (path, page, cited)


@pytest.mark.parametrize(
    "page", sorted(PROJECT.glob("docs/theory/*.md")), ids=lambda page: page.stem
)
def test_a_page_of_theory_numbers_its_equations_and_names_tests_that_exist(page):
    numbers = equations_of(page)
    assert numbers == list(range(1, len(numbers) + 1))
    named = re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8"))
    files = re.findall(r"`(tests/\w+/\w+\.py)`", page.read_text(encoding="utf-8"))
    tests = "".join((PROJECT / file).read_text(encoding="utf-8") for file in files)
    assert named
    for name in named:
        assert f"def {name}(" in tests, name


@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate-subsample"])
@pytest.mark.parametrize("family", [name for name in EXAMPLES if EXAMPLES[name].chains])
def test_every_expectation_names_an_equation_of_a_page(family, regime):
    loaded = families.load(family)
    for parameters in (*(each.parameters for each in EXAMPLES[family].chains), {}):
        point = loaded.parameters(**parameters)
        for metric, one in loaded.expectations(point, NAMED[regime], 10, 3).items():
            page, number = re.fullmatch(
                r"(docs/theory/\w+\.md), eq\. \((\d+)\)", one.source
            ).groups()
            assert int(number) in equations_of(page), metric
