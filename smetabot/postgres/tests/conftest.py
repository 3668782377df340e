from collections.abc import Iterator

import pytest

from .project import drop_everything


@pytest.fixture
def scratch(transactional_db) -> Iterator[None]:
    """All that a test makes is named engine_… and goes afterwards.

    `django_db(available_apps=[])` leaves nothing to flush, which would take longer than the test.
    """
    drop_everything()
    yield
    drop_everything()
