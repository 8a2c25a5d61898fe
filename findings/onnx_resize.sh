#!/usr/bin/env bash
# ONNX's Resize with antialias, of opset 18, in three programs that read ONNX. Each model here passes onnx 1.23.2's
# checker with full_check; the expected pixels are Pillow 13.0.0's.
#
# 1. OpenVINO 2026.4.1 and OpenCV 5.0.0's dnn load a Resize with antialias=1 and compute it without antialiasing, with
#    no word of it: shrinking 200 pixels to 32, some are 80 and more of 255 off. ONNX Runtime 1.32.0 gives Pillow's
#    pixels within one level.
# 2. ONNX Runtime 1.32.0 does not load a Resize of two axes (attribute `axes`) behind a Transpose:
#      Node (view) Op (Resize) [ShapeInferenceError] Number of elements of input 'sizes' (0) does not match the number
#      of axes (2).
#    With its graph optimizations off, or with all four extents instead of `axes`, it loads it and is right.
#
# Installs into a temporary folder; fails if what is seen differs. Not part of the tests.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q install onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1 \
  opencv-python-headless==5.0.0.93 pillow==13.0.0 numpy==2.4.6
cd "$work"
cat > try.py <<'PY'
import cv2, numpy, onnx, onnxruntime, openvino
from onnx import TensorProto, helper
from PIL import Image

SIZE, SMALL = 200, 32
noise = numpy.random.default_rng(1).integers(0, 256, (40, 40, 3)).astype(numpy.uint8)
image = numpy.asarray(Image.fromarray(noise).resize((SIZE, SIZE), Image.BICUBIC))
expected = numpy.asarray(Image.fromarray(image).resize((SMALL, SMALL), Image.BILINEAR)).astype(int)


def write(name, sizes, **attributes):
    """uint8 N×H×W×3 → N×3×32×32."""
    nodes = [helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
             helper.make_node("Resize", ["planes", "", "", "sizes"], ["view"], "view", mode="linear",
                              coordinate_transformation_mode="half_pixel", antialias=1, exclude_outside=1,
                              **attributes)]
    graph = helper.make_graph(
        nodes, "resize", [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIZE, SIZE, 3])],
        [helper.make_tensor_value_info("view", TensorProto.UINT8, [1, 3, SMALL, SMALL])],
        [helper.make_tensor("sizes", TensorProto.INT64, [len(sizes)], sizes)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), name)
    onnx.checker.check_model(name, full_check=True)


def most(view):
    return abs(view[0].transpose(1, 2, 0).astype(int) - expected).max()


def by_onnxruntime(name, level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = level
    settings.log_severity_level = 4
    return most(onnxruntime.InferenceSession(name, settings).run(None, {"image": image[None]})[0])


write("all.onnx", [1, 3, SMALL, SMALL])
off = {"onnxruntime": by_onnxruntime("all.onnx"),
       "openvino": most(openvino.Core().compile_model("all.onnx", "CPU")({"image": image[None]})["view"])}
net = cv2.dnn.readNetFromONNX("all.onnx")
net.setInput(image[None], "image")
off["opencv"] = most(net.forward("view"))
print("levels off Pillow, at most:", off)
assert off["onnxruntime"] <= 1, off
assert off["openvino"] > 50 and off["opencv"] > 50, off

write("axes.onnx", [SMALL, SMALL], axes=[2, 3])
assert by_onnxruntime("axes.onnx", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL) <= 1
try:
    by_onnxruntime("axes.onnx")
    raise SystemExit("ONNX Runtime loads Resize of two axes behind a Transpose now")
except onnxruntime.capi.onnxruntime_pybind11_state.Fail as error:
    print("axes:", error)
    assert "sizes" in str(error), error
PY
"$work/venv/bin/python" try.py
echo "as described"
