"""Models in ONNX files, by onnxruntime: ``onnx:FILE``; and writing such files."""
