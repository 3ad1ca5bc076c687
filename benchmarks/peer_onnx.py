"""FCN-8s as an ONNX model, for pictures of any size, and the two runtimes that take it."""

import numpy as np
import torch

from fcn.nets import VGG16

from .contest import INSTALL, LeftOut

CPU = torch.device("cpu")
OPSET, IR = 17, 10  # the oldest with what is used here: every runtime of the last years reads them


def write(params, path):
    """Write FCN-8s with these parameters as an ONNX file."""
    import onnx

    onnx.save(model(params), path)


def model(params):
    """The ModelProto with the weights of a caffe.Net's `params`."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def conv(x, name, pad=0):
        weight, bias = (blob.data for blob in params[name])
        inputs = [x, constant(f"{name}_weight", weight), constant(f"{name}_bias", bias)]
        return node("Conv", inputs, name, kernel_shape=weight.shape[2:], pads=[pad] * 4)

    def conv_relu(x, name, pad=0):
        return node("Relu", [conv(x, name, pad)], f"{name}_relu")

    def up(x, name, stride):
        inputs = [x, constant(f"{name}_weight", params[name][0].data)]
        kernel = params[name][0].data.shape[2:]
        return node("ConvTranspose", inputs, name, kernel_shape=kernel, strides=[stride] * 2)

    def crop(x, like, offset, name):
        """The window of x at (offset, offset) that is as large as `like`."""
        size = node("Shape", [like], f"{name}_size", start=2, end=4)
        begin = constant(f"{name}_begin", np.array([offset, offset]))
        end = node("Add", [size, begin], f"{name}_end")
        return node("Slice", [x, begin, end, "axes"], name)

    constant("axes", np.array([2, 3]))
    x, pools = "data", []
    for stage, (depth, _) in enumerate(VGG16, 1):
        for i in range(1, depth + 1):
            x = conv_relu(x, f"conv{stage}_{i}", pad=100 if stage == i == 1 else 1)
        x = node("MaxPool", [x], f"pool{stage}", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        pools.append(x)
    x = conv(conv_relu(conv_relu(x, "fc6"), "fc7"), "score_fr")
    x = up(x, "upscore2", 2)
    x = node("Add", [x, crop(conv(pools[3], "score_pool4"), x, 5, "score_pool4c")], "fuse_pool4")
    x = up(x, "upscore_pool4", 2)
    x = node("Add", [x, crop(conv(pools[2], "score_pool3"), x, 9, "score_pool3c")], "fuse_pool3")
    crop(up(x, "upscore8", 8), "data", 31, "score")
    graph = helper.make_graph(
        nodes,
        "fcn8s",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [1, 21, "h", "w"])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def path_of(folder):
    """The ONNX file of FCN-8s in a folder, written if it is not there."""
    path = folder / "fcn8s.onnx"
    if not path.exists():
        raise LeftOut(f"onnx, which writes its model, is not installed: {INSTALL}")
    return path


def onnxruntime(folder, precision, size, device):
    """A function from picture to scores; with a size the model is compiled for it alone."""
    return run_by_onnxruntime(path_of(folder), size, device)


def run_by_onnxruntime(path, size, device):
    """The same for any file whose input is `data` and whose output `score`."""
    made = session(path, (1, 3, *size) if size else (), device)
    return lambda x: made.run(["score"], {"data": x})[0]


def session(path, shape=(), device=CPU):
    """ONNX Runtime's session of a file; with a shape of its first input for that alone."""
    import onnx
    import onnxruntime

    provider = "CUDAExecutionProvider" if device.type == "cuda" else "CPUExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise LeftOut(f"this build has no {provider}: pip install onnxruntime-gpu")
    settings = {"use_tf32": "0"} if device.type == "cuda" else {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    dims = onnx.load(path, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    for dim, length in zip(dims, shape):
        if dim.dim_param:
            options.add_free_dimension_override_by_name(dim.dim_param, length)
    return onnxruntime.InferenceSession(path, options, [(provider, settings)])


def openvino(folder, precision, size, device):
    """A function from picture to scores; with a size the model is compiled for it alone."""
    return run_by_openvino(path_of(folder), precision, size)


def run_by_openvino(path, precision, size):
    """The same for any file whose input is `data` and whose output `score`."""
    made = request(path, precision, (1, 3, *size) if size else ())
    return lambda x: made.infer({"data": x}, share_inputs=True, share_outputs=True)["score"]


def request(path, precision, shape=()):
    """OpenVINO's inference request of a file; with a shape of its input `data` for that alone."""
    import openvino

    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise LeftOut("this CPU has no bfloat16 instructions, so it would compute in float32")
    read = core.read_model(path)
    if shape:
        read.reshape({"data": list(shape)})
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    return core.compile_model(read, "CPU", settings).create_infer_request()
