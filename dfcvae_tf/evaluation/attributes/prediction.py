"""How well attributes can be read off latents: a linear classifier for each.

Hou et al. (2017), section 4.5, train a linear support vector machine per attribute of
CelebA on latents and report a mean accuracy of about 87 %. That number alone says little:
most attributes are rare, and the majority baseline, which answers "no" for every rare one
and "yes" for every common one, is right about four times in five (80.3 % on 1,028 faces;
latents of a network that was trained for three steps reach 84.9 %). So here that baseline
stands beside every accuracy, and so does the balanced accuracy, the mean of the shares
that are right among images with and among images without, by which the baseline is worth
0.5, whatever is rare.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from dfcvae_tf.attribute_vectors import leave_out

# Enough for every attribute of CelebA to converge.
_MAX_ITERATIONS = 10_000


@dataclass(frozen=True)
class Score:
    """Shares of test images, each in [0, 1].

    Attributes:
      accuracy: those answered right.
      balanced_accuracy: the mean of that among images with and images without.
    """

    accuracy: float
    balanced_accuracy: float


@dataclass(frozen=True)
class Prediction:
    """How well one attribute is predicted.

    Attributes:
      test_share: share of test images that have it.
      majority: of the baseline that always gives the answer more common in train; its
        balanced accuracy is 0.5 by definition.
      plain: of the support vector machine.
      balanced: of one whose errors on the rarer answer weigh more, so that both answers
        weigh the same.
    """

    test_share: float
    majority: Score
    plain: Score
    balanced: Score


def check_two_values(
    names: Sequence[str],
    train: np.ndarray,
    test: np.ndarray,
    excluded: Sequence[str] = (),
) -> None:
    """Checks that each attribute is both there and missing, in train and in test.

    Args:
      names: of the K attributes.
      train, test: [N, K] and [M, K], 1 or 0.
      excluded: attributes left out already; for the error only.

    Raises:
      UserError: an attribute has one value only.
    """
    varied = np.ptp(train, axis=0).astype(bool) & np.ptp(test, axis=0).astype(bool)
    bad = [name for name, fine in zip(names, varied, strict=True) if not fine]
    if bad:
        problem = "all images of the train or the test split agree in"
        raise leave_out(problem, bad, names, excluded)


def linear_classifier(seed: int, class_weight: str | None = "balanced") -> Pipeline:
    """A linear support vector machine on standardised values, to be fitted.

    Args:
      seed: of the optimisation.
      class_weight: "balanced" where rare answers are to weigh as much as common ones.
    """
    machine = LinearSVC(
        dual="auto",
        class_weight=class_weight,
        max_iter=_MAX_ITERATIONS,
        random_state=seed,
    )
    return make_pipeline(StandardScaler(), machine)


def predict(
    z_train: np.ndarray,
    has_train: np.ndarray,
    z_test: np.ndarray,
    has_test: np.ndarray,
    seed: int,
) -> Prediction:
    """Trains and scores the classifiers of one attribute.

    Latents are standardised with the mean and deviation of z_train. The machines are
    scikit-learn's LinearSVC with squared hinge loss and C = 1.

    Args:
      z_train, z_test: [N, D] and [M, D].
      has_train, has_test: [N] and [M], 1 or 0, both values in each.
      seed: of the optimisation.
    """

    def score(class_weight: str | None) -> Score:
        machine = linear_classifier(seed, class_weight)
        machine.fit(z_train.astype(np.float64), has_train)
        answers = machine.predict(z_test)
        return Score(
            float(np.mean(answers == has_test)),
            float(balanced_accuracy_score(has_test, answers)),
        )

    majority = int(2 * has_train.sum() > len(has_train))
    return Prediction(
        test_share=float(has_test.mean()),
        majority=Score(float(np.mean(has_test == majority)), 0.5),
        plain=score(None),
        balanced=score("balanced"),
    )


def mean_prediction(predictions: Sequence[Prediction]) -> Prediction:
    """Returns the mean of every number over attributes, at least one."""

    def mean(scores: list[Score]) -> Score:
        return Score(
            float(np.mean([score.accuracy for score in scores])),
            float(np.mean([score.balanced_accuracy for score in scores])),
        )

    return Prediction(
        test_share=float(np.mean([p.test_share for p in predictions])),
        majority=mean([p.majority for p in predictions]),
        plain=mean([p.plain for p in predictions]),
        balanced=mean([p.balanced for p in predictions]),
    )


def table(predictions: dict[str, Prediction]) -> str:
    """Returns a line per attribute, in percent, for the terminal."""
    width = max(map(len, predictions)) + 2
    kinds = f"{'majority':>10}{'SVM':>10}{'weighted':>10}"
    lines = [
        f"{'':<{width + 7}}{'accuracy':>30}{'balanced accuracy':>30}",
        f"{'%':<{width}}{'with':>7}{kinds}{kinds}",
    ]
    for name, p in predictions.items():
        scores = (p.majority, p.plain, p.balanced)
        numbers = [score.accuracy for score in scores]
        numbers += [score.balanced_accuracy for score in scores]
        cells = "".join(f"{100 * number:10.1f}" for number in numbers)
        lines.append(f"{name:<{width}}{100 * p.test_share:7.1f}{cells}")
    return "\n".join(lines)
