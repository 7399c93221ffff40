"""Puts a finished run among those that ship with the package.

  python -m tools.bundle_run --run_dir=runs/dfc --name=mnist_dfc_vae

Copies its settings and inference weights, and writes the card that says how it was made.
"""

from typing import Any

from absl import flags

from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf.command_line import run_program
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file, read_json


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_string("run_dir", None, "the finished run", flag_values=values)
    flags.DEFINE_string(
        "name", None, "what comes after pretrained:", flag_values=values
    )


def main(values: flags.FlagValues) -> None:
    """Copies the run and writes its card."""
    given: dict[str, Any] = values.flag_values_dict()
    for name in ("run_dir", "name"):
        if not given[name]:
            raise UserError(f"--{name} is missing")
    if not given["name"].isidentifier():
        raise UserError(f"--name={given['name']} must be a plain name, like mnist_vae")
    run = run_dir_lib.resolve(given["run_dir"])
    if not run.weights.is_file():
        raise UserError(f"{run} has no inference weights: training did not finish")
    if run.code.exists():
        raise UserError(f"{run} has parts that a user wrote; none of these ships")
    target = run_dir_lib.RunDir(run_dir_lib.PRETRAINED_DIR / given["name"])
    stored = read_json(run.config)
    for source, copy in (
        (run.config, target.config),
        (run.weights, target.weights),
        (run.prior, target.prior),
        (run.layer_energies, target.layer_energies),
    ):
        if source.is_file():
            content = source.read_bytes()
            with atomic_file(copy) as file:
                file.write(content)
    with atomic_file(target.path / "card.md") as file:
        file.write(_card(given["name"], **stored).encode())
    print(f"bundled {given['run_dir']} as pretrained:{given['name']}")


def _card(name: str, settings: dict[str, Any], provenance: dict[str, Any]) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in provenance["versions"].items())
    model, training = settings["model"], settings["training"]
    return f"""# pretrained:{name}

- Network: `{model["network"]}`, {model["latent_dim"]} latents
- Data: {provenance["dataset"]}, all training images
- Length: {training["steps"]} steps of {training["batch_size"]} images,
  {training["precision"]}, seed {training["seed"]}
- Made with: `{provenance["command"]}`
- At revision {provenance["git_revision"]}; Python {provenance["python"]}, {versions}
- Measured with: `python -m dfcvae_tf.evaluate --runs={name}=pretrained:{name}`
"""


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
