"""One's own pictures through all programs, with the preset made for them."""

import shutil

import cv2
import numpy as np
import pytest

from dfcvae_tf import evaluate, export, sample, train
from dfcvae_tf.files import read_json
from dfcvae_tf.training import prior_fitting
from tests.faces import DRAWN, draw_face
from tests.programs import metrics_of, run_here

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quick_prior(monkeypatch):
    for name in ("FLOW_STEPS", "LABELLED_FLOW_STEPS"):
        monkeypatch.setattr(prior_fitting, name, 250)


def photos_to_page(photos, litert_dir, folder, size, *arguments) -> dict:
    """Goes the whole way and returns the report's results."""
    run_dir, report = folder / "run", folder / "report"
    given = ["--preset=photos", f"--dataset=folder:{photos}", f"--run_dir={run_dir}"]
    assert run_here(train, *given, "--log_every=5", *arguments) == 0
    short = [f"--runs=run={run_dir}", "--importance_samples=1", "--traversals=0"]
    assert run_here(evaluate, *short, f"--output_dir={report}") == 0
    grid = folder / "samples.png"
    assert (
        run_here(sample, f"--run_dir={run_dir}", f"--output={grid}", "--count=4") == 0
    )
    page = ["--quantize=float32", "--web", f"--litert_dir={litert_dir}"]
    page += ["--saved_model=no", "--accelerator=none"]
    assert run_here(export, f"--run_dir={run_dir}", *page) == 0
    manifest = read_json(run_dir / "export" / "manifest.json")
    image = manifest["image"]
    assert [image["height"], image["width"]] == size
    assert (run_dir / "export" / "index.html").is_file()
    assert manifest["prior"]["kind"] == "flow"
    assert grid.is_file() and (report / "report.html").is_file()
    return read_json(report / "report.json")


@pytest.mark.current_stack
def test_drawn_pictures_that_are_few_grey_and_not_square(tmp_path, litert_dir, caplog):
    photos = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 6)):
        (photos / split).mkdir(parents=True)
        for number in range(count):
            face = draw_face(dict.fromkeys(DRAWN, bool(rng.integers(2))), rng)
            grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
            cv2.imwrite(str(photos / split / f"{number}.png"), grey)
    shorter = ["--image_size=48x32", "--steps=10", "--batch_size=4", "--warmup_steps=2"]
    results = photos_to_page(photos, litert_dir, tmp_path, [48, 32], *shorter)
    assert "only 20 training images" in caplog.text
    assert "that --target_kl asks for" in caplog.text  # ten steps are too few
    assert np.isfinite(results["runs"]["run"]["sharpness_ratio"])


@pytest.mark.current_stack
def test_real_photos_learn_at_the_rate_that_is_asked_for(
    tmp_path, litert_dir, shared_data
):
    photos = tmp_path / "photos"
    for name in ("Hat", "Pants"):
        files = sorted((shared_data / "clothing128" / name).iterdir())[:120]
        (photos / name).mkdir(parents=True)
        for file in files:
            shutil.copy(file, photos / name)
    shorter = ["--image_size=32", "--steps=100", "--batch_size=16", "--warmup_steps=10"]
    photos_to_page(photos, litert_dir, tmp_path, [32, 32], *shorter, "--target_kl=40")
    first, *_, last = metrics_of(tmp_path / "run", "train")
    assert last["perceptual_loss"] < 0.7 * first["perceptual_loss"]
    assert last["kl_nats"] == pytest.approx(40, rel=0.1)
