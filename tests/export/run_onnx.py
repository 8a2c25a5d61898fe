"""Checks every model of a folder with onnx, and runs it with ONNX Runtime on the CPU.

  run_onnx.py FOLDER

FOLDER has NAME.onnx, and INPUT.npy for each of their inputs. Writes NAME.OUTPUT.npy for each output: of all images at a time, or where the model takes one, one by one. Of models
of any number of images the empty batch is run, too.
"""
import pathlib
import sys

import numpy
import onnx
import onnxruntime

folder = pathlib.Path(sys.argv[1])
onnxruntime.set_default_logger_severity(3)
for path in sorted(folder.glob("*.onnx")):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    inputs = {i.name: numpy.load(folder / f"{i.name}.npy") for i in session.get_inputs()}
    count = len(next(iter(inputs.values())))
    if session.get_inputs()[0].shape[0] == 1:
        rows = [session.run(names, {
n: v[i:i + 1] for n, v in inputs.items()}) for i in range(count)]
        answers = [numpy.concatenate(values) for values in zip(*rows)]
    else:
        answers = session.run(names, inputs)
        for value in session.run(names, {
n: v[:0] for n, v in inputs.items()}):
            assert value.shape[0] == 0, (path.name, value.shape)
    for output, value in zip(session.get_outputs(), answers):
        assert list(output.shape[1:]) == list(value.shape[1:]), (path.name, output.name)
        assert len(value) == count, (path.name, output.name, value.shape)
        numpy.save(folder / f"{path.stem}.{output.name}.npy", value)
print(onnx.__version__, onnxruntime.__version__)
