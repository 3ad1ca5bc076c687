"""The table of writers: how ONNX says what a layer computes."""

from __future__ import annotations

from . import cells, moving, recurrent, windows
from .cells import Writer, one_op
from .forks import FORKS

WRITERS: dict[str, Writer] = {
    "AbsVal": one_op("Abs"),
    "ArgMax": cells.arg_max,
    "BNLL": one_op("Softplus"),
    "BatchNorm": cells.batch_norm,
    "BatchReindex": moving.batch_reindex,
    "Bias": cells.bias,
    "Clip": cells.clip,
    "Concat": moving.concat,
    "Convolution": windows.convolution,
    "Crop": moving.crop,
    "Deconvolution": windows.deconvolution,
    "Dropout": cells.same,
    "ELU": cells.elu,
    "Eltwise": cells.eltwise,
    "Embed": cells.embed,
    "Exp": cells.exponential,
    "Filter": moving.filter_,
    "Flatten": moving.flatten,
    "Im2col": windows.im2col,
    "InnerProduct": cells.inner_product,
    "LRN": windows.lrn,
    "LSTM": recurrent.lstm,
    "LSTMUnit": recurrent.lstm_unit,
    "Log": cells.logarithm,
    "MVN": cells.mvn,
    "PReLU": cells.prelu,
    "Parameter": moving.parameter,
    "Pooling": windows.pooling,
    "Power": cells.power,
    "RNN": recurrent.rnn,
    "ReLU": cells.relu,
    "Reduction": cells.reduction,
    "Reshape": moving.reshape,
    "SPP": windows.spatial_pyramid,
    "Scale": cells.scale,
    "Sigmoid": one_op("Sigmoid"),
    "Slice": moving.slice_,
    "Softmax": cells.softmax,
    "Split": cells.same,
    "Swish": cells.swish,
    "TanH": one_op("Tanh"),
    "Threshold": cells.threshold,
    "Tile": moving.tile,
    **FORKS,
}
