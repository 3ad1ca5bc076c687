"""`caffe test`: level, stages, weights."""

import caffe
from caffe.__main__ import main


def test_stage_level_and_several_weights(folder, capfd):
    (folder / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 dim: 1 } } }'
        'layer { name: "a" type: "InnerProduct" bottom: "d" top: "a" include { stage: "x" min_level: 2 }'
        "  inner_product_param { num_output: 1 } }"
        'layer { name: "b" type: "InnerProduct" bottom: "d" top: "b" include { stage: "y" }'
        "  inner_product_param { num_output: 1 } }"
    )
    net = caffe.Net("net.prototxt", caffe.TEST, level=2, stages=["x", "y"])
    for name, value in (("a", 3), ("b", 4)):
        net.params[name][1].data[...] = value
        net.save(f"{name}.caffemodel")
    net.params["a"][1].data[...] = 5
    net.save("later.caffemodel")
    capfd.readouterr()
    arguments = ["test", "-model=net.prototxt", "-iterations=1", "-stage=x,y"]
    assert main([*arguments, "-level=2", "-weights=a.caffemodel,b.caffemodel"]) == 0
    assert "] a = 3\n" in (err := capfd.readouterr().err)
    assert "] b = 4\n" in err
    assert main([*arguments, "-weights=b.caffemodel,later.caffemodel"]) == 0
    assert "] a = " not in (err := capfd.readouterr().err)
    assert "] b = 4\n" in err
