"""Makes the bundled MNIST sample from the MNIST of TensorFlow Datasets.

    python -m tools.make_mnist_sample [--data_dir=DIR --offline]

Takes the first 10,000 training images and the whole test split, in the order of
TensorFlow Datasets, and prints the SHA-256 of the file. The same MNIST gives the same
file, byte for byte.
"""

import hashlib
from pathlib import Path

from absl import flags

from dfcvae_tf import run_dir
from dfcvae_tf.command_line import run_program
from dfcvae_tf.files import write_arrays

NUM_TRAIN = 10_000


def define_flags(values: flags.FlagValues) -> None:
    """Defines this program's flags."""
    flags.DEFINE_string(
        "data_dir",
        None,
        "folder of prepared TensorFlow Datasets (their default when not given)",
        flag_values=values,
    )
    flags.DEFINE_bool("offline", False, "never touch the network", flag_values=values)
    flags.DEFINE_string(
        "output",
        str(run_dir.ASSETS_DIR / "mnist_sample.npz"),
        "file to write",
        flag_values=values,
    )


def main(values: flags.FlagValues) -> None:
    """Writes the sample."""
    import numpy as np

    from dfcvae_tf.config import DataConfig
    from dfcvae_tf.data.registry import open_source

    config = DataConfig(
        dataset="mnist",
        data_dir=values["data_dir"].value,
        offline=bool(values["offline"].value),
    )
    source = open_source(config, seed=0)
    arrays = {}
    for split, count in (("train", NUM_TRAIN), ("test", source.num_examples["test"])):
        batches = list(source.dataset(split).take(count).batch(1000))
        for name in ("image", "label"):
            array = np.concatenate([batch[name].numpy() for batch in batches])
            arrays[f"{split}_{name}s"] = array.astype(np.uint8)
    output = Path(str(values["output"].value))
    write_arrays(output, arrays)
    print(f"{hashlib.sha256(output.read_bytes()).hexdigest()}  {output}")


def run() -> None:
    """The program."""
    run_program(__doc__, define_flags, main)


if __name__ == "__main__":
    run()
