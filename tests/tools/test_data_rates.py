import time

import numpy as np
import tensorflow as tf

from dfcvae_tf.config import DataConfig
from dfcvae_tf.data.source import Source
from tools import data_rates


def test_rates_are_those_of_a_source_of_known_speed():
    seconds = 0.002

    def wait(number):
        time.sleep(seconds)
        return np.full((8, 8, 1), number, np.uint8)

    def decode(number):
        image = tf.numpy_function(wait, [number], tf.uint8)
        return {"image": tf.ensure_shape(image, (8, 8, 1))}

    source = Source(
        name="slow",
        description="",
        num_examples={"train": 256, "test": 1},
        image_shape=(8, 8, 1),
        class_names=(),
        dataset=lambda _: tf.data.Dataset.range(256).map(decode),
    )
    rates = data_rates.measure(source, DataConfig(), (8, 8, 1), count=1000)
    assert 0.1 / seconds < rates.prepared <= 1 / seconds
    assert rates.cached > 5 / seconds
