"""CRF as RNN on PASCAL VOC (Zheng et al. 2015): mean field as layers of a recurrent net behind FCN-8s.

Layers with weights have the names of the released net; its upsampling by 2 is learned.
"""

from typing import Any

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from fcn.nets import FIXED, LEARNED, Top, score, seg_loss, vgg16
from fcn.prototxts import NetParameter, write
from fcn.tasks import SYSTEM_SAMPLE, SYSTEM_VOC, Task

ROUNDS = {"train": 5, "val": 10}  # of mean field, by the net's role
RATES = [dict(lr_mult=rate) for rate in (10000, 10000, 1000)]  # spatial, bilateral, compatibility
VOC = dict(theta_alpha=160, theta_beta=3, theta_gamma=3, spatial=3, bilateral=5)
# By fcn crf-search on the embedded task, whose loss is a mean over pixels
SAMPLE = dict(theta_alpha=30, theta_beta=40, theta_gamma=3, spatial=1, bilateral=20)
SAMPLE_RATES = [dict(lr_mult=rate) for rate in (100, 100, 10)]


def fcn(split: str, task: Task = SYSTEM_VOC) -> NetParameter:
    """The net for one split of a task."""
    n = caffe.NetSpec()
    task.data(n, split)
    vgg16(n, n.data, **task.body)
    fcn8s(n, task.classes)
    rounds = ROUNDS["train" if split == "train" else "val"]
    settings, rates = (SAMPLE, SAMPLE_RATES) if task.body else (VOC, RATES)
    n.score = crf(n, task.classes, rounds, settings, rates)
    n.loss = seg_loss(n.score, n.label, task.normalize)
    return n.to_proto()


def fcn8s(n: caffe.NetSpec, classes: int, filler: dict[str, Any] | None = None) -> None:
    """Add the scores of each pixel, `coarse`, as the released net has them."""

    def upscore(bottom: Top, kernel: int, param: list[dict], **more: Any) -> Top:
        settings = dict(num_output=classes, kernel_size=kernel, stride=kernel // 2, **more)
        return L.Deconvolution(bottom, convolution_param=settings | (filler or {}), param=param)

    x = n["score-fr"] = score(n.drop7, classes)
    x = n["score2"] = upscore(x, 4, [dict(lr_mult=1)])
    n["score-pool4"] = score(n.pool4, classes)
    n["score-pool4c"] = crop(n["score-pool4"], x)
    x = n["score-fused"] = L.Eltwise(x, n["score-pool4c"], operation=P.Eltwise.SUM)
    x = n["score4"] = upscore(x, 4, LEARNED[:1], bias_term=False)
    n["score-pool3"] = score(n.pool3, classes)
    n["score-pool3c"] = crop(n["score-pool3"], x)
    x = n["score-final"] = L.Eltwise(x, n["score-pool3c"], operation=P.Eltwise.SUM)
    x = n["upsample"] = upscore(x, 16, FIXED, bias_term=False)
    n.coarse = crop(x, n.data)


def crf(
    n: caffe.NetSpec, classes: int, rounds: int, settings: dict[str, int], rates: list[dict]
) -> Top:
    """Mean field upon `coarse`, by the colours of `data`."""
    n.unary, n.Q0 = L.Split(n.coarse, ntop=2, name="splitting")
    deviations = {name: value for name, value in settings.items() if name.startswith("theta")}
    param = dict(num_iterations=rounds, compatibility_mode=P.MultiStageMeanfield.POTTS, threshold=2)
    for kind in ("spatial", "bilateral"):
        param[f"{kind}_filter_weights_str"] = " ".join([str(settings[kind])] * classes)
    return L.MultiStageMeanfield(
        *(n.unary, n.Q0, n.data),
        name="inference1",
        param=rates,
        multi_stage_meanfield_param=param | deviations,
    )


# Tops of the released net, where they are not called as their layers, and names of layers without weights
TOPS = {"score-fr": "score", "upsample": "bigscore", "score": "crfscore"}
LAYERS = {"score-fused": "fuse", "score-final": "fuse"} | dict.fromkeys(
    ("score-pool4c", "score-pool3c", "coarse"), "crop"
)


def released() -> dict[str, NetParameter]:
    """The deploy net as released, 500x500, without offsets of its crops, which the net itself tells."""
    n, classes = caffe.NetSpec(), SYSTEM_VOC.classes
    n.data = L.Input()
    vgg16(n, n.data)
    fcn8s(n, classes, dict(weight_filler=dict(type="bilinear")))
    n.score = crf(n, classes, 5, VOC, RATES)
    net = n.to_proto()
    del net.layer[0]
    net.name, net.force_backward = "CRFRNN-VOC", True
    net.input.append("data")
    net.input_dim.extend([1, 3, 500, 500])
    for layer in net.layer:
        for blobs in (layer.bottom, layer.top):
            blobs[:] = [TOPS.get(blob, blob) for blob in blobs]
        layer.name = LAYERS.get(layer.name, layer.name)
        layer.ClearField("crop_param")
        if layer.type == "Convolution":
            settings = layer.convolution_param
            settings.engine = P.Convolution.CAFFE
            settings.ClearField("stride")
            if list(settings.pad) == [0]:
                settings.ClearField("pad")
    return {"TVG_CRFRNN_new_deploy": net}


if __name__ == "__main__":
    write(__file__, fcn, SYSTEM_VOC, SYSTEM_SAMPLE, deployed=True, released=released)
