"""Scores as lines of Caffe's log, so that Caffe's own tools read and plot them."""

from collections.abc import Mapping
from typing import Any

import caffe
from fcn.measures import MEASURES
from fcn.report.pictures import ending


def log_scores(iteration: int, layer: str, loss: float, result: Mapping[str, Any]) -> None:
    """Log a scoring as a test of the solver: `result` has the measures of the score blob `layer`.

    The outputs are loss, pixel_accuracy, mean_accuracy, mean_iu and fw_iu; of `score_geo` loss_geo
    and so on. `caffe parse_log` and charts 0 to 3 of `caffe plot_training_log` show them.
    """
    caffe.log(f"Iteration {iteration}, Testing net (#0)")
    values = {"loss": loss, **{measure: result[measure] for measure in MEASURES}}
    for number, (name, value) in enumerate(values.items()):
        caffe.log(f"    Test net output #{number}: {name}{ending(layer)} = {value:g}")
