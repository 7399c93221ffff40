"""Names inside a run directory, and the runs that ship with the package."""

import os
from pathlib import Path

from dfcvae_tf.errors import UserError, unknown_name

PRETRAINED_PREFIX = "pretrained:"
ASSETS_DIR = Path(__file__).parent / "assets"
PRETRAINED_DIR = ASSETS_DIR / "pretrained"


class RunDir:
    """The files of one run. Making the object touches nothing on disk."""

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.weights = self.path / "weights" / "inference.npz"
        self.prior = self.path / "weights" / "prior.npz"
        self.code = self.path / "code"
        self.metrics = self.path / "metrics.jsonl"
        self.layer_energies = self.path / "perceptual_energies.json"
        self.attributes = self.path / "attributes"
        self.reports = self.path / "reports"
        self.export = self.path / "export"

    def __str__(self) -> str:
        return str(self.path)


def resolve(run_dir: str | os.PathLike) -> RunDir:
    """Returns the run of a folder, or of `pretrained:NAME`.

    Raises:
      UserError: no such folder or name, or the folder holds no run.
    """
    run_dir = os.fspath(run_dir)
    if run_dir.startswith(PRETRAINED_PREFIX):
        name = run_dir.removeprefix(PRETRAINED_PREFIX)
        names = sorted(p.name for p in PRETRAINED_DIR.iterdir() if p.is_dir())
        if name not in names:
            raise unknown_name("pretrained run", name, names)
        return RunDir(PRETRAINED_DIR / name)
    run = RunDir(run_dir)
    if not run.path.is_dir():
        raise UserError(f"no such run directory: {run_dir}")
    if not run.config.is_file():
        raise UserError(f"{run_dir} is not a run directory: it has no config.json")
    return run
