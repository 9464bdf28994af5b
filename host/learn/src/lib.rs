//! Certified training. Empty in this version: networks come in through ONNX.
