"""Opens a source by the name given to `--dataset`."""

from dfcvae_tf.config import DATASET_FORMS, DataConfig
from dfcvae_tf.data import celeba, folder, mnist_sample, synthetic, tfds_source
from dfcvae_tf.data.source import Source
from dfcvae_tf.errors import UserError, unknown_name


def open_source(config: DataConfig, seed: int) -> Source:
    """Opens the source that `config.dataset` names.

    Args:
      config: what to open, and where it may come from.
      seed: seed of generated images (`synthetic`); nothing else depends on it.

    Raises:
      UserError: the name is unknown, or the data is missing or not usable.
    """
    name = config.dataset
    kind, _, rest = name.partition(":")
    if name == "mnist_sample":
        return mnist_sample.open_mnist_sample()
    if name == "mnist":
        return tfds_source.open_tfds(name, "mnist", config)
    if name == "synthetic":
        return synthetic.open_synthetic(config, seed)
    if kind == "tfds" and rest:
        return tfds_source.open_tfds(name, rest, config)
    if kind == "celeba" and rest:
        return celeba.open_celeba(name, rest, config)
    if kind == "folder" and rest:
        return folder.open_folder(name, rest, config)
    for form in DATASET_FORMS:
        if name == f"{kind}:" and form.startswith(name):
            raise UserError(
                f"--dataset={name} does not say which; give --dataset={form}"
            )
    raise unknown_name("--dataset", name, DATASET_FORMS)
