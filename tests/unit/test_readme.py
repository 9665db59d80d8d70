"""What the README shows is true."""

import re

import yaml

from collapse import families, study
from running import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_study_it_explains_is_a_study(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "study.yaml"
    path.write_text(example, encoding="utf-8")
    assert len(list(study.load(path).chains("gaussian"))) == 3 * 2 * 2 * 4


def test_the_table_of_the_default_study_has_its_experiments_and_regimes():
    name = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())["study"]
    plan = study.load(PROJECT / name)
    (table,) = re.findall(r"```\n(experiment +regime .*?)```", README, re.DOTALL)[:1]
    rows = [tuple(line.split()[:2]) for line in table.splitlines()[2:]]
    assert rows == [(name, regime) for name in plan.experiments for regime in plan.regimes_of(name)]
    assert {plan.experiments[name].family for name in plan.experiments} == set(families.MODULES)


def test_it_names_every_grid_key_and_metric():
    for family in families.MODULES:
        declared = families.load(family)
        (row,) = re.findall(rf"^\| {family} \|.*$", README, re.MULTILINE)
        for name in (*declared.parameters.model_fields, *declared.metrics):
            assert name.removesuffix("_of_data") in row


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target
    for target in re.findall(r"^\| `([^`]+)`", README, re.MULTILINE):
        if not target.startswith("results/"):
            assert (PROJECT / target).exists(), target
