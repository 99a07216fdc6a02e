"""What several test files share."""

import pytest
from launched import Launched, launch


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Launched:
    """The tiny sweep, launched once with two workers. To be read only: copy `runs` to change it."""
    return launch(tmp_path_factory.mktemp("tiny"), jobs=2)
