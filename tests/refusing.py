"""Studies that are refused, with what is said of them, and files that are damaged."""

import json

import pytest
import yaml

from collapse import study as studies


def load(folder, family, **experiment):
    """Load a study of one experiment, named e."""
    plan = {"family": family, "regimes": ["replace"], "iterations": 2, "seeds": 1, "samples": 10}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({"experiments": {"e": {**plan, **experiment}}}))
    return studies.load(path)


def refused(folder, family, **experiment):
    """Return the line that says what is wrong with an experiment, from the key on."""
    with pytest.raises(studies.StudyError) as error:
        load(folder, family, **experiment)
    assert "\n" not in str(error.value)
    return str(error.value).partition("experiments.e.")[2]


def configured(name, **changes):
    """Return a function that changes keys of a JSON file in a folder."""

    def change(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | changes))

    return change
