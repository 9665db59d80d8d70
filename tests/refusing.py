"""Studies of one experiment, as files, and what is said of those that are refused."""

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
