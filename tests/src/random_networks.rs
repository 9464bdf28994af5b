//! Random ONNX networks, node by node: every family of operators with random shapes, attributes and constants.

mod families;

use certus_engine::graph::onnx::{
    AttributeProto, DimProto, GraphProto, NodeProto, OnnxModel, OperatorSetId, ShapeProto, TensorProto,
    TensorType, TypeProto, ValueInfo,
};
use certus_engine::graph::{Network, parse_onnx_bytes};

use crate::random::Random;

pub use families::FAMILIES;

/// An operator set that has every operator drawn here.
const OPERATOR_SET: i64 = 24;

/// A network under construction: each node reads what the last one gave, and perhaps what earlier ones gave.
#[derive(Clone, Debug)]
pub struct Draft {
    graph: GraphProto,
    /// Names and shapes of the computed values, the input first.
    values: Vec<(String, Vec<usize>)>,
    made: usize,
}

impl Draft {
    /// A network of one input and no node yet.
    pub fn new(shape: &[usize]) -> Self {
        let dim = shape.iter().map(|d| DimProto { dim_value: Some(int(*d)), dim_param: None }).collect();
        let tensor_type = Some(TensorType { elem_type: Some(1), shape: Some(ShapeProto { dim }) });
        let input = ValueInfo { name: Some("x".into()), kind: Some(TypeProto { tensor_type }) };
        let graph = GraphProto { input: vec![input], ..GraphProto::default() };
        Self { graph, values: vec![("x".into(), shape.to_vec())], made: 0 }
    }

    /// Adds one node of `family` (and what it needs), if it fits what there is.
    ///
    /// # Panics
    /// If `family` is none of [`FAMILIES`].
    pub fn extend(&mut self, family: &str, random: &mut Random) -> bool {
        // Most families count axes, and a scalar has none.
        if self.shape().is_empty() {
            return false;
        }
        let mut longer = self.clone();
        if !families::add(&mut longer, family, random) {
            return false;
        }
        *self = longer;
        true
    }

    /// Nodes so far.
    pub fn nodes(&self) -> usize {
        self.graph.node.len()
    }

    /// The network so far.
    ///
    /// # Panics
    /// If import refuses it.
    pub fn network(&self) -> Network {
        self.import().expect("import takes what was drawn")
    }

    fn import(&self) -> Result<Network, String> {
        let mut graph = self.graph.clone();
        let output = self.values.last().map(|(name, _)| name.clone());
        graph.output = vec![ValueInfo { name: output, kind: None }];
        let opset_import = vec![OperatorSetId { domain: None, version: Some(OPERATOR_SET) }];
        let model = OnnxModel { graph: Some(graph), opset_import, ..OnnxModel::default() };
        parse_onnx_bytes(&model.to_bytes(), "random").map_err(|e| e.to_string())
    }

    /// What the last node gave.
    fn last(&self) -> (String, Vec<usize>) {
        self.values.last().expect("at least the input").clone()
    }

    fn shape(&self) -> Vec<usize> {
        self.last().1
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{}", self.made)
    }

    /// A constant of random numbers.
    fn floats(&mut self, shape: &[usize], random: &mut Random, range: [f32; 2]) -> String {
        let count = shape.iter().product();
        let data = (0..count).map(|_| random.between(range[0], range[1])).collect();
        self.constant(shape, data)
    }

    fn constant(&mut self, shape: &[usize], float_data: Vec<f32>) -> String {
        let name = self.name("c");
        let dims = shape.iter().map(|d| int(*d)).collect();
        let named = Some(name.clone());
        let tensor =
            TensorProto { name: named, dims, data_type: Some(1), float_data, ..TensorProto::default() };
        self.graph.initializer.push(tensor);
        name
    }

    fn ints(&mut self, data: &[i64]) -> String {
        let name = self.name("i");
        self.graph.initializer.push(TensorProto {
            name: Some(name.clone()),
            dims: vec![int(data.len())],
            data_type: Some(7),
            int64_data: data.to_vec(),
            ..TensorProto::default()
        });
        name
    }

    /// Adds a node; its result becomes the last value. False if import refuses it.
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> bool {
        let output = self.name("y");
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: vec![output.clone()],
            op_type: Some(operator.into()),
            attribute: attributes,
            ..NodeProto::default()
        });
        self.values.push((output, Vec::new()));
        match self.import() {
            Ok(network) if network.output().len() <= 2000 => {
                self.values.last_mut().expect("just pushed").1 = network.output().shape.clone();
                true
            }
            _ => false,
        }
    }

    /// Adds a node that gives a constant; its name.
    fn constant_node(&mut self, operator: &str, inputs: &[&str]) -> String {
        let output = self.name("k");
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: vec![output.clone()],
            op_type: Some(operator.into()),
            ..NodeProto::default()
        });
        output
    }
}

fn int(n: usize) -> i64 {
    i64::try_from(n).expect("small")
}

fn with_ints(name: &str, ints: &[usize]) -> AttributeProto {
    let ints = ints.iter().map(|i| int(*i)).collect();
    AttributeProto { name: Some(name.into()), ints, kind: Some(7), ..AttributeProto::default() }
}

fn with_int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: Some(name.into()), i: Some(i), kind: Some(2), ..AttributeProto::default() }
}

fn with_float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { name: Some(name.into()), f: Some(f), kind: Some(1), ..AttributeProto::default() }
}

fn with_word(name: &str, word: &str) -> AttributeProto {
    let s = Some(word.as_bytes().to_vec());
    AttributeProto { name: Some(name.into()), s, kind: Some(3), ..AttributeProto::default() }
}
