"""Unpacks the official CelebA zip into the layout that --dataset=celeba:PATH reads.

    python -m tools.prepare_celeba --zip=img_align_celeba.zip --output=DIR
        [--attributes=list_attr_celeba.txt] [--partition=list_eval_partition.txt]

Checks the zip first. DIR must not exist yet; it appears when all is in it. The lists are
copied beside the images: training needs the first, and without the second splits by file
name.
"""

from pathlib import Path

from absl import flags

from dfcvae_tf.command_line import run_program
from dfcvae_tf.errors import UserError


def define_flags(values: flags.FlagValues) -> None:
    """Defines this program's flags."""
    for name, help_text in (
        ("zip", "img_align_celeba.zip"),
        ("output", "folder to make; it must not exist"),
        ("attributes", "list_attr_celeba.txt; the zip must have just the images in it"),
        ("partition", "list_eval_partition.txt, the official split"),
    ):
        flags.DEFINE_string(name, None, help_text, flag_values=values)


def main(values: flags.FlagValues) -> None:
    """Unpacks the zip."""
    from dfcvae_tf.data import celeba_zip

    paths: dict[str, Path | None] = {}
    for name in ("zip", "output", "attributes", "partition"):
        value = values[name].value
        paths[name] = Path(value) if value else None
    source, output = paths["zip"], paths["output"]
    if source is None or output is None:
        raise UserError("--zip and --output must both be given")
    print(f"unpacking {source}", flush=True)
    print(celeba_zip.unpack(source, output, paths["attributes"], paths["partition"]))


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
