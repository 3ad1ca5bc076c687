"""The part of docs/caffe.md on exports, for make_caffe_md.py."""

from md_text import one_line, table

from caffe.exporting import onnx, pytorch, reasons


def rows(names):
    """(type, ONNX, PyTorch) of types that both have writers for."""
    tables = onnx.WRITERS, pytorch.WRITERS
    return [(f"`{n}`", *(one_line(each[n].__doc__) for each in tables)) for n in sorted(names)]


def exports():
    """The part's text."""
    written = rows(name for name in onnx.WRITERS if name not in onnx.FORKS)
    left_out = [(f"`{name}`", why) for name, why in reasons.LEFT_OUT.items()]
    no_word = [(f"`{name}`", why) for name, why in reasons.NO_WORD.items()]
    return f"""\
## Exports

`caffe.export(net, "net.onnx")` and `caffe.export(net, "net.py")`, or `caffe export`, write a net in these
words. Batch, height and width are free where the net reshapes. The file is run on random inputs of three
sizes, and kept only if its outputs are the net's to 1e-5; of a module the gradients in training are
compared, too (to 1e-4).

{table(["type", "ONNX", "PyTorch"], written)}

Of the forks' layers, by their classes, since some names have several meanings:

{table(["class", "ONNX", "PyTorch"], rows(onnx.FORKS))}

Left out, because the net computes the same without; a fork's losses, too:

{table(["type", "why"], left_out)}

Refused, with the names of the blobs before and behind, between which the rest can be exported:

{table(["class", "why"], no_word)}

STOCHASTIC pooling is refused: on a CPU there is none to compare with. A map that is smaller than a
convolution's kernel is exported for its own size only. Recurrent layers that do not expose their states
begin each run with zeros.

And back: `caffe.import_weights(net, file)`, or `caffe import_weights`, fills a net from a state_dict, .npz,
.safetensors, Keras' or plain HDF5, by the layers' names or by their order and shapes, and returns what
`copy_from` reports. Nothing in the file is run.
"""
