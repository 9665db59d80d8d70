"""What the jobs of a family import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "family", ["gaussian", "language_model", "fine_tuning", "vae", "molecule_diffusion"]
)
def test_the_steps_of_a_family_import_nothing_that_draws(family):
    """They would wait seconds for it in every job."""
    for library in () if family == "gaussian" else ("torch", "transformers", "rdkit"):
        pytest.importorskip(library)
    code = f"import sys, collapse.families.{family}.steps; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"matplotlib", "scipy.stats"} & set(found.stdout.split())
