"""What the README shows is true."""

import re

from collapse import families, study
from running import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_study_it_explains_is_a_study(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "study.yaml"
    path.write_text(example, encoding="utf-8")
    assert len(list(study.load(path).chains("gaussian"))) == 3 * 2 * 2 * 4


def test_it_names_every_grid_key_and_metric():
    for family in families.MODULES:
        declared = families.load(family)
        (row,) = re.findall(rf"^\| {family} \|.*$", README, re.MULTILINE)
        for name in (*declared.parameters.model_fields, *declared.metrics):
            assert name in row


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (PROJECT / target).exists(), target
    for target in re.findall(r"^\| `([^`]+)`", README, re.MULTILINE):
        if not target.startswith("results/"):
            assert (PROJECT / target).exists(), target
