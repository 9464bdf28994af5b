//! A packed model read as it is unpacked: lists of almost nothing but zeros never exist as a whole.
//!
//! A model in gzip of which most is zeros is hundreds of times smaller than its content, and writing that content to memory
//! takes longer than all that is done with it. The walk follows the wire format down to the raw data of the graph's tensors,
//! keeps the few numbers of long lists and copies everything else. It refuses nothing: what it does not understand is left to
//! the plain reader and its messages.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use prost::Message;
use prost::bytes::Bytes;

use super::floats::{FEW_LEN, Few, Sieve};
use super::onnx::{GraphProto, OnnxModel, PARTS_MAX, TensorProto};
use super::scan::count_parts_of;

/// A model, and by the index of their initializers the raw data that was kept by its few numbers.
pub(super) type Streamed = (OnnxModel, HashMap<usize, Few>);

/// Numbers of the fields that the walk enters.
const GRAPH: u64 = 7;
const INITIALIZER: u64 = 5;
const RAW_DATA: u64 = 9;

/// Bytes that are looked through at once.
const PIECE: usize = 1 << 16;

/// Something that the plain reader has to look at.
#[derive(Debug)]
struct Odd;

impl From<std::io::Error> for Odd {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

impl From<prost::DecodeError> for Odd {
    fn from(_: prost::DecodeError) -> Self {
        Self
    }
}

/// The model in the gzip file at `path`, at most `limit_bytes` unpacked; `None` if it is none, or is to be read plainly.
pub(super) fn read(path: &Path, limit_bytes: u64) -> Option<Streamed> {
    let mut file = BufReader::new(File::open(path).ok()?);
    if !file.fill_buf().ok()?.starts_with(&[0x1f, 0x8b]) {
        return None;
    }
    let unpacked = BufReader::with_capacity(2 * PIECE, MultiGzDecoder::new(file));
    parse(unpacked, limit_bytes).ok()
}

fn parse(reader: impl BufRead, limit_bytes: u64) -> Result<Streamed, Odd> {
    let mut walk = Walk { reader, at: 0, limit: limit_bytes };
    let (mut model, mut graph, mut has_graph) = (Vec::new(), Vec::new(), false);
    let mut tensors: Vec<(Vec<u8>, Option<Few>)> = Vec::new();
    while let Some(field) = walk.field(None, &mut model)? {
        if field.number != GRAPH {
            walk.copy_field(field, &mut model)?;
            continue;
        }
        has_graph = true;
        let end = walk.end(field.len)?;
        while let Some(field) = walk.field(Some(end), &mut graph)? {
            match field.number {
                INITIALIZER => tensors.push(walk.tensor(field.len)?),
                _ => walk.copy_field(field, &mut graph)?,
            }
        }
    }
    let parts = tensors.iter().map(|(bytes, _)| 1 + count_parts_of::tensor(bytes)).sum::<usize>();
    if parts + count_parts_of::model(&model) + count_parts_of::graph(&graph) >= PARTS_MAX {
        return Err(Odd);
    }
    let mut model = OnnxModel::decode(Bytes::from(model))?;
    let mut graph = GraphProto::decode(Bytes::from(graph))?;
    let mut kept = HashMap::new();
    for (index, (bytes, few)) in tensors.into_iter().enumerate() {
        graph.initializer.push(TensorProto::decode(Bytes::from(bytes))?);
        kept.extend(few.map(|few| (index, few)));
    }
    model.graph = has_graph.then_some(graph);
    Ok((model, kept))
}

/// A field with a length that was reached: its content comes next.
struct Field {
    number: u64,
    len: u64,
    /// Its key and length as they stand in the file.
    head: Vec<u8>,
}

/// Bytes being unpacked.
struct Walk<R> {
    reader: R,
    /// Bytes read.
    at: u64,
    /// As many are read.
    limit: u64,
}

impl<R: BufRead> Walk<R> {
    /// The next field that has a length, before the end of the message at `end` or of the file; those before it go to `rest`.
    fn field(&mut self, end: Option<u64>, rest: &mut Vec<u8>) -> Result<Option<Field>, Odd> {
        loop {
            let done = match end {
                Some(end) if self.at > end => return Err(Odd),
                Some(end) => self.at == end,
                None => self.reader.fill_buf()?.is_empty(),
            };
            if done {
                return Ok(None);
            }
            let mut head = Vec::new();
            let key = self.varint(&mut head)?;
            match key & 7 {
                0 => {
                    self.varint(&mut head)?;
                    rest.append(&mut head);
                }
                2 => {
                    let len = self.varint(&mut head)?;
                    return Ok(Some(Field { number: key >> 3, len, head }));
                }
                width @ (1 | 5) => {
                    rest.append(&mut head);
                    self.copy(if width == 1 { 8 } else { 4 }, rest)?;
                }
                _ => return Err(Odd),
            }
        }
    }

    /// One initializer of `len` bytes: without the raw data that was kept by its few numbers.
    fn tensor(&mut self, len: u64) -> Result<(Vec<u8>, Option<Few>), Odd> {
        let (end, mut rest, mut kept) = (self.end(len)?, Vec::new(), None);
        while let Some(field) = self.field(Some(end), &mut rest)? {
            if field.number != RAW_DATA {
                self.copy_field(field, &mut rest)?;
            } else if kept.is_some() || self.end(field.len)? > end {
                return Err(Odd);
            } else {
                let before = rest.len();
                kept = self.few(field, &mut rest)?;
                // Raw data twice in one tensor is for the plain reader.
                if kept.is_none() && before < rest.len() && self.at < end {
                    self.no_raw_data(end, &mut rest)?;
                }
            }
        }
        Ok((rest, kept))
    }

    /// Copies the rest of a tensor whose raw data has been read.
    fn no_raw_data(&mut self, end: u64, rest: &mut Vec<u8>) -> Result<(), Odd> {
        while let Some(field) = self.field(Some(end), rest)? {
            if field.number == RAW_DATA {
                return Err(Odd);
            }
            self.copy_field(field, rest)?;
        }
        Ok(())
    }

    /// Raw data by its few numbers; other data is copied to `rest`.
    fn few(&mut self, field: Field, rest: &mut Vec<u8>) -> Result<Option<Few>, Odd> {
        let numbers = usize::try_from(field.len / 4).unwrap_or(0);
        let sieve =
            if field.len.is_multiple_of(4) && numbers >= FEW_LEN { Sieve::new(numbers) } else { None };
        let Some(mut sieve) = sieve else { return self.copy_field(field, rest).map(|()| None) };
        let (mut piece, mut left) = (vec![0; PIECE], field.len);
        while left > 0 {
            let size = left.min(PIECE as u64) as usize;
            self.exactly(&mut piece[..size])?;
            left -= size as u64;
            if !sieve.push(&piece[..size]) {
                // Too many are not 0: the numbers so far as they stood, then the others.
                rest.extend(field.head);
                let read = usize::try_from(field.len - left).map_err(|_| Odd)?;
                let first = rest.len();
                rest.resize(first + read - size, 0);
                for (i, v) in sieve.few.indices.iter().zip(&sieve.few.values) {
                    let at = first + 4 * *i as usize;
                    if let Some(place) = rest.get_mut(at..at + 4) {
                        place.copy_from_slice(&v.to_le_bytes());
                    }
                }
                rest.extend_from_slice(&piece[..size]);
                return self.copy(left, rest).map(|()| None);
            }
        }
        Ok(Some(sieve.few))
    }

    fn copy_field(&mut self, field: Field, rest: &mut Vec<u8>) -> Result<(), Odd> {
        rest.extend(field.head);
        self.copy(field.len, rest)
    }

    /// Copies `len` bytes; memory grows with what there is, not with `len`.
    fn copy(&mut self, len: u64, rest: &mut Vec<u8>) -> Result<(), Odd> {
        self.end(len)?;
        let read = self.reader.by_ref().take(len).read_to_end(rest)? as u64;
        self.at += read;
        if read == len { Ok(()) } else { Err(Odd) }
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Odd> {
        self.end(bytes.len() as u64)?;
        self.reader.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Where `len` bytes from here end.
    fn end(&self, len: u64) -> Result<u64, Odd> {
        self.at.checked_add(len).filter(|end| *end <= self.limit).ok_or(Odd)
    }

    /// A number; its bytes go to `head`.
    fn varint(&mut self, head: &mut Vec<u8>) -> Result<u64, Odd> {
        let mut value = 0u64;
        for shift in (0..63).step_by(7) {
            let mut byte = [0];
            self.exactly(&mut byte)?;
            head.push(byte[0]);
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(value);
            }
        }
        // Negative numbers have a tenth byte.
        let mut byte = [0];
        self.exactly(&mut byte)?;
        head.push(byte[0]);
        if byte[0] == 1 { Ok(value | 1 << 63) } else { Err(Odd) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::lower::few_model;
    use super::super::{load_network, parse_onnx_bytes};
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// The network of a file with `bytes`, packed, or what is said of it.
    fn loaded(bytes: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.onnx.gz");
        std::fs::write(&path, gzip(bytes)).unwrap();
        let shown = |text: String| text.replace(&path.display().to_string(), "m");
        let network = load_network(&path).map_err(|e| shown(e.to_string()))?;
        let chain = network.to_chain().map_err(|e| shown(e.to_string()))?;
        Ok(format!("{chain:?}"))
    }

    fn parsed(bytes: &[u8]) -> Result<String, String> {
        let network = parse_onnx_bytes(bytes, "m").map_err(|e| e.to_string())?;
        Ok(format!("{:?}", network.to_chain().map_err(|e| e.to_string())?))
    }

    #[test]
    fn a_packed_model_is_the_model() {
        let mut model = few_model();
        let bytes = model.to_bytes();
        let (_, kept) = parse(bytes.as_slice(), 1 << 31).unwrap();
        assert_eq!(kept.len(), 2, "two matrices have few weights");
        assert_eq!(loaded(&bytes), parsed(&bytes));
        assert!(loaded(&bytes).is_ok());
        // A matrix of many weights behind many zeros, whose numbers come last.
        let tensor = &mut model.graph.as_mut().unwrap().initializer[1];
        let mut raw = tensor.raw_data.clone().unwrap().to_vec();
        let half = raw.len() / 2;
        raw[half..].as_chunks_mut::<4>().0.iter_mut().for_each(|v| *v = 0.25f32.to_le_bytes());
        tensor.raw_data = Some(raw.into());
        let bytes = model.to_bytes();
        assert_eq!(parse(bytes.as_slice(), 1 << 31).unwrap().1.len(), 1);
        assert_eq!(loaded(&bytes), parsed(&bytes));
    }

    #[test]
    fn what_is_odd_is_said_as_of_the_plain_file() {
        let bytes = few_model().to_bytes();
        assert!(parse(bytes.as_slice(), bytes.len() as u64).is_ok());
        assert!(parse(bytes.as_slice(), bytes.len() as u64 - 1).is_err());
        for cut in [1, 40, 1000, 100_000, 400_000, bytes.len() - 1] {
            let cut = &bytes[..cut.min(bytes.len() - 1)];
            assert_eq!(loaded(cut), parsed(cut));
        }
        // Every byte of the heads, some of the data.
        for at in (0..bytes.len()).step_by(7919).chain(0..200).chain(bytes.len() - 60..bytes.len()) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x55;
            assert_eq!(loaded(&changed), parsed(&changed), "byte {at}");
        }
        // Raw data that is no list of f32, and of another count than the shape.
        for (kind, rows) in [(7, 300), (11, 300), (99, 300), (1, 301)] {
            let mut model = few_model();
            let tensor = &mut model.graph.as_mut().unwrap().initializer[1];
            (tensor.data_type, tensor.dims[0]) = (Some(kind), rows);
            let bytes = model.to_bytes();
            assert!(loaded(&bytes).is_err());
            assert_eq!(loaded(&bytes), parsed(&bytes), "{kind} {rows}");
        }
    }
}
