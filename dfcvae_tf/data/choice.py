"""Which images of a split are used where not all of them are."""

from collections.abc import Sequence

import numpy as np

from dfcvae_tf.data.source import Source


def choose_places(
    total: int,
    count: int,
    labels: np.ndarray | None,
    seed: int,
    required: Sequence[int] = (),
) -> np.ndarray:
    """Draws some images of a split, of each class as equally many as there are.

    Args:
      total: images in the split, N.
      count: how many are wanted, K; all N where there are no more.
      labels: [N] int, or None: then each image is as likely as any other.
      seed: of the choice; nothing else decides it.
      required: places that must be among them, at most K different ones.

    Returns:
      [min(K, N)] int64, places in the split, rising.
    """
    shuffled = np.random.default_rng(seed).permutation(total)
    if count >= total:
        return np.sort(shuffled)
    is_required = np.isin(shuffled, required)
    # Those of a class that are required come first in it and leave fewer to be drawn.
    shuffled = np.concatenate([shuffled[is_required], shuffled[~is_required]])
    of_class = np.zeros(total, np.int64) if labels is None else labels[shuffled]
    order = np.argsort(of_class, kind="stable")
    starts = np.searchsorted(of_class[order], of_class)
    turns = np.empty(total, np.int64)
    turns[order] = np.arange(total)
    turns -= starts  # the first of each class, then the second of each, and so on
    turns[: is_required.sum()] = -1
    return np.sort(shuffled[np.argsort(turns, kind="stable")[:count]])


def representative(source: Source, split: str, count: int, seed: int) -> Source:
    """Returns the source so that its first images of a split are like all of them.

    Where those of a class may stand together, as in the order of paths, the split is cut
    down to `count` images as `choose_places` draws them; else it is as it was.

    Args:
      source: the dataset.
      split: "train" or "test".
      count: how many are used at most.
      seed: of the choice.
    """
    total = source.num_examples[split]
    if count >= total or not source.in_path_order:
        return source
    labels = source.read_labels(split)
    return source.select(split, choose_places(total, count, labels, seed))
