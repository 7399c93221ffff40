"""The parts of an evaluation come together, also where one cannot be computed."""

import numpy as np
import pytest

from dfcvae_tf.evaluation import evaluator, report
from dfcvae_tf.evaluation.settings import Settings
from tests.evaluation.streams import digits, stream


@pytest.fixture(name="parts")
def _parts(monkeypatch):
    """A function that leaves only some parts of an evaluation."""

    def leave(*names):
        parts = {k: p for k, p in evaluator._PARTS.items() if p.__name__ in names}
        monkeypatch.setattr(evaluator, "_PARTS", parts)

    return leave


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_images_that_are_all_alike_are_measured_and_not_compared(parts):
    parts("_compare_runs", "_move_images")
    one = next(digits(1).batches())
    runs = {"vae": "pretrained:mnist_vae", "dfc": "pretrained:mnist_dfc_vae"}
    models = evaluator.load_runs(runs)
    told = []
    for value in (one, np.full_like(one, 0.3)):
        data = stream(np.repeat(value, 5, axis=0))
        found = evaluator.evaluate(models, data, Settings(), told.append)
        results = found.results
        alike = [note for note in results["notes"] if "alike" in note]
        assert len(alike) == 2 and set(alike) < set(told)
        assert results["runs"]["dfc"]["mse"] > 0
        ratios = [k for k in results["runs"]["dfc"] if k.endswith("_ratio")]
        assert len(ratios) == (3 if value is one else 0)  # flat: but for rounding
        assert "nan" not in str(results["runs"])
        assert results["comparison"]["verdicts"] == [] == results["blur"]["tests"]
        assert [a for a in results["comparison"]["alerts"] if "alike" in a]
        # What is missing, here all other parts as well, leaves the page whole.
        page = report.render(found)
        assert "All 5 test images are alike" in page
        assert "sensitivity of the losses was left out: the 5 images are all" in page
        assert "dfc" in report.terminal_table(results)
