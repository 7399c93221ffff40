"""The table in short: the mean of every measure, and every measure compared."""

import numpy as np

from dfcvae_tf.evaluation.section import Section
from dfcvae_tf.evaluation.selection import ALL
from dfcvae_tf.evaluation.table import MeasureTable
from dfcvae_tf.metrics.comparisons import Comparisons


def summarize(table: MeasureTable, comparisons: Comparisons) -> Section:
    """Means over the images that have a value, and the differences of every pair of runs.

    Args:
      table: what was measured.
      comparisons: of the table.
    """
    section = Section()
    for name in table.runs:
        section.runs[name] = {
            measure: np.nanmean(x)
            for measure, x in table.values[name].items()
            if not np.isnan(x).all()
        }
    section.results["differences"] = [
        {"first": first, "second": second, "measures": measures}
        for first, second in table.run_pairs()
        if (measures := comparisons.compare_measures(first, second, ALL))
    ]
    return section
