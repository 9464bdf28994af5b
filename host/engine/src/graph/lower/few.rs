//! Products with a constant matrix of few weights that are not 0, as sparse maps: no zero is ever written out.

use crate::program::{Constants, Map, Slot, Sparse};

use super::super::error::Fault;
use super::super::floats::Few;
use super::super::tensor::TensorData;
use super::Lowering;

impl Lowering<'_, '_> {
    /// `x · W` or `W · x` for a vector `x` that is computed and a constant `W` of few weights; with `turned` the second operand is
    /// given as its transpose. `None` if the node is another product, or matrices are to be written out.
    pub(super) fn few_weights(&mut self, turned: bool) -> Result<Option<Slot>, Fault> {
        let [left, right, ..] = self.node.inputs[..] else { return Ok(None) };
        let (left, right, output) = (self.network.value(left), self.network.value(right), self.output());
        let (x, w) = if right.constant.is_some() { (0, right) } else { (1, left) };
        let (Some(slot), Some(TensorData::Float(numbers))) =
            (self.slots[self.node.inputs[x].0], w.constant.as_deref())
        else {
            return Ok(None);
        };
        let (Some(few), &[first, second]) =
            (numbers.few().filter(|_| self.sparse.is_some()), w.shape.as_slice())
        else {
            return Ok(None);
        };
        // Rows of `W` are outputs if it stands on the left, or is given turned on the right.
        let by_rows = (x == 1) != turned;
        let (rows, cols) = if by_rows { (first, second) } else { (second, first) };
        if output.len() != rows || self.program.size(slot) != cols || (x == 1 && turned) {
            return Ok(None);
        }
        self.reserve(rows * cols)?;
        let matrix = if by_rows { matrix(few, rows, cols) } else { transposed(few, rows, cols) };
        if let Some(count) = &mut self.sparse {
            **count += 1;
        }
        self.affine(slot, Map::Sparse(matrix), None).map(Some)
    }
}

/// The matrix `[rows, cols]` whose rows are those of the list.
fn matrix(few: &Few, rows: usize, cols: usize) -> Sparse {
    let mut starts = vec![0u32; rows + 1];
    few.indices.iter().for_each(|i| starts[*i as usize / cols + 1] += 1);
    add_up(&mut starts);
    let columns = few.indices.iter().map(|i| (*i as usize % cols) as u32).collect();
    Sparse { cols, starts, columns, values: Constants::exact(few.values.clone()) }
}

/// The matrix `[rows, cols]` whose columns are the rows of the list.
fn transposed(few: &Few, rows: usize, cols: usize) -> Sparse {
    let mut starts = vec![0u32; rows + 1];
    few.indices.iter().for_each(|i| starts[*i as usize % rows + 1] += 1);
    add_up(&mut starts);
    let mut next = starts.clone();
    let (mut columns, mut values) = (vec![0; few.indices.len()], vec![0.0; few.indices.len()]);
    for (i, value) in few.indices.iter().zip(&few.values) {
        let place = &mut next[*i as usize % rows];
        columns[*place as usize] = (*i as usize / rows) as u32;
        values[*place as usize] = *value;
        *place += 1;
    }
    Sparse { cols, starts, columns, values: Constants::exact(values) }
}

/// Counts of rows as starts of rows.
fn add_up(starts: &mut [u32]) {
    let mut sum = 0;
    for start in starts {
        sum += *start;
        *start = sum;
    }
}

#[cfg(test)]
pub(in crate::graph) mod tests {
    use certus_core::proof::Meaning;

    use super::super::super::onnx::{
        AttributeProto, DimProto, GraphProto, NodeProto, OnnxModel, OperatorSetId, ShapeProto, TensorProto,
        TensorType, TypeProto, ValueInfo,
    };
    use super::super::super::parse_onnx_bytes;
    use crate::property::Property;
    use crate::verify::proof_file::identify;
    use crate::{Chain, Model, OwnedAffine};

    fn raw(name: &str, dims: [usize; 2], numbers: &[f32]) -> TensorProto {
        TensorProto {
            name: Some(name.into()),
            dims: dims.iter().map(|d| *d as i64).collect(),
            data_type: Some(1),
            raw_data: Some(numbers.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..TensorProto::default()
        }
    }

    /// `[rows, cols]` with some numbers in each row, −0 among them.
    fn selection(rows: usize, cols: usize) -> Vec<f32> {
        let mut numbers = vec![0.0; rows * cols];
        for i in 0..rows {
            numbers[i * cols + i * 7 % cols] = 1.0 + i as f32 / 64.0;
            numbers[i * cols + (i * 5 + 11) % cols] = if i % 3 == 0 { -0.0 } else { -1.25 };
        }
        numbers
    }

    fn value(name: &str, shape: [i64; 2]) -> ValueInfo {
        let dim = shape.iter().map(|d| DimProto { dim_value: Some(*d), dim_param: None }).collect();
        let tensor = TensorType { elem_type: Some(1), shape: Some(ShapeProto { dim }) };
        ValueInfo { name: Some(name.into()), kind: Some(TypeProto { tensor_type: Some(tensor) }) }
    }

    fn node(operator: &str, input: &[&str], output: &str) -> NodeProto {
        NodeProto {
            input: input.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            op_type: Some(operator.into()),
            ..NodeProto::default()
        }
    }

    /// A model with two matrices of few weights.
    pub(in crate::graph) fn few_model() -> OnnxModel {
        model(node("MatMul", &["e", "W3"], "y"))
    }

    /// 2 → 300 → (x·W) 260 → (transB) 300 → 1 with ReLU between; the two in the middle have few weights.
    fn model(last: NodeProto) -> OnnxModel {
        let first: Vec<f32> = (0..600).map(|k| (k % 13) as f32 / 8.0 - 0.75).collect();
        let turned = AttributeProto { name: Some("transB".into()), i: Some(1), ..AttributeProto::default() };
        let mut gemm = node("Gemm", &["c", "W2", "bias"], "d");
        gemm.attribute.push(turned);
        let graph = GraphProto {
            node: vec![
                node("MatMul", &["x", "W0"], "a"),
                node("Relu", &["a"], "b"),
                node("MatMul", &["b", "W1"], "m"),
                node("Relu", &["m"], "c"),
                gemm,
                node("Relu", &["d"], "e"),
                last,
            ],
            initializer: vec![
                raw("W0", [2, 300], &first),
                raw("W1", [300, 260], &selection(300, 260)),
                raw("W2", [300, 260], &selection(300, 260)),
                raw("bias", [1, 300], &first[..300]),
                raw("W3", [300, 1], &first[..300]),
            ],
            input: vec![value("x", [1, 2])],
            output: vec![value("y", [1, 1])],
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetId { domain: None, version: Some(13) }];
        OnnxModel { ir_version: Some(7), graph: Some(graph), opset_import, ..OnnxModel::default() }
    }

    #[test]
    fn matrices_of_few_weights_stay_so_in_the_same_chain() {
        let bytes = model(node("MatMul", &["e", "W3"], "y")).to_bytes();
        let network = parse_onnx_bytes(&bytes, "t").unwrap();
        let written_out = network.to_chain().unwrap();
        let Model::Chain(chain) = network.lower_to_model().unwrap() else { panic!("it is a chain") };
        let sparse = |chain: &Chain| {
            let is = |l: &&crate::OwnedLayer| matches!(l.affine, OwnedAffine::Sparse { .. });
            chain.layers().iter().filter(is).count()
        };
        assert_eq!((sparse(&chain), sparse(&written_out)), (2, 0));
        for (few, all) in chain.layers().iter().zip(written_out.layers()) {
            // Debug tells −0 from 0.
            assert_eq!(format!("{:?}", few.affine.written_out()), format!("{:?}", all.affine));
            assert_eq!(few.relu, all.relu);
        }
        for k in 0..50u8 {
            let x = [f32::from(k) / 25.0 - 1.0, 0.5 - f32::from(k) / 70.0];
            assert_eq!(chain.eval_f32(&x)[0].to_bits(), written_out.eval_f32(&x)[0].to_bits());
            let wide = x.map(f64::from);
            let (few, all) = (chain.eval_f64(&wide)[0], written_out.eval_f64(&wide)[0]);
            assert!((few - all).abs() <= 1e-9 * (1.0 + all.abs()), "{few} {all}");
            assert!((few - network.eval(&wide)[0]).abs() <= 1e-9 * (1.0 + all.abs()));
        }
        let property = Property { inputs: 2, outputs: 1, cases: vec![] };
        let lowered = |chain| identify(&Model::Chain(chain), &property, Meaning::Real, [[0; 32]; 3]).lowered;
        assert_eq!(lowered(chain), lowered(written_out), "a proof speaks of the same network");
    }

    #[test]
    fn a_network_that_is_no_chain_has_its_weights_written_out() {
        let bytes = model(node("Sigmoid", &["e"], "y")).to_bytes();
        let mut model = OnnxModel::parse(&bytes).unwrap();
        model.graph.as_mut().unwrap().output[0] = value("y", [1, 300]);
        let network = parse_onnx_bytes(&model.to_bytes(), "t").unwrap();
        let expected = network.lower().unwrap();
        assert_eq!(network.lower_to_model().unwrap(), Model::Program(expected));
    }

    #[test]
    fn a_number_that_is_not_finite_is_named_by_its_place() {
        let mut model = model(node("MatMul", &["e", "W3"], "y"));
        let mut numbers = selection(300, 260);
        numbers[4321] = f32::NAN;
        model.graph.as_mut().unwrap().initializer[1] = raw("W1", [300, 260], &numbers);
        let refused = parse_onnx_bytes(&model.to_bytes(), "t.onnx").unwrap_err().to_string();
        assert!(
            refused.contains("t.onnx") && refused.contains("W1") && refused.contains("4321"),
            "{refused}"
        );
        let mut cut = raw("W1", [300, 260], &selection(300, 260));
        cut.dims[0] = 301;
        model.graph.as_mut().unwrap().initializer[1] = cut;
        let refused = parse_onnx_bytes(&model.to_bytes(), "t.onnx").unwrap_err().to_string();
        assert!(refused.contains("W1") && refused.contains("its shape asks for 78260"), "{refused}");
    }
}
