//! The ONNX wire format: the messages and fields that import and export use, and nothing else.
//!
//! Field numbers are those of `onnx.proto` (the file of the ONNX project); unknown fields are skipped.
//! Decoding allocates in proportion to the bytes at hand, never to a length that the bytes claim.

use prost::Message;
use prost::bytes::Bytes;

use super::error::Fault;
use super::scan::count_parts;

/// Cap on the nodes, tensors, values, attributes and names of a model.
pub(super) const PARTS_MAX: usize = 1 << 22;

/// A parsed model, not yet checked.
#[derive(Clone, PartialEq, Message)]
pub struct OnnxModel {
    /// Version of the container format.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The tool that wrote the model.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// What the model says about itself.
    #[prost(string, optional, tag = "6")]
    pub doc_string: Option<String>,
    /// The computation.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// Versions of the operator sets in use.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetId>,
}

/// Version of one operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetId {
    /// Empty or `ai.onnx` for ONNX's own operators.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// Version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// Nodes and constants.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// Operators.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Name of the graph.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// Inputs; older files list the initializers here too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the values read; empty for an optional input left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values given.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name of the node, may be empty.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// Name of the operator.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// Settings.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// Operator set, as in [`OperatorSetId::domain`].
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
}

/// One setting of an operator.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// Name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A number.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// An integer.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A word.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub s: Option<Vec<u8>>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// Numbers.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Which of the fields is meant.
    #[prost(int32, optional, tag = "20")]
    pub kind: Option<i32>,
}

/// A constant.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// Type of the elements, see [`DataType`].
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Elements of type `f32`.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of the smaller integer types, and the bits of half precision numbers.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of type `i64`.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Elements of any type, little-endian.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Elements of type `f64`.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Where the data is, if it is not in this file: `location`, `offset`, `length`.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringEntry>,
    /// 0: here; 1: external.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// A key and its value.
#[derive(Clone, PartialEq, Message)]
pub struct StringEntry {
    /// Key.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// Value.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// A named value with its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// Name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub kind: Option<TypeProto>,
}

/// The type of a value; only tensors are read.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// A tensor.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Element type and shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// Type of the elements, see [`DataType`].
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// Shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<ShapeProto>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct ShapeProto {
    /// Dimensions.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<DimProto>,
}

/// One dimension: a size, a symbol, or neither (unknown).
#[derive(Clone, PartialEq, Message)]
pub struct DimProto {
    /// Its size.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// Its symbol, such as `batch_size`.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}

/// Types of elements that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `f32`.
    Float,
    /// `u8`.
    Uint8,
    /// `i8`.
    Int8,
    /// `i32`.
    Int32,
    /// `i64`.
    Int64,
    /// One byte, 0 or 1.
    Bool,
    /// IEEE half precision.
    Float16,
    /// `f64`.
    Double,
    /// The upper half of an `f32`.
    Bfloat16,
}

impl DataType {
    /// All of them with their numbers in `onnx.proto`.
    const NUMBERS: [(Self, i32); 9] = [
        (Self::Float, 1),
        (Self::Uint8, 2),
        (Self::Int8, 3),
        (Self::Int32, 6),
        (Self::Int64, 7),
        (Self::Bool, 9),
        (Self::Float16, 10),
        (Self::Double, 11),
        (Self::Bfloat16, 16),
    ];

    /// The type with this number in `onnx.proto`, if it is read.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::NUMBERS.iter().find(|(_, n)| *n == number).map(|(t, _)| *t)
    }

    /// Its number in `onnx.proto`.
    pub fn number(self) -> i32 {
        Self::NUMBERS.iter().find(|(t, _)| *t == self).map_or(0, |(_, n)| *n)
    }
}

impl TensorProto {
    /// Encodes the tensor as a file of its own.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

impl OnnxModel {
    /// Decodes `bytes` (plain protobuf).
    ///
    /// # Errors
    /// [`Fault::Protobuf`], [`Fault::TooManyParts`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        Self::parse_owned(bytes.to_vec())
    }

    /// As [`Self::parse`]; the raw data of tensors stays where it is in `bytes`.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_owned(bytes: Vec<u8>) -> Result<Self, Fault> {
        if count_parts(&bytes) > PARTS_MAX {
            return Err(Fault::TooManyParts { limit: PARTS_MAX });
        }
        Self::decode(Bytes::from(bytes)).map_err(|e| Fault::Protobuf { reason: e.to_string() })
    }

    /// Encodes the model.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Version of ONNX's own operator set, 0 if none is named.
    pub fn operator_set(&self) -> i64 {
        let own = self.opset_import.iter().filter(|o| is_onnx_domain(o.domain()));
        own.map(|o| o.version()).max().unwrap_or(0)
    }
}

/// Whether `domain` is that of ONNX's own operators.
pub fn is_onnx_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}
