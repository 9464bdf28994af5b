//! Networks: ONNX import, the operator graph, reference evaluation, lowering to a [`crate::Program`].
