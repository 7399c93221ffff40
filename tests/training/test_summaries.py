"""metrics.jsonl, TensorBoard, the final table."""

import json

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dfcvae_tf.config import apply_settings
from dfcvae_tf.presets import preset_config
from dfcvae_tf.run_dir import RunDir
from dfcvae_tf.training import summaries
from dfcvae_tf.training.summaries import RunLog

CONFIG = preset_config("mnist-vae")


def lines(run):
    return [json.loads(line) for line in run.metrics.read_text().splitlines()]


def log_steps(run, start, blocks):
    with RunLog(run, CONFIG, start, ("loss",)) as log:
        for step, count, loss in blocks:
            values = {"loss": np.float32(loss), "kl": np.float32([loss, 2 * loss])}
            log.add_block(step, count, values, seconds=0.5)
        log.write_blocks(step, learning_rate=0.1)


def test_blocks_are_averaged_by_their_steps(tmp_path):
    run = RunDir(tmp_path)
    log_steps(run, 0, [(30, 30, 1.0), (40, 10, 5.0)])
    (line,) = lines(run)
    assert line["step"] == 40 and line["split"] == "train"
    assert line["loss"] == pytest.approx(2.0)
    assert line["kl"] == pytest.approx([2.0, 4.0])
    assert line["images_per_second"] == pytest.approx(40 * 128 / 1.0)


def test_tensorboard_gets_scalars_images_and_settings(tmp_path):
    run = RunDir(tmp_path)
    with RunLog(run, CONFIG, 0, ("loss",)) as log:
        log.scalars(7, "test", {"loss": np.float64(3), "kl": np.array([1.0, 2.0])})
        log.scalars(7, "train", {"kl": np.array([1.0, 2.0])})
        log.pictures(7, "test", [np.zeros((4, 8, 8, 1), np.float32)] * 3)
    test = EventAccumulator(str(run.tensorboard / "test"), {"tensors": 0}).Reload()
    # A vector is one picture.
    pictures = {"kl", "original_reconstruction_prior"}
    assert set(test.Tags()["tensors"]) == {"loss", *pictures}
    assert test.Tensors("loss")[0].step == 7
    train = EventAccumulator(str(run.tensorboard / "train")).Reload()
    assert train.Tags()["tensors"] == ["settings"]


def test_bars_are_as_high_as_their_values():
    picture = summaries._bars("kl", np.array([0.0, 1.0, 2.0]))
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    blue = (picture.astype(int) @ [-1, 0, 1] > 100).sum(axis=0)
    heights = [part.max() for part in np.array_split(blue, 3)]
    assert heights[0] < 5 and heights[2] == pytest.approx(2 * heights[1], abs=3)


def test_runs_are_compared_by_their_settings_and_final_metrics(tmp_path):
    for name, seed in (("a", 1), ("b", 2)):
        settings = {"seed": seed, "free_bits": 0.5, "log_every": 7}
        config = apply_settings(CONFIG, settings)
        with RunLog(RunDir(tmp_path / name), config, 0, ("loss",)) as log:
            log.scalars(9, "test", {"other": np.float64(1)})
            log.final(9, {"loss": np.float64(3 + seed), "kl": np.array([1.0, 2.0])})
    told = {}
    for name in "ab":
        folder = RunDir(tmp_path / name).tensorboard / "final"
        events = EventAccumulator(str(folder), {"tensors": 0}).Reload()
        # Nothing else counts as a metric there.
        assert [t for t in events.Tags()["tensors"] if "/" not in t] == ["loss"]
        (content,) = events.PluginTagToContent("hparams").values()
        start = HParamsPluginData.FromString(content).session_start_info
        told[start.group_name] = {
            key: getattr(value, value.WhichOneof("kind"))
            for key, value in start.hparams.items()
        }
    assert list(told) == [str(tmp_path / name) for name in "ab"]
    a, b = told.values()
    assert (a.pop("seed"), b.pop("seed")) == (1, 2) and a == b
    assert (a["preset"], a["latent_dim"], a["free_bits"]) == ("mnist-vae", 5, 0.5)
    assert not {"log_every", "kl_weight", "perceptual_model", "crop"} & set(a)


def test_lines_after_the_restored_step_and_broken_ones_go(tmp_path):
    run = RunDir(tmp_path)
    run.metrics.write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n{"ste')
    log_steps(run, 20, [(30, 10, 1.0)])
    assert [line["step"] for line in lines(run)] == [10, 20, 30]
    assert "loss" in lines(run)[-1]


def test_a_silent_log_writes_nothing(tmp_path, capsys):
    with RunLog(RunDir(tmp_path / "run"), CONFIG, 0, ("loss",), enabled=False) as log:
        log.add_block(1, 1, {"loss": np.float32(1)}, 1.0)
        log.write_blocks(1, 0.1)
    assert not (tmp_path / "run").exists()
    assert capsys.readouterr().err == ""


def test_the_part_that_went_bad_is_named_before_the_total():
    good = np.float32(1)
    assert summaries.first_non_finite({"loss": good, "kl_loss": good}) is None
    bad = {"loss": np.float32(np.nan), "kl": np.array([1, np.inf]), "pixel_loss": good}
    assert summaries.first_non_finite(bad) == "kl"
    assert summaries.first_non_finite({"loss": np.float32(np.nan)}) == "loss"
