"""What the README shows is true."""

import re

import yaml

from collapse import families, study
from running import PROJECT, python

README = (PROJECT / "README.md").read_text(encoding="utf-8")
(EXAMPLE,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


def test_it_is_short():
    assert len(README.splitlines()) <= 140
    assert len(EXAMPLE.splitlines()) <= 12


def test_the_study_it_shows_is_a_study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    assert len(list(study.load(path).chains("gaussian"))) == 3 * 2 * 2


def test_what_it_asks_from_python_is_answered():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = python("-c", code)
    assert done.returncode == 0 and "Coordinates:" in done.stdout, done.stderr


def test_the_table_of_the_default_study_has_its_experiments_and_regimes():
    name = yaml.safe_load((PROJECT / "config" / "config.yaml").read_text())["study"]
    plan = study.load(PROJECT / name)
    (table,) = re.findall(r"```\n(experiment +regime .*?)```", README, re.DOTALL)
    rows = [tuple(line.split()[:2]) for line in table.splitlines()[2:]]
    assert rows == [(name, regime) for name in plan.experiments for regime in plan.regimes_of(name)]
    assert {plan.experiments[name].family for name in plan.experiments} <= set(families.MODULES)


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target
