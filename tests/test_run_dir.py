"""Run directories."""

import pytest

from dfcvae_tf import run_dir as run_dir_lib
from dfcvae_tf.errors import UserError


def test_resolve_names_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="no such run directory"):
        run_dir_lib.resolve(str(tmp_path / "absent"))
    with pytest.raises(UserError, match="no config.json"):
        run_dir_lib.resolve(str(tmp_path))
    with pytest.raises(UserError, match="known: mnist_dfc_vae, mnist_vae"):
        run_dir_lib.resolve("pretrained:mnist")
