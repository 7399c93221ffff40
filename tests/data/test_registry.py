import re

import pytest

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.registry import open_source
from dfcvae_tf.errors import UserError


@pytest.mark.parametrize("name", ["mnist_sample", "synthetic"])
def test_opens_what_is_there(name):
    assert open_source(DataConfig(dataset=name), seed=0).name == name


@pytest.mark.parametrize("name", ["minst_sample", "folder", ""])
def test_unknown_names_list_the_valid_ones(name):
    forms = "mnist_sample, mnist, tfds:NAME, celeba:PATH, folder:PATH, synthetic"
    with pytest.raises(UserError, match=re.escape(forms)):
        open_source(DataConfig(dataset=name), seed=0)


def test_a_kind_without_a_name_says_what_is_missing():
    with pytest.raises(
        UserError, match="does not say which; give --dataset=folder:PATH"
    ):
        open_source(DataConfig(dataset="folder:"), seed=0)
