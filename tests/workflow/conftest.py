"""The environment of the runs of the workflow."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def environment():
    """Keep Hugging Face's libraries offline and torch to one core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
