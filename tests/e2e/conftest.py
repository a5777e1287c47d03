"""One run of the demo, whose artifacts the other tests go on from."""

import pytest
from factories.demo import Demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo.run(tmp_path_factory.mktemp("demo"))
