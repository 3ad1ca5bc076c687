"""Prototxts and nets that several tests run."""

import caffe

NET = """
layer { name: "data" type: "DummyData" top: "data" top: "label" top: "item" include { phase: TRAIN }
  dummy_data_param { shape { dim: 1 dim: 2 dim: 9 dim: 9 } shape { dim: 1 dim: 1 dim: 9 dim: 9 }
    shape { dim: 1 } data_filler { type: "gaussian" } data_filler { type: "constant" value: %(label)s }
    data_filler { type: "constant" value: 1 } } }
layer { name: "test" type: "DummyData" top: "data" top: "label" top: "item" include { phase: TEST }
  dummy_data_param { shape { dim: 1 dim: 2 dim: 9 dim: 9 } shape { dim: 1 dim: 1 dim: 9 dim: 9 }
    shape { dim: 1 } data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 }
    data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 3 pad: 3 weight_filler { type: "xavier" } } }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer { name: "ave" type: "Pooling" bottom: "pool" top: "ave"
  pooling_param { pool: AVE kernel_size: 3 stride: 1 pad: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "pool" bottom: "ave" top: "sum" }
layer { name: "up" type: "Deconvolution" bottom: "sum" top: "up" param { lr_mult: 0 }
  convolution_param { num_output: 3 kernel_size: 4 stride: 2 bias_term: false
    weight_filler { type: "bilinear" } } }
layer { name: "learned_up" type: "Deconvolution" bottom: "sum" top: "learned"
  convolution_param { num_output: 3 kernel_size: 4 stride: 2 weight_filler { type: "xavier" } } }
layer { name: "both" type: "Eltwise" bottom: "up" bottom: "learned" top: "both" }
layer { name: "crop" type: "Crop" bottom: "both" bottom: "data" top: "score"
  crop_param { axis: 2 offset: 2 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 normalize: false } loss_weight: 0.5 }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "item_loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "item" top: "item_loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" top: "each"
  accuracy_param { ignore_label: 255 } include { phase: TEST } }
"""


SOLVER = """net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
average_loss: 3 max_iter: 100 snapshot_prefix: "s" random_seed: 3 test_iter: 2 test_interval: 1000
test_initialization: false """


CONV = "num_output: {k} kernel_size: {size} stride: {stride} pad: {pad} dilation: {dilation} group: {group}"


def layer(name, kind, bottoms, top, text=""):
    bottoms = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {bottoms} top: "{top}" {text} }}\n'


def conv(name, bottom, k, size=3, stride=1, pad=1, dilation=1, group=1, kind="Convolution"):
    text = CONV.format(k=k, size=size, stride=stride, pad=pad, dilation=dilation, group=group)
    filler = 'weight_filler { type: "gaussian" std: 0.1 } bias_filler { type: "uniform" }'
    return layer(name, kind, [bottom], name, f"convolution_param {{ {text} {filler} }}")


def source(height, width, channels=3, num=1):
    shape = f"dim: {num} dim: {channels} dim: {height} dim: {width}"
    return f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {shape} }} }} }}\n'


def random_net(rng):
    """Convolutions, poolings and layers in place, with a big pad first, a branch, and a way back up."""
    k = rng.choice([4, 32, 40])
    text = source(rng.randint(14, 30), rng.randint(14, 30), num=rng.choice([1, 1, 2]))
    text += conv("a", "data", k, pad=rng.choice([1, 12, 25]))
    text += layer(
        "a_relu", "ReLU", ["a"], "a", rng.choice(["", "relu_param { negative_slope: 0.1 }"])
    )
    bottom, last = "a", k
    for name in "bcd":
        kind = rng.choice(["conv", "conv", "max", "ave", "lrn", "tanh", "dropout"])
        if kind == "conv":
            size = rng.choice([1, 3, 3, 5])
            last = rng.choice([8, 32, 36])
            group = rng.choice([1, 1, 2])
            shape = dict(stride=rng.choice([1, 1, 2]), pad=rng.choice([0, size // 2]), group=group)
            text += conv(
                name, bottom, last, size, dilation=rng.choice([1, 1, 2]) if size < 5 else 1, **shape
            )
        elif kind in ("max", "ave"):
            size, stride = rng.choice([(2, 2), (3, 2), (3, 1), (4, 3)])
            pool = f"pooling_param {{ pool: {kind.upper()} kernel_size: {size} stride: {stride} }}"
            text += layer(name, "Pooling", [bottom], name, pool)
        else:
            types = {"lrn": "LRN", "tanh": "TanH", "dropout": "Dropout"}
            text += layer(name, types[kind], [bottom], name)
        if rng.random() < 0.5:
            text += layer(f"{name}_relu", "ReLU", [name], name)
        if rng.random() < 0.3:
            text += layer(f"{name}_drop", "Dropout", [name], name)
        bottom = name
    text += conv("left", bottom, 5, 1, pad=0) + conv("right", bottom, 5, 3)
    text += layer("sum", "Eltwise", ["left", "right"], "sum")
    text += conv("up", "sum", 5, 4, 2, 0, kind="Deconvolution")
    return text + layer("crop", "Crop", ["up", "right"], "crop", "crop_param { axis: 2 offset: 1 }")


def build(text, folder, weights=None):
    path = folder / "net.prototxt"
    path.write_text(text)
    net = caffe.Net(str(path), caffe.TEST)
    for name, blobs in (weights.params if weights else {}).items():
        for mine, theirs in zip(net.params[name], blobs):
            mine.data[...] = theirs.data
    return net


def complete(net):
    """Make a net compute every layer in full, always."""
    net._running.runs_groups = lambda: False
    return net
