"""Two files: what differs between weights, layer by layer; whether weights fit a net."""

import pytest
import torch
from foreign import LAYERS, NET, tensors
from narrow import filled

import caffe
from caffe.inspecting import differences


@pytest.fixture
def net(folder):
    (folder / "net.prototxt").write_text(NET)
    net = filled(caffe.Net("net.prototxt", caffe.TEST))
    net.save("a.caffemodel")
    return net


def compared(second, first="a.caffemodel"):
    return differences.compare(first, second).text(first)


def test_the_same(net):
    net.save_hdf5("b.h5")
    assert compared("b.h5").splitlines() == [
        "a.caffemodel: compared with b.h5: the same weights",
        "  equal: 4 of 4 layers with weights in both",
    ]


def test_what_differs(net):
    net.params["conv1_2"][0].data[0] *= 2
    net.params["fc3"][1].data[...] += 1
    net.save("b.caffemodel")
    found = compared("b.caffemodel")
    assert "equal: 2 of 4 layers" in found
    assert "conv1_2  0     25% of 4x4x3x3" in found and "fc3      1     100% of 5" in found


def test_other_layers_and_shapes(net, folder):
    text = NET.replace('"fc3"', '"other"').replace("num_output: 6", "num_output: 7")
    (folder / "other.prototxt").write_text(text)
    filled(caffe.Net("other.prototxt", caffe.TEST)).save("b.caffemodel")
    found = compared("b.caffemodel")
    assert (
        "only here: fc3" in found and "only there: other" in found and "6x64, there 7x64" in found
    )


def test_the_same_values_in_another_shape(net, folder):
    torch.save(tensors(net) | {"fc2.weight": tensors(net)["fc2.weight"].view(6, 4, 4, 4)}, "b.pth")
    assert "6x64, there 6x4x4x4, the same values" in compared("b.pth")


def test_weights_that_fit(net):
    found = compared("net.prototxt")
    assert found == compared("a.caffemodel", "net.prototxt").replace(
        "net.prototxt: ", "a.caffemodel: ", 1
    )
    assert "fits the net in net.prototxt" in found and f"copied: 4: {', '.join(LAYERS)}" in found


def test_weights_that_lack_a_layer(net, folder):
    (folder / "more.prototxt").write_text(NET.replace('"fc3"', '"fc4"'))
    found = compared("more.prototxt")
    assert "missing: weights of fc4" in found and "only in the file: fc3" in found


def test_other_files_are_not_compared(net, folder):
    (folder / "text").write_text("something")
    with pytest.raises(ValueError, match="a.caffemodel is caffemodel, text is text by its content"):
        compared("text")
