//! Import and lowering on models written down by hand, against numbers worked out by hand and against the
//! plain evaluation of the graph; every refusal.

use proptest::prelude::*;

use super::onnx::{
    AttributeProto, DimProto, GraphProto, NodeProto, OperatorSetId, ShapeProto, TensorProto, TensorType,
    TypeProto, ValueInfo,
};
use super::*;
use crate::{OwnedAffine, OwnedLayer};

fn floats(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(1),
        float_data: data.to_vec(),
        ..TensorProto::default()
    }
}

fn ints(name: &str, data: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![data.len() as i64],
        data_type: Some(7),
        int64_data: data.to_vec(),
        ..TensorProto::default()
    }
}

fn node(operator: &str, input: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: input.iter().map(|s| (*s).into()).collect(),
        output: vec![output.into()],
        op_type: Some(operator.into()),
        ..NodeProto::default()
    }
}

fn with_int(mut node: NodeProto, name: &str, value: i64) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        ..AttributeProto::default()
    });
    node
}

fn with_float(mut node: NodeProto, name: &str, value: f32) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        f: Some(value),
        ..AttributeProto::default()
    });
    node
}

fn value(name: &str, dims: &[i64]) -> ValueInfo {
    let dim = dims.iter().map(|d| DimProto { dim_value: (*d != 0).then_some(*d), dim_param: None }).collect();
    let tensor_type = Some(TensorType { elem_type: Some(1), shape: Some(ShapeProto { dim }) });
    ValueInfo { name: Some(name.into()), kind: Some(TypeProto { tensor_type }) }
}

/// A model from `x` of shape `input` to `y`.
fn model(input: &[i64], initializer: Vec<TensorProto>, node: Vec<NodeProto>) -> OnnxModel {
    let graph = GraphProto {
        node,
        initializer,
        input: vec![value("x", input)],
        output: vec![value("y", &[])],
        ..GraphProto::default()
    };
    let opset_import = vec![OperatorSetId { domain: None, version: Some(13) }];
    OnnxModel { graph: Some(graph), opset_import, ..OnnxModel::default() }
}

fn import(model: &OnnxModel) -> Result<Network, LoadError> {
    parse_onnx_bytes(&model.to_bytes(), "net.onnx")
}

fn lower(model: &OnnxModel) -> Chain {
    import(model).unwrap().to_chain().unwrap()
}

fn refused(model: &OnnxModel) -> String {
    let text = import(model).and_then(|n| n.to_chain()).unwrap_err().to_string();
    assert!(text.starts_with("net.onnx: ") && !text.contains('\n'), "{text}");
    text
}

fn dense(rows: usize, cols: usize, weights: &[f32], bias: &[f32], relu: bool) -> OwnedLayer {
    OwnedLayer { affine: OwnedAffine::Dense { rows, cols, weights: weights.into(), bias: bias.into() }, relu }
}

fn scale(scale: &[f32], shift: &[f32], relu: bool) -> OwnedLayer {
    OwnedLayer { affine: OwnedAffine::Scale { scale: scale.into(), shift: shift.into() }, relu }
}

#[test]
fn normalisation_becomes_layer_0_and_sums_become_biases() {
    let m = model(
        &[0, 2],
        vec![
            floats("mean", &[1, 2], &[0.5, -0.1]),
            floats("w", &[2, 1], &[2.0, 3.0]),
            floats("b", &[1], &[7.0]),
        ],
        vec![
            node("Sub", &["x", "mean"], "centred"),
            node("MatMul", &["centred", "w"], "z"),
            node("Add", &["b", "z"], "zb"),
            node("Relu", &["zb"], "y"),
        ],
    );
    let expected = [scale(&[1.0, 1.0], &[-0.5, 0.1], false), dense(1, 2, &[2.0, 3.0], &[7.0], true)];
    assert_eq!(lower(&m).layers(), expected);
    // (1 − 1/2)·2 + (1 + 0.1)·3 + 7, in either evaluation.
    let x = [1.0f64, 1.0];
    for y in [import(&m).unwrap().eval(&x), lower(&m).eval_f64(&x)] {
        assert!((y[0] - 11.3).abs() < 1e-6, "{y:?}");
    }
}

#[test]
fn a_constant_on_the_right_is_stored_by_rows_of_outputs() {
    let w = [1., 2., 3., 4., 5., 6.];
    let matmul = model(&[1, 2], vec![floats("w", &[2, 3], &w)], vec![node("MatMul", &["x", "w"], "y")]);
    let gemm = model(&[1, 2], vec![floats("w", &[2, 3], &w)], vec![node("Gemm", &["x", "w"], "y")]);
    let transposed = with_int(node("Gemm", &["x", "v"], "y"), "transB", 1);
    let transposed = model(&[1, 2], vec![floats("v", &[3, 2], &[1., 4., 2., 5., 3., 6.])], vec![transposed]);
    for m in [matmul, gemm, transposed] {
        assert_eq!(lower(&m).layers(), [dense(3, 2, &[1., 4., 2., 5., 3., 6.], &[0.; 3], false)]);
        assert_eq!(import(&m).unwrap().eval(&[1.0f64, 10.0]), [41.0, 52.0, 63.0]);
    }
}

#[test]
fn a_sum_that_would_round_into_a_bias_stays_a_layer_and_zero_vanishes() {
    let m = model(
        &[1, 1],
        vec![
            floats("w", &[1, 1], &[2.0]),
            floats("b", &[1], &[1e-9]),
            floats("c", &[1], &[1.0]),
            floats("zero", &[], &[0.0]),
        ],
        vec![
            node("Sub", &["x", "zero"], "x0"),
            node("Gemm", &["x0", "w", "b"], "z"),
            node("Sub", &["z", "zero"], "z0"),
            node("Sub", &["c", "z0"], "y"),
        ],
    );
    assert_eq!(lower(&m).layers(), [dense(1, 1, &[2.0], &[1e-9], false), scale(&[-1.0], &[1.0], false)]);
}

#[test]
fn gemm_factors_fold_only_where_exact() {
    let gemm = |alpha: f32, beta: f32| {
        let n = node("Gemm", &["x", "w", "c"], "y");
        let n = with_float(with_float(with_int(n, "transB", 1), "alpha", alpha), "beta", beta);
        model(&[1, 2], vec![floats("w", &[1, 2], &[0.1, 3.0]), floats("c", &[1, 1], &[0.3])], vec![n])
    };
    assert_eq!(lower(&gemm(0.5, 2.0)).layers(), [dense(1, 2, &[0.05, 1.5], &[0.6], false)]);
    let kept = [dense(1, 2, &[0.1, 3.0], &[0.0], false), scale(&[0.3], &[0.3], false)];
    assert_eq!(lower(&gemm(0.3, 1.0)).layers(), kept);
    assert!(refused(&gemm(1.0, 0.3)).contains("step `y` has constants that were rounded"));
}

#[test]
fn a_constant_on_the_left_multiplies_columns() {
    let m = model(
        &[2],
        vec![floats("w", &[3, 2], &[1., 2., 3., 4., 5., 6.])],
        vec![node("MatMul", &["w", "x"], "y")],
    );
    assert_eq!(lower(&m).layers(), [dense(3, 2, &[1., 2., 3., 4., 5., 6.], &[0.; 3], false)]);
}

#[test]
fn reshapes_keep_elements_and_constants_follow_them() {
    let axes = with_int(node("Flatten", &["x"], "flat"), "axis", -3);
    let m = model(
        &[0, 1, 2, 2],
        vec![ints("shape", &[0, -1]), ints("axis0", &[0]), floats("w", &[4], &[1., 2., 3., 4.])],
        vec![
            axes,
            node("Reshape", &["flat", "shape"], "r"),
            node("Squeeze", &["r", "axis0"], "s"),
            node("Unsqueeze", &["s", "axis0"], "u"),
            node("Identity", &["w"], "w2"),
            node("Unsqueeze", &["w2", "axis0"], "w3"),
            node("Mul", &["u", "w3"], "y"),
        ],
    );
    let network = import(&m).unwrap();
    assert_eq!(network.output().shape, [1, 4]);
    assert_eq!(network.eval(&[1.0f64, 1.0, 1.0, -1.0]), [1.0, 2.0, 3.0, -4.0]);
    assert_eq!(network.to_chain().unwrap().layers(), [scale(&[1., 2., 3., 4.], &[0.; 4], false)]);
}

#[test]
fn nodes_may_come_in_any_order_and_unused_ones_are_ignored() {
    let m = model(
        &[1, 1],
        vec![floats("w", &[1, 1], &[2.0])],
        vec![node("Relu", &["z"], "y"), node("Softmax", &["x"], "unused"), node("MatMul", &["x", "w"], "z")],
    );
    assert_eq!(lower(&m).layers(), [dense(1, 1, &[2.0], &[0.0], true)]);
}

#[test]
fn a_network_without_layers_is_the_identity_and_relu_alone_is_one() {
    let identity = model(&[1, 2], vec![], vec![node("Identity", &["x"], "y")]);
    assert_eq!(lower(&identity).layers(), [scale(&[1.0; 2], &[0.0; 2], false)]);
    let relu = model(&[1, 2], vec![], vec![node("Relu", &["x"], "z"), node("Relu", &["z"], "y")]);
    assert_eq!(lower(&relu).layers(), [scale(&[1.0; 2], &[0.0; 2], true)]);
}

/// A good model: `y = w·x`.
fn good() -> OnnxModel {
    model(&[1, 2], vec![floats("w", &[2, 1], &[1.0, 2.0])], vec![node("MatMul", &["x", "w"], "y")])
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> OnnxModel {
    let mut m = good();
    change(m.graph.as_mut().unwrap());
    m
}

#[test]
fn each_refusal_names_node_or_tensor_and_way_out() {
    let nodes = |nodes: Vec<NodeProto>| changed(|g| g.node = nodes);
    let one = |n: NodeProto| nodes(vec![n]);
    let cases: Vec<(OnnxModel, &str)> = vec![
        (OnnxModel::default(), "holds no graph"),
        (
            OnnxModel { opset_import: vec![], ..good() },
            "uses operator set 0; export it with an operator set from 7 to 25",
        ),
        (changed(|g| g.input.clear()), "has 0 inputs (none)"),
        (changed(|g| g.input.push(value("x2", &[1]))), "has 2 inputs (`x`, `x2`)"),
        (changed(|g| g.output.clear()), "has 0 outputs"),
        (changed(|g| g.input[0].kind = None), "input `x`: is no tensor"),
        (changed(|g| g.input = vec![value("x", &[1, 0])]), "input `x`: dimension 1 is open"),
        (changed(|g| g.input = vec![value("x", &[1, -5])]), "input `x`: dimension 1 is -5"),
        (
            changed(|g| g.input = vec![value("x", &[1 << 40, 1 << 40])]),
            "`x`: shape [1099511627776, 1099511627776]",
        ),
        (changed(|g| g.input = vec![value("x", &[1, 3])]), "node `y` (MatMul): shapes [1, 3] and [2, 1]"),
        (changed(|g| g.input = vec![value("x", &[4, 2])]), "step `y` multiplies several rows"),
        (
            one(node("LSTM", &["x"], "y")),
            "node `y`: operator `LSTM` is not supported; unroll it over the time steps",
        ),
        (
            one(NodeProto {
                domain: Some("com.x".into()),
                name: Some("n\n1".into()),
                ..node("Relu", &["x"], "y")
            }),
            "node `n\\n1`: operator `com.x.Relu` is not supported",
        ),
        (one(node("MatMul", &["x", "gone"], "y")), "node `y` reads `gone`, which no node"),
        (one(node("Relu", &["x"], "z")), "the graph's output reads `y`"),
        (
            nodes(vec![node("Relu", &["b"], "a"), node("Relu", &["a"], "b"), node("Add", &["a", "x"], "y")]),
            "depends on its own output: the graph is cyclic",
        ),
        (nodes(vec![node("Relu", &["x"], "y"), node("Relu", &["x"], "y")]), "value `y` is given twice"),
        (one(node("Relu", &["x"], "w")), "value `w` is given twice"),
        (changed(|g| g.initializer.push(floats("w", &[1], &[1.0]))), "value `w` is given twice"),
        (changed(|g| g.initializer[0].float_data[1] = f32::NAN), "tensor `w`: element 1 is NaN"),
        (changed(|g| g.initializer[0].float_data[0] = f32::INFINITY), "tensor `w`: element 0 is inf"),
        (changed(|g| g.initializer[0].dims = vec![3, 1]), "tensor `w`: has 2 elements of data"),
        (changed(|g| g.initializer[0].data_type = Some(8)), "tensor `w`: has element type 8"),
        (changed(|g| g.initializer[0].data_location = Some(1)), "tensor `w`: external data"),
        (one(node("Relu", &[], "y")), "node `y` (Relu): has 0 inputs where 1 are needed"),
        (one(node("Add", &["x", ""], "y")), "node `y` (Add): has 1 inputs where 2"),
        (one(node("Add", &["x", "x"], "y")), "step `y` adds computed values"),
        (one(node("Add", &["w", "w"], "y")), "output `y` does not depend on input `x`"),
        (
            one(with_int(node("Gemm", &["x", "w"], "y"), "transA", 1)),
            "node `y` (Gemm): shapes [1, 2] and [2, 1] do not go together; A is [M, K] or with transA [K, M]",
        ),
        (
            one(with_float(node("Gemm", &["x", "w"], "y"), "alpha", f32::NAN)),
            "attribute `alpha` is no finite number",
        ),
        (one(node("Gemm", &["w", "x"], "y")), "step `y` is a convolution"),
        (one(with_int(node("Flatten", &["x"], "y"), "axis", 3)), "node `y` (Flatten): axis 3"),
        (one(node("Reshape", &["x", "x"], "y")), "node `y` (Reshape): `x` must be constant integers"),
        (one(node("Constant", &[], "y")), "node `y` (Constant): has no finite tensor"),
        (changed(|g| g.output = vec![value("w", &[2])]), "output `w` does not depend on input `x`"),
        (
            changed(|g| {
                g.initializer.push(floats("c", &[2, 2], &[1.0; 4]));
                g.node = vec![node("Add", &["x", "c"], "y")];
            }),
            "step `y` moves elements",
        ),
        (
            changed(|g| {
                g.initializer.push(ints("s", &[3]));
                g.node = vec![node("Reshape", &["x", "s"], "y")];
            }),
            "node `y` (Reshape): cannot give [1, 2] the shape [3]",
        ),
        (
            changed(|g| {
                g.initializer.push(ints("s", &[3, 1]));
                g.node = vec![node("Add", &["x", "s"], "y")];
            }),
            "node `y` (Add): reads integers from `s`",
        ),
        (
            changed(|g| {
                g.input = vec![value("x", &[1, 70_000])];
                g.node = vec![node("Relu", &["x"], "y")];
            }),
            "step `input` has 70000 elements, more than",
        ),
    ];
    for (m, expected) in &cases {
        let found = refused(m);
        assert!(found.contains(expected), "gave: {found}\nnot:  {expected}");
    }
}

#[test]
fn a_residual_connection_imports_and_evaluates_but_is_no_chain() {
    let m = changed(|g| {
        g.initializer = vec![floats("w", &[2, 2], &[1.0, 0.0, 1.0, 1.0])];
        g.node = vec![node("MatMul", &["x", "w"], "z"), node("Add", &["x", "z"], "y")];
    });
    let network = import(&m).unwrap();
    assert_eq!(network.eval(&[1.0f32, 10.0]), [12.0, 20.0]);
    assert!(refused(&m).contains("step `y` adds computed values"));
    assert_eq!(network.lower().unwrap().eval(&[1.0f32, 10.0]), [12.0, 20.0]);
}

#[test]
fn what_no_program_can_hold_is_refused_by_node_and_operator() {
    let fault = |input: &[i64], constants: Vec<TensorProto>, nodes: Vec<NodeProto>| {
        let network = import(&model(input, constants, nodes)).unwrap();
        network.lower().unwrap_err().to_string()
    };
    let one = |operator: &str| fault(&[1, 2], vec![], vec![node(operator, &["x"], "y")]);
    assert!(one("Round").contains("node `y` (Round): rounds halves to even"));
    assert!(one("Atan").contains("node `y` (Atan): has no lowering"));
    let exponents = vec![floats("p", &[2], &[2.0, 3.0])];
    let found = fault(&[1, 2], exponents, vec![node("Pow", &["x", "p"], "y")]);
    assert!(found.contains("node `y` (Pow): has several constant exponents"), "{found}");
    let cube = vec![floats("w", &[1, 1, 1, 1, 1], &[2.0])];
    let found = fault(&[1, 1, 2, 2, 2], cube, vec![node("Conv", &["x", "w"], "y")]);
    assert!(found.contains("node `y` (Conv): has three or more spatial dimensions"), "{found}");
    let tiny = vec![floats("c", &[2], &[1.0, 1e-45])];
    let found = fault(&[1, 2], tiny, vec![node("Div", &["x", "c"], "y")]);
    assert!(
        found.contains("node `y` (Div): needs a constant beyond the range of f32, or undefined"),
        "{found}"
    );
}

#[test]
fn a_program_larger_than_the_limit_is_refused_before_it_is_made() {
    // 2^20 weights for each of 2^10 samples.
    let weights = floats("w", &[1 << 14, 1 << 6, 1], &vec![0.5; 1 << 20]);
    let m = model(&[1 << 10, 1 << 6, 1], vec![weights], vec![node("Conv", &["x", "w"], "y")]);
    let found = import(&m).unwrap().lower().unwrap_err().to_string();
    assert!(found.contains("node `y` (Conv): brings the program to more constants"), "{found}");
}

#[test]
fn a_model_of_millions_of_empty_nodes_is_refused_before_it_is_decoded() {
    let mut bytes = vec![0x3a, 0x80, 0x80, 0x80, 0x04];
    bytes.resize(5 + (1 << 23), 0);
    bytes[5..].as_chunks_mut::<2>().0.iter_mut().for_each(|node| *node = [0x0a, 0]);
    let text = parse_onnx_bytes(&bytes, "t").unwrap_err().to_string();
    assert!(text.contains("more than 4194304 nodes"), "{text}");
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let bytes = good().to_bytes();
    for n in 0..bytes.len() {
        let _ = parse_onnx_bytes(&bytes[..n], "t").and_then(|n| n.to_chain());
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[n] ^= 1 << bit;
            let _ = parse_onnx_bytes(&flipped, "t").and_then(|n| n.to_chain());
        }
    }
}

/// Programs as training and export give them: any layer kinds in any order, signed zeros and subnormals.
fn programs() -> impl Strategy<Value = Chain> {
    let number = prop_oneof![
        4 => -4.0f32..4.0,
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, f32::from_bits(1), 3e38]),
    ];
    let layer = (1..5usize, any::<bool>(), any::<bool>(), prop::collection::vec(number, 64));
    (1..5usize, prop::collection::vec(layer, 1..6)).prop_map(|(inputs, layers)| {
        let mut width = inputs;
        let build = |(rows, is_dense, relu, numbers): (usize, bool, bool, Vec<f32>)| {
            let affine = if is_dense {
                let weights = numbers[..rows * width].to_vec();
                let affine =
                    OwnedAffine::Dense { rows, cols: width, weights, bias: numbers[60..][..rows].to_vec() };
                width = rows;
                affine
            } else {
                OwnedAffine::Scale {
                    scale: numbers[..width].to_vec(),
                    shift: numbers[32..][..width].to_vec(),
                }
            };
            OwnedLayer { affine, relu }
        };
        Chain::new(layers.into_iter().map(build).collect()).unwrap()
    })
}

proptest! {
    #[test]
    fn a_written_program_loads_back_the_same(chain in programs()) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("net.onnx");
        write_onnx(&chain, &path).unwrap();
        let back = load_chain(&path).unwrap();
        prop_assert_eq!(&back, &chain);
        // Equality of floats does not see the sign of a zero; Debug does.
        prop_assert_eq!(format!("{back:?}"), format!("{chain:?}"));
    }

    #[test]
    fn lowering_keeps_the_function(chain in programs(), x in prop::collection::vec(-2.0f64..2.0, 4)) {
        // The graph is evaluated operator by operator by its own code; products and sums are the same
        // reals, so f64 differs only by rounding, relative to the sum of magnitudes.
        let network = parse_onnx_bytes(&to_onnx(&chain).to_bytes(), "t").unwrap();
        let x = &x[..chain.inputs()];
        let magnitude = chain.layers().iter().fold(2.0f64, |m, l| match l.affine.written_out().as_ref() {
            OwnedAffine::Sparse { .. } => unreachable!("its weights are written out"),
            OwnedAffine::Dense { weights, bias, .. } =>
                m * (1.0 + weights.iter().map(|w| f64::from(w.abs())).sum::<f64>())
                    + bias.iter().map(|b| f64::from(b.abs())).sum::<f64>(),
            OwnedAffine::Scale { scale, shift } =>
                m * (1.0 + scale.iter().map(|w| f64::from(w.abs())).sum::<f64>())
                    + shift.iter().map(|b| f64::from(b.abs())).sum::<f64>(),
        });
        for (a, b) in network.eval(x).iter().zip(chain.eval_f64(x)) {
            prop_assert!((a - b).abs() <= 1e-12 * magnitude, "{} {}", a, b);
        }
    }
}
