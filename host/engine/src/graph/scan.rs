//! Counts the parts of a model before it is decoded: an empty message takes two bytes in the file and
//! hundreds in memory, so a small hostile file could ask for more memory than there is.
//!
//! The walk knows which fields hold messages or strings that decoding keeps, and skips all others. It never
//! fails: what is no protobuf is left to the decoder to refuse.

/// Fields of a message that hold parts, each with the parts' own; the nesting is finite.
struct Fields(&'static [(u64, &'static Fields)]);

static LEAF: Fields = Fields(&[]);
static TENSOR: Fields = Fields(&[(13, &LEAF)]);
static ATTRIBUTE: Fields = Fields(&[(5, &TENSOR)]);
static NODE: Fields = Fields(&[(1, &LEAF), (2, &LEAF), (5, &ATTRIBUTE)]);
static SHAPE: Fields = Fields(&[(1, &LEAF)]);
static TENSOR_TYPE: Fields = Fields(&[(2, &SHAPE)]);
static TYPE: Fields = Fields(&[(1, &TENSOR_TYPE)]);
static VALUE: Fields = Fields(&[(2, &TYPE)]);
static GRAPH: Fields = Fields(&[(1, &NODE), (5, &TENSOR), (11, &VALUE), (12, &VALUE)]);
static MODEL: Fields = Fields(&[(7, &GRAPH), (8, &LEAF)]);

/// Messages and strings that decoding the model in `bytes` would keep.
pub(super) fn count_parts(bytes: &[u8]) -> usize {
    count(bytes, &MODEL)
}

/// As [`count_parts`], of messages inside a model.
pub(super) mod count_parts_of {
    use super::{GRAPH, MODEL, TENSOR, count};

    /// Parts of a model.
    pub fn model(bytes: &[u8]) -> usize {
        count(bytes, &MODEL)
    }
    /// Parts of a graph.
    pub fn graph(bytes: &[u8]) -> usize {
        count(bytes, &GRAPH)
    }
    /// Parts of a tensor.
    pub fn tensor(bytes: &[u8]) -> usize {
        count(bytes, &TENSOR)
    }
}

fn count(mut bytes: &[u8], fields: &Fields) -> usize {
    let mut total = 0;
    while let Some(key) = varint(&mut bytes) {
        let length = match key & 7 {
            0 => varint(&mut bytes).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut bytes),
            // Groups are skipped by the decoder; their content is walked as if it stood here.
            3 | 4 => Some(0),
            5 => Some(4),
            _ => None,
        };
        let split = length.and_then(|n| usize::try_from(n).ok()).and_then(|n| bytes.split_at_checked(n));
        let Some((content, rest)) = split else { return total };
        bytes = rest;
        if key & 7 == 2
            && let Some((_, inner)) = fields.0.iter().find(|(number, _)| *number == key >> 3)
        {
            total += 1 + count(content, inner);
        }
    }
    total
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::onnx::{GraphProto, NodeProto, OnnxModel};

    #[test]
    fn every_part_of_an_encoded_model_is_counted() {
        let node = NodeProto {
            input: vec!["a".into(), "b".into()],
            output: vec!["c".into()],
            ..NodeProto::default()
        };
        let graph = GraphProto { node: vec![node; 10], ..GraphProto::default() };
        let model = OnnxModel { graph: Some(graph), producer_name: Some("x".into()), ..OnnxModel::default() };
        // The graph, ten nodes, three names each.
        assert_eq!(count_parts(&model.to_bytes()), 1 + 10 + 30);
    }

    #[test]
    fn groups_hide_nothing_and_garbage_ends_the_walk() {
        // An unknown group, then a graph (field 7) with two empty nodes (field 1).
        let bytes = [0xa3, 0x01, 0xa4, 0x01, 0x3a, 4, 0x0a, 0, 0x0a, 0];
        assert_eq!(count_parts(&bytes), 3);
        assert_eq!(count_parts(&[0xff; 40]), 0);
        assert_eq!(count_parts(&[0x3a, 200, 0x0a]), 0);
    }
}
