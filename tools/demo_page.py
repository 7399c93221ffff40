"""Writes the page that `make demo` ends with: pictures first, then figures.

  python -m tools.demo_page --dir=runs/demo

The folder has a report of `evaluate` in report/, an export in export/, and the run that
was trained, which the report calls by the name of its folder.
"""

import shlex
from pathlib import Path
from typing import Any

import jinja2
from absl import flags

from dfcvae_tf.command_line import import_tensorflow, run_program
from dfcvae_tf.config import Config, from_dict
from dfcvae_tf.errors import UserError
from dfcvae_tf.files import atomic_file, read_json

_MEASURES = (
    "sharpness_ratio",
    "blurred_edge_recovery",
    "mse",
    "label_agreement",
    "frechet_reconstructions",
    "frechet_samples",
    "asked_recognised",
)
_LOSSES = {
    "vae": "pixel by pixel",
    "dfc_vae": "what hidden layers of a network see",
}


def define_flags(values: flags.FlagValues) -> None:
    """Defines the program's flags."""
    flags.DEFINE_string("dir", "runs/demo", "the demo's folder", flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Writes index.html and says how to look at it."""
    folder = Path(str(values["dir"].value))
    page = folder / "index.html"
    content = render(folder)
    with atomic_file(page) as file:
        file.write(content.encode())
    print(f"\nOpen {page.absolute().as_uri()}")
    if _is_live(folder):
        print(f"Live decoder: {_serve(folder)}, then http://127.0.0.1:8000/")


def render(folder: Path) -> str:
    """Returns the page.

    Raises:
      UserError: the folder has no report or no export, or the report is of no run in it.
    """
    results = read_json(folder / "report" / "report.json")
    manifest = read_json(folder / "export" / "manifest.json")
    import_tensorflow()
    from dfcvae_tf.evaluation.tables import metric_rows
    from dfcvae_tf.exporting.report import recommended

    found: dict[str, Any] = results["provenance"]["runs"]
    runs = {name: from_dict(run["settings"]) for name, run in found.items()}
    here = next((name for name in runs if (folder / name).is_dir()), None)
    if here is None:
        raise UserError(f"{folder} holds none of the runs that its report compares")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("demo.html").render(
        here=here,
        place=list(runs).index(here),
        runs=list(runs),
        training=runs[here].training,
        latents=runs[here].model.latent_dim,
        losses="; ".join(f"{name}, {_loss(config)}" for name, config in runs.items()),
        pictures={path.stem for path in (folder / "report" / "figures").glob("*.png")},
        rows=metric_rows(results["runs"], _MEASURES),
        claims=[
            claim
            for verdict in results["comparison"]["verdicts"]
            for claim in verdict["claims"]
        ],
        num_images=results["data"]["num_images"],
        recommended=recommended(manifest),
        live=_is_live(folder),
        serve=_serve(folder),
        tensorboard=f"tensorboard --logdir={shlex.quote(str(folder / here))}",
    )


def _loss(config: Config) -> str:
    said = _LOSSES[config.objective.objective]
    has_discriminator = config.adversarial.adversarial_weight > 0
    return f"{said}, and a discriminator" if has_discriminator else said


def _is_live(folder: Path) -> bool:
    return (folder / "export" / "index.html").is_file()


def _serve(folder: Path) -> str:
    export = shlex.quote(str(folder / "export"))
    return f".venv/bin/python -m tools.serve_web --dir={export}"


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
