"""What of a net is exported: where it begins, where it ends, and what is in the way."""

import pytest
from nets import layer

import caffe
from caffe.exporting import deploy

DATA = """layer { name: "data" type: "Input" top: "data" top: "label" input_param {
  shape { dim: 2 dim: 3 dim: 8 dim: 8 } shape { dim: 2 dim: 1 dim: 8 dim: 8 } } }
"""
BODY = layer(
    "conv", "Convolution", ["data"], "conv", "convolution_param { num_output: 2 kernel_size: 1 }"
)
BODY += layer("relu", "ReLU", ["conv"], "conv")


class Half(caffe.Layer):
    """A Python layer: half of its bottom."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        for blob in top:
            blob.reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        for blob in top:
            blob.data[...] = bottom[0].data / 2


def python_layer(bottoms, top, name="half"):
    param = f'python_param {{ module: "{__name__}" layer: "Half" }}'
    return layer(name, "Python", bottoms, top, param)


@pytest.fixture
def deployed(net_of):
    def deployed(text, **kwargs):
        net, part = deploy.of_net(net_of(DATA + text), **kwargs)
        layers = [layer.name for layer in net.layers if layer.type not in ("Input", "Split")]
        return net.inputs, layers, part.outputs, [cut.layer for cut in part.cuts]

    return deployed


def test_losses_and_measures_leave_their_scores(deployed):
    loss = layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss")
    accuracy = layer("accuracy", "Accuracy", ["conv", "label"], "accuracy")
    found = deployed(BODY + loss + accuracy)
    assert found == (["data"], ["conv", "relu"], ["conv"], ["loss", "accuracy"])


def test_what_reads_a_loss_goes_with_it(deployed):
    more = layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss")
    more += layer("half", "Power", ["loss"], "half", "power_param { scale: 0.5 }")
    assert deployed(BODY + more) == (["data"], ["conv", "relu"], ["conv"], ["loss", "half"])


def test_scores_that_others_read_are_no_outputs(deployed):
    more = layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss")
    more += layer("prob", "Softmax", ["conv"], "prob")
    assert deployed(BODY + more)[2] == ["prob"]


def test_what_silence_swallows_is_no_output(deployed):
    more = layer("prob", "Softmax", ["conv"], "prob") + layer("sum", "Reduction", ["conv"], "sum")
    more += 'layer { name: "no" type: "Silence" bottom: "sum" }\n'
    assert deployed(BODY + more)[1:3] == (["conv", "relu", "prob"], ["prob"])


def test_labels_are_no_outputs(deployed):
    more = layer("half", "Power", ["label"], "half", "power_param { scale: 0.5 }")
    more += layer("loss", "SoftmaxWithLoss", ["conv", "half"], "loss")
    assert deployed(BODY + more) == (["data"], ["conv", "relu"], ["conv"], ["loss"])


def test_both_bottoms_of_a_distance_are_outputs(deployed):
    more = layer("other", "Power", ["conv"], "other")
    more += layer("loss", "EuclideanLoss", ["conv", "other"], "loss")
    assert deployed(BODY + more)[2] == ["other"]  # conv is read by other, too


def test_python_layers_at_the_border_are_cut_off(deployed):
    found = deployed(BODY + python_layer(["conv"], "half"))
    assert found == (["data"], ["conv", "relu"], ["conv"], ["half"])


def test_a_python_layer_in_the_middle_is_named(deployed):
    text = BODY + python_layer(["conv"], "half") + layer("prob", "Softmax", ["half"], "prob")
    with pytest.raises(
        ValueError, match=r"'half' \(Python\).*'prob' \(Softmax\).*outputs: conv.*inputs: half"
    ):
        deployed(text)
    assert deployed(text, outputs=["conv"])[:3] == (["data"], ["conv", "relu"], ["conv"])
    assert deployed(text, inputs=["half"])[0] == ["data", "half"]
    assert deployed(text, inputs=["half"], outputs=["prob"])[:3] == (["half"], ["prob"], ["prob"])
    with pytest.raises(ValueError, match=r"'half' \(Python\) cannot be exported"):
        deployed(text, outputs=["prob"])


def test_a_part_begins_behind_what_works_in_place(deployed):
    text = BODY + layer("prob", "Softmax", ["conv"], "prob")
    assert deployed(text, inputs=["conv"], outputs=["prob"])[:2] == (["conv"], ["prob"])


def test_unknown_names_name_the_nearest(deployed):
    with pytest.raises(ValueError, match="no blob 'cov' in the net; did you mean 'conv'"):
        deployed(BODY, outputs=["cov"])


def test_splits_that_nets_insert_are_taken_out_and_others_stay(deployed, net_of):
    own = 'layer { name: "two" type: "Split" bottom: "conv" top: "a" top: "b" }\n'
    more = layer("sum", "Eltwise", ["a", "b"], "sum") + layer("max", "Softmax", ["a"], "max")
    found = deployed(BODY + own + more)
    assert found[1:3] == (["conv", "relu", "sum", "max"], ["sum", "max"])
    net, _ = deploy.of_net(net_of(DATA + BODY + own + more))
    assert net.layer_dict["two"].type == "Split" and net.bottom_names["max"] == ["a_two_0_split_1"]


def test_weights_are_shared_not_copied(net_of):
    net = net_of(DATA + BODY)
    part, _ = deploy.of_net(net)
    net.params["conv"][0].data[...] = 3
    assert (part.params["conv"][0].data == 3).all()


def test_a_file_needs_the_sizes_that_it_does_not_state(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(python_layer([], "data", "source") + BODY)
    with pytest.raises(ValueError, match="size of input 'data' is not known.*--shape data="):
        deploy.of_file(path)
    net, cuts = deploy.of_file(path, shapes={"data": [1, 3, 4, 4]})
    assert list(net.blobs["data"].shape) == [1, 3, 4, 4] and cuts[0].layer == "source"


@pytest.mark.parametrize(
    "source",
    [
        'type: "DummyData" top: "data" dummy_data_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } }',
        'type: "MemoryData" top: "data" top: "label" memory_data_param { batch_size: 1 channels: 3 '
        "height: 4 width: 4 }",
    ],
)
def test_a_file_may_state_them_in_data_layers(tmp_path, source):
    path = tmp_path / "net.prototxt"
    path.write_text(f'layer {{ name: "source" {source} }}\n{BODY}')
    net, _ = deploy.of_file(path)
    assert list(net.blobs["data"].shape) == [1, 3, 4, 4]


def test_layers_of_a_training_alone_are_not_there(tmp_path):
    path = tmp_path / "net.prototxt"
    train = layer("drop", "Dropout", ["conv"], "conv", "include { phase: TRAIN }")
    path.write_text(DATA + BODY + train)
    net, _ = deploy.of_file(path)
    assert "drop" not in net.layer_dict


TRAINED = """layer { name: "d" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
  hdf5_data_param { source: "none" } }
"""


def test_a_net_for_training_alone(tmp_path):
    """Its data are there in phase TRAIN only, and what they feed in both."""
    path = tmp_path / "net.prototxt"
    loss = layer("loss", "SoftmaxWithLoss", ["conv", "label"], "loss", "include { phase: TRAIN }")
    accuracy = layer("accuracy", "Accuracy", ["conv", "label"], "accuracy")
    for judged in (loss, loss + accuracy, accuracy):
        path.write_text(TRAINED + BODY + judged)
        with pytest.raises(ValueError, match="size of input 'data' is not known.*--shape data="):
            deploy.of_file(path)
        net, _ = deploy.of_file(path, shapes={"data": [1, 3, 4, 4]})
        assert net.inputs == ["data"] and net.outputs == ["conv"]


def test_a_blob_that_no_layer_makes_is_named(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(DATA + BODY.replace('bottom: "data"', 'bottom: "dat"'))
    with pytest.raises(ValueError, match=r"layer 'conv' \(Convolution\).*no blob 'dat'"):
        deploy.of_file(path)


def test_what_is_read_for_a_loss_alone_does_not_hide_an_output(deployed):
    """FlowNet shrinks the truth to the size of what it predicts."""
    one = "convolution_param { num_output: 1 kernel_size: 1 }"
    more = layer("flow", "Convolution", ["conv"], "flow", one)
    more += layer("small", "Downsample", ["label", "flow"], "small")
    more += layer("loss", "L1Loss", ["flow", "small"], "loss")
    assert deployed(BODY + more) == (["data"], ["conv", "relu", "flow"], ["flow"], ["loss"])


def test_a_file_tells_the_sizes_of_blobs_in_the_middle(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(DATA + BODY + layer("prob", "Softmax", ["conv"], "prob"))
    net, _ = deploy.of_file(path, inputs=["conv"], outputs=["prob"])
    assert net.inputs == ["conv"] and list(net.blobs["conv"].shape) == [2, 2, 8, 8]
    path.write_text(
        DATA + BODY + python_layer(["conv"], "half") + layer("p", "Softmax", ["half"], "p")
    )
    with pytest.raises(ValueError, match="size of input 'half' is not known.*--shape half="):
        deploy.of_file(path, inputs=["half"], outputs=["p"])
