"""The layout: which module may import which, what is installed, and fast `--help`."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "dfcvae_tf"

# A module imports only from rows above its own, or within its own package.
ROWS = [
    {"errors"},
    {"files", "messages", "settings"},
    {
        "config",
        "images",
        "run_dir",
        "command_line",
        "provenance",
        "weights",
    },
    {"presets", "common_flags"},
    {"losses"},
    {
        "attribute_vectors",
        "image_files",
        "image_metrics",
        "models",
        "perceptual",
        "data",
    },
    {"objective", "loaded_run"},
    {"checkpoints"},
    {"training", "evaluation", "exporting"},
    {"train", "train_classifier", "evaluate", "interpolate", "sample", "attributes"},
]
PROGRAMS = [
    "dfcvae_tf.train",
    "dfcvae_tf.train_classifier",
    "dfcvae_tf.evaluate",
    "dfcvae_tf.interpolate",
    "dfcvae_tf.sample",
    "dfcvae_tf.attributes",
    "export.__main__",
    "tools.benchmark",
    "tools.bundle_run",
    "tools.make_mnist_sample",
    "tools.prepare_celeba",
    "tools.serve_web",
]


def row_of(part: str) -> int:
    return next(index for index, row in enumerate(ROWS) if part in row)


def imports(path: Path):
    """Dotted names of this package that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == PACKAGE)


def test_modules_import_only_from_rows_above():
    seen = set()
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        own = parts[0]
        if own == "__init__":  # names nothing but what it gives out
            continue
        seen.add(own)
        for name in imports(path):
            other = name.split(".")[1]
            if other == own and len(parts) > 1:
                continue
            assert row_of(other) < row_of(own), f"{path} imports {name}"
    assert seen <= set().union(*ROWS)


def test_no_module_reads_the_global_flags():
    for path in (ROOT / PACKAGE).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert "FLAGS" not in (getattr(node, "attr", ""), getattr(node, "id", ""))


def test_every_program_is_listed_here():
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in (PACKAGE, "export", "tools")
        for path in (ROOT / folder).rglob("*.py")
        if '\nif __name__ == "__main__":' in path.read_text()
    ]
    assert sorted(found) == sorted(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_answers_without_tensorflow(program):
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{program!r}, '--help']\n"
        "try:\n"
        f"    runpy.run_module({program!r}, run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    assert stop.code == 0, stop.code\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "Flags:" in result.stdout


@pytest.mark.slow
def test_wheel_holds_one_package_with_its_assets_and_is_small(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {PACKAGE}
    tracked = subprocess.run(
        ["git", "ls-files", PACKAGE],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert tracked and set(tracked) <= set(names)
    assert wheel.stat().st_size < 10 * 2**20
