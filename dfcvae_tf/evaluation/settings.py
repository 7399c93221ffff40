"""How to evaluate, and how much of what."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Whose samples are judged where none are named.
MOST_ATTRIBUTES = 5


@dataclass(frozen=True)
class Settings:
    """How to evaluate, and how much of what.

    Attributes:
      baseline: the run or setting that others are compared with; the first when None.
      indices: places in the test split of the images shown; () as
        `selection.choose_shown` says.
      groups: of classes; {} as `selection.class_groups` says.
      judge, judge_layers, judge_weights: see `judge.build_judge`.
      importance_samples: k of the importance-weighted NLL.
      importance_images: how many images have it computed.
      attributes: those whose samples are judged; () as `asked.measure_asked` says.
      temperature: of the samples from the prior, as many as there are images.
      num_traversals: latent dimensions shown, those with most KL.
      num_interpolations: those whose labels are followed, no more than there are
        images.
      num_embedded: images in the scatter plots.
      num_moved: images that are shifted and rotated, no more than num_embedded.
      read_model_files: whether files that runs name for their perceptual model are read.
      seed: of everything drawn.
    """

    baseline: str | None = None
    indices: tuple[int, ...] = ()
    groups: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    judge: str | None = None
    judge_layers: tuple[str, ...] = ()
    judge_weights: str = "imagenet"
    importance_samples: int = 50
    importance_images: int = 1000
    attributes: tuple[str, ...] = ()
    temperature: float = 1.0
    num_traversals: int = 16
    num_interpolations: int = 1000
    num_embedded: int = 1000
    num_moved: int = 1000
    read_model_files: bool = False
    seed: int = 0
