"""pycaffe's vectors and maps take what they hold, and nothing that a forward would fail on later."""

import copy
import pickle

import numpy as np
import pytest
from nets import build, conv, source

import caffe
from caffe.blob import Blob, BlobVec

ARRAY = np.zeros((2, 3, 3, 3), np.float32)


@pytest.fixture
def net(tmp_path):
    return build(source(8, 8) + conv("c", "data", 2), tmp_path)


def slices(net):
    net.params["c"][:] = [ARRAY, ARRAY]


def added(net):
    net.params["c"] += [ARRAY]


# what is done -> what the error says
MISTAKES = {
    "a parameter": (
        lambda net: net.params["c"].__setitem__(0, ARRAY),
        r"blob 'c\[0\]' is written into, not replaced by a value of type ndarray: write blob.data\[...\]",
    ),
    "the last one": (lambda net: net.params["c"].__setitem__(-1, 3), r"'c\[1\]' .* int: write"),
    "by a slice": (slices, r"a blob is written into"),
    "by +=": (added, r"a blob is written into"),
    "append": (lambda net: net.params["c"].append(ARRAY), r"a blob is written into"),
    "insert": (lambda net: net.params["c"].insert(0, ARRAY), r"a blob is written into"),
    "extend": (lambda net: net.params["c"].extend(ARRAY), r"a blob is written into"),
    "of a layer": (lambda net: net.layers[1].blobs.__setitem__(0, ARRAY), r"'c\[0\]' is written"),
    "a bottom": (lambda net: net._topology.bottoms[1].__setitem__(0, ARRAY), r"'data' is written"),
    "of all blobs": (lambda net: net._blobs.__setitem__(0, ARRAY), r"blob 'data' is written into"),
    "learned": (
        lambda net: setattr(net, "blobs", {"data": ARRAY}),
        r"net.blobs is not replaced: net.blobs\[name\].data\[...\] = array",
    ),
    "all parameters": (lambda net: setattr(net, "params", {}), r"net.params is not replaced"),
    "by name": (
        lambda net: net.blobs.__setitem__("data", ARRAY),
        r"blob 'data' is written into, .* ndarray: write net.blobs\['data'\].data\[...\] = array",
    ),
    "parameters by name": (
        lambda net: net.params.__setitem__("c", [ARRAY, ARRAY]),
        r"'c' is written into, .* list: write net.params\['c'\]\[0\].data\[...\] = array",
    ),
    "a parameter's blob by name": (
        lambda net: net.params.__setitem__("c", Blob((1,))),
        r"not replaced by a value of type Blob: write net.params",
    ),
    "a layer": (lambda net: net.layers.__setitem__(1, ARRAY), "layers are not replaced"),
    "a shape": (
        lambda net: net.blobs["data"].shape.__setitem__(0, 7),
        r"changed by blob.reshape\(\*shape\)",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_is_no_blob_is_refused_at_once(case, net):
    mistake, message = MISTAKES[case]
    with pytest.raises((TypeError, AttributeError), match=message) as caught:
        mistake(net)
    assert isinstance(
        caught.value, AttributeError if "learned" in case or "all p" in case else TypeError
    )
    assert net.forward()["c"].shape == (1, 2, 8, 8)  # nothing has changed


def test_blobs_are_taken(net):
    other = Blob(net.params["c"][0].shape)
    other.data[...] = 0
    net.layers[1].blobs[0] = other
    assert not (net.forward()["c"] - net.params["c"][1].data[:, None, None]).any()
    vector = BlobVec([other])
    vector += [Blob((1,))]
    vector.add_blob(2, 3)
    assert [list(blob.shape) for blob in vector] == [[2, 3, 3, 3], [1], [2, 3]]
    for copied in (copy.deepcopy(vector), pickle.loads(pickle.dumps(vector))):
        assert type(copied) is BlobVec and len(copied) == 3
    assert list(copy.copy(net.params)) == ["c"] and isinstance(caffe.Net, type)
