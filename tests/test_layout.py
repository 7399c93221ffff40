"""The layout: which module may import which, what is installed, and fast `--help`."""

import ast
import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.programs import ROOT, run_python

PACKAGE = "dfcvae_tf"

# A module imports only from rows above its own, or within its own package.
ROWS = [
    {"errors"},
    {"files", "messages", "names", "settings"},
    {
        "config",
        "images",
        "picture_files",
        "run_dir",
        "command_line",
        "provenance",
        "weights",
    },
    {"presets", "common_flags", "own_code"},
    {"losses", "kl_weight", "handed_over"},
    {
        "attribute_vectors",
        "image_files",
        "metrics",
        "models",
        "perceptual",
        "data",
    },
    {"adversarial", "labels"},
    {"objective", "loaded_run"},
    {"prior_file"},
    {"checkpoints"},
    {"training", "evaluation", "exporting"},
    {
        "train",
        "train_classifier",
        "fit_prior",
        "evaluate",
        "interpolate",
        "sample",
        "attributes",
        "export",
    },
]
PROGRAMS = [
    "dfcvae_tf.train",
    "dfcvae_tf.train_classifier",
    "dfcvae_tf.fit_prior",
    "dfcvae_tf.evaluate",
    "dfcvae_tf.interpolate",
    "dfcvae_tf.sample",
    "dfcvae_tf.attributes",
    "dfcvae_tf.export",
    "export.__main__",
    "tools.benchmark",
    "tools.bundle_run",
    "tools.demo_page",
    "tools.distill_vgg19",
    "tools.make_mnist_sample",
    "tools.prepare_celeba",
    "tools.serve_web",
    "tools.sweep",
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
    result = run_python("-c", code)
    assert result.returncode == 0, result.stderr
    assert "Flags:" in result.stdout


def test_every_program_of_the_package_is_a_command():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    commands = setup["options.entry_points"]["console_scripts"].split("\n")[1:]
    assert commands == sorted(
        f"dfcvae-{name.replace('_', '-')} = {PACKAGE}.{name}:run" for name in ROWS[-1]
    )


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_holds_one_package_with_its_assets_and_is_small(wheel):
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
    assert wheel.stat().st_size < 12 * 2**20


@pytest.fixture(name="command")
def _command(wheel, tmp_path):
    """Runs a command of the wheel in the folder `empty`: name, arguments -> what it did.

    The wheel lies in an environment of its own, which finds all other packages where
    the tests do.
    """
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    # Before the .pth file: pip must not see, and replace, what the tests run with.
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True)
    (site_packages,) = venv.glob("lib/python*/site-packages")
    # Of a folder named in a .pth file no further .pth file is read, so that an editable
    # installation in it goes unnoticed.
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (site_packages / "others.pth").write_text("\n".join(others))
    folder = tmp_path / "empty"
    folder.mkdir()
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [venv / "bin" / name, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    found = run("python", "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)")
    assert Path(found.stdout.strip()) == site_packages / PACKAGE / "__init__.py"
    return run


@pytest.mark.slow
@pytest.mark.current_stack
def test_whoever_has_only_the_wheel_trains_evaluates_and_exports(command, tmp_path):
    few = "--quantize=float32 --saved_model=no --accelerator=none"
    evaluation = "--num_images=20 --importance_samples=1 --traversals=0 --judge=none"
    for arguments, written in (
        (
            "dfcvae-train --preset=mnist-vae --steps=5 --prior=standard --run_dir=run",
            "run/weights/inference.npz",
        ),
        (f"dfcvae-evaluate --runs=run=run {evaluation}", "run/reports/report.html"),
        (
            f"dfcvae-export --run_dir=run --dataset=synthetic {few}",
            "run/export/decoder_float32.tflite",
        ),
    ):
        done = command(*arguments.split())
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "empty" / written).is_file()
    done = command("dfcvae-export", "--run_dir=run", "--web")
    assert done.returncode == 2
    assert "--web needs LiteRT.js; get it with: npm install" in done.stderr
    for name in ROWS[-1]:
        done = command(f"dfcvae-{name.replace('_', '-')}", "--help")
        assert done.returncode == 0 and "Flags:" in done.stdout, done.stderr
