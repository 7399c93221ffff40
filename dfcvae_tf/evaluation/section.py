"""What one part of an evaluation finds."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dfcvae_tf.evaluation.figures import Picture


@dataclass
class Section:
    """Results and figures of one part.

    Attributes:
      results: plain values, arrays and dataclasses of them; see `plain`.
      figures: by name.
      strips: small pictures for the page, as files: "originals", "samples of RUN" and
        "reconstructions of RUN".
      notes: sentences that a reader must know.
      runs: run -> measure -> value, for the table of all runs.
    """

    results: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Picture] = field(default_factory=dict)
    strips: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)


def plain(value: Any) -> Any:
    """Dataclasses, arrays and NumPy numbers as values that JSON has.

    A number that JSON lacks becomes text: "inf", "-inf", "nan".
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
