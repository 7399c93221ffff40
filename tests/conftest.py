"""What all tests share."""

import gc
import os
import signal
from importlib.metadata import version
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
TOOLS_TESTS = Path(__file__).parent / "tools"

# One test, of minutes: were it the last to start, a process would wait for it.
LONGEST = "test_documented_commands.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest file first; leaves some out on TensorFlow 2.15.

    These are what is marked as saying nothing of its version, and benchmarks that take
    long, which are of the current stack.
    """
    items.sort(key=lambda item: item.path.name != LONGEST)
    if not version("keras").startswith("2."):
        return
    skip = pytest.mark.skip(reason="run on the current stack alone")
    for item in items:
        is_benchmark = TOOLS_TESTS in item.path.parents and "slow" in item.keywords
        if is_benchmark or "current_stack" in item.keywords:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Has what was imported looked through no more for garbage: a twentieth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def shared_data() -> Path:
    """The folder of development data beside the checkout; skips where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs ../shared/data")
    return SHARED_DATA


@pytest.fixture(scope="session")
def tiny_celeba(tmp_path_factory) -> Path:
    """A folder like CelebA's with 60 drawn faces: 40 train, 14 test. To be read only."""
    from tests import faces

    folder = tmp_path_factory.mktemp("celeba")
    faces.write_celeba(folder)
    return folder


@pytest.fixture
def litert_dir(tmp_path) -> Path:
    """Stand-ins for the packages of LiteRT.js, in the layout of npm."""
    from dfcvae_tf.exporting import web
    from dfcvae_tf.files import write_json

    folder = tmp_path / "some litert"
    packages = folder / web.PACKAGES
    (packages / "core/dist").mkdir(parents=True)
    (packages / "core/wasm").mkdir()
    (packages / "wasm-utils/dist").mkdir(parents=True)
    for name in web.NAMES:
        write_json(packages / name / "package.json", {"version": web.LITERT_VERSION})
    (packages / "core/dist/index.js").write_bytes(b"import " + web.UTILS_IMPORT)
    (packages / "wasm-utils/dist/bundle.js").write_text("utils")
    (packages / f"core/wasm/{web.WASM_BUILD}.js").write_text("script")
    (packages / f"core/wasm/{web.WASM_BUILD}.wasm").write_text("wasm")
    return folder


@pytest.fixture
def interruptible():
    """SIGINT as at a terminal, also in programs a test starts.

    What is started in the background of a shell begins with it ignored.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
