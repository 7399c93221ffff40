"""What the loop says when it starts; whole trainings are in tests/test_train.py."""

from types import SimpleNamespace

import numpy as np
import pytest

from dfcvae_tf.training.loop import Trainer


@pytest.mark.parametrize("different", [None, 3, 21])
def test_training_images_that_are_all_alike_are_said(caplog, different):
    images = np.ones((25, 4, 4, 1), np.float32)
    if different is not None:
        images[different] = 0
    read = []

    def some_images(split, count):
        for start in range(0, count, 10):
            read.append(start)
            yield images[start : start + 10]

    trainer = SimpleNamespace(
        chief=True,
        shown_images={"train": images[:10]},
        source=SimpleNamespace(num_examples={"train": 25}),
        _some_images=some_images,
    )
    Trainer._tell_of_alike_images(trainer)
    said = ["all 25 training images are alike: there is nothing to learn but one image"]
    assert caplog.messages == (said if different is None else [])
    # Where those shown differ, no image is read for this.
    assert read == ([] if different == 3 else [0, 10, 20])
