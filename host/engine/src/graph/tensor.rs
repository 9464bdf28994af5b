//! Constant tensors: exactly the values of the file, or a refusal.
//!
//! Data may sit in `raw_data`, in a typed field, or in a file beside the model. Doubles are taken only
//! if every one of them is an `f32`: nothing is rounded on the way in.

use std::path::{Component, Path};

use super::error::{Fault, Name};
use super::floats::{Few, Floats};
use super::onnx::{DataType, TensorProto};

/// Cap on the elements of one tensor or value.
pub const ELEMENTS_MAX: usize = 1 << 28;

/// Cap on the dimensions of one tensor or value.
pub(super) const RANK_MAX: usize = 16;

/// A constant with its shape; elements are row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements, as many as the shape says.
    pub data: TensorData,
}

/// Elements of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// Finite numbers.
    Float(Floats),
    /// Integers: shapes and axes.
    Int(Vec<i64>),
}

impl TensorData {
    /// Elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Tensor {
    /// Reads `proto`; external data is looked for in `directory`, if there is one.
    ///
    /// # Errors
    /// [`Fault::Tensor`], [`Fault::TooLarge`], [`Fault::NonFinite`], [`Fault::Double`], [`Fault::External`].
    pub fn read(proto: &TensorProto, directory: Option<&Path>) -> Result<Self, Fault> {
        let name = Name(proto.name().to_string());
        let shape = read_shape(&name, &proto.dims)?;
        let count = shape.iter().product();
        let number = proto.data_type();
        let kind = DataType::from_number(number).ok_or_else(|| {
            let problem =
                format!("has element type {number}; float (1), double (11), half precision (10, 16), integers (2, 3, 6, 7) and bool (9) are supported");
            Fault::Tensor { tensor: name.clone(), problem }
        })?;
        let source = Source::find(proto, &name, directory)?;
        let data = match kind {
            DataType::Float => {
                if let Some(few) = source.few(count) {
                    return Self::of_few(&name, shape, few);
                }
                let values = source.elements(&name, count, &proto.float_data, f32::from_le_bytes)?;
                if !are_finite(&values) {
                    check_finite(&name, values.iter().map(|v| f64::from(*v)))?;
                }
                TensorData::Float(values.into())
            }
            DataType::Double => {
                let values = source.elements(&name, count, &proto.double_data, f64::from_le_bytes)?;
                check_finite(&name, values.iter().copied())?;
                TensorData::Float(narrow(&name, &values)?.into())
            }
            DataType::Int64 => {
                TensorData::Int(source.elements(&name, count, &proto.int64_data, i64::from_le_bytes)?)
            }
            DataType::Int32 => {
                let ints = source.elements(&name, count, &proto.int32_data, i32::from_le_bytes)?;
                TensorData::Int(ints.into_iter().map(i64::from).collect())
            }
            DataType::Uint8 | DataType::Bool | DataType::Int8 => {
                let signed = kind == DataType::Int8;
                let widen: fn([u8; 1]) -> i32 =
                    if signed { |[b]| i32::from(b as i8) } else { |[b]| i32::from(b) };
                let ints = source.elements(&name, count, &proto.int32_data, widen)?;
                TensorData::Int(ints.into_iter().map(i64::from).collect())
            }
            DataType::Float16 | DataType::Bfloat16 => {
                let bits =
                    source.elements(&name, count, &proto.int32_data, |b| i32::from(u16::from_le_bytes(b)))?;
                let widen = if kind == DataType::Float16 { half } else { bfloat };
                let values: Vec<f32> = bits.into_iter().map(|b| widen(b as u16)).collect();
                check_finite(&name, values.iter().map(|v| f64::from(*v)))?;
                TensorData::Float(values.into())
            }
        };
        Ok(Self { shape, data })
    }
}

impl Tensor {
    /// As [`Self::read`] of `proto` with its raw data, which was kept by its few numbers.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(super) fn read_few(
        mut proto: TensorProto,
        few: Few,
        directory: Option<&Path>,
    ) -> Result<Self, Fault> {
        let name = Name(proto.name().to_string());
        let is_float = proto.data_type() == DataType::Float.number() && proto.data_location() != 1;
        if is_float {
            let shape = read_shape(&name, &proto.dims)?;
            if shape.iter().product::<usize>() == few.len {
                return Self::of_few(&name, shape, few);
            }
        }
        let all = super::floats::Floats::from(few);
        proto.raw_data = Some(all.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into());
        Self::read(&proto, directory)
    }

    fn of_few(name: &Name, shape: Vec<usize>, few: Few) -> Result<Self, Fault> {
        let places = few.indices.iter().map(|i| *i as usize);
        check_places(name, places.zip(few.values.iter().map(|v| f64::from(*v))))?;
        Ok(Self { shape, data: TensorData::Float(few.into()) })
    }
}

/// Where the elements of a tensor are.
enum Source<'a> {
    /// The field of its type.
    Typed,
    /// Little-endian bytes in the model.
    Raw(&'a [u8]),
    /// Little-endian bytes beside the model.
    External(Vec<u8>),
}

impl<'a> Source<'a> {
    fn find(proto: &'a TensorProto, name: &Name, directory: Option<&Path>) -> Result<Self, Fault> {
        if proto.data_location() == 1 {
            return read_external(proto, name, directory).map(Source::External);
        }
        Ok(proto.raw_data.as_deref().map_or(Source::Typed, Source::Raw))
    }

    /// `count` numbers of type `f32`, if they are many and few of them are not 0.
    fn few(&self, count: usize) -> Option<Few> {
        match self {
            Source::Raw(bytes) if bytes.len() == 4 * count => Few::find(bytes),
            _ => None,
        }
    }

    fn elements<T: Copy, const WIDTH: usize>(
        &self,
        name: &Name,
        count: usize,
        typed: &[T],
        from_le_bytes: fn([u8; WIDTH]) -> T,
    ) -> Result<Vec<T>, Fault> {
        let bytes = match self {
            Source::Typed => return check_count(name, count, typed.len()).map(|()| typed.to_vec()),
            Source::Raw(bytes) => bytes,
            Source::External(bytes) => bytes.as_slice(),
        };
        let (chunks, rest) = bytes.as_chunks::<WIDTH>();
        if !rest.is_empty() {
            let problem = format!("{} bytes of data are no whole elements of {WIDTH}", bytes.len());
            return Err(Fault::Tensor { tensor: name.clone(), problem });
        }
        check_count(name, count, chunks.len())?;
        Ok(chunks.iter().map(|c| from_le_bytes(*c)).collect())
    }
}

fn check_count(name: &Name, expected: usize, found: usize) -> Result<(), Fault> {
    if expected == found {
        return Ok(());
    }
    let problem =
        format!("has {found} elements of data, its shape asks for {expected}; export the model again");
    Err(Fault::Tensor { tensor: name.clone(), problem })
}

/// Dimensions as sizes, their product capped.
fn read_shape(name: &Name, dims: &[i64]) -> Result<Vec<usize>, Fault> {
    let problem =
        || Fault::Tensor { tensor: name.clone(), problem: format!("negative dimension in {dims:?}") };
    let shape =
        dims.iter().map(|d| u64::try_from(*d)).collect::<Result<Vec<_>, _>>().map_err(|_| problem())?;
    // An operand that is left out may be written as a tensor without elements.
    if shape.contains(&0) {
        let others: Vec<u64> = shape.iter().copied().filter(|d| *d != 0).collect();
        checked_shape(name, &others)?;
        return Ok(shape.iter().map(|d| *d as usize).collect());
    }
    checked_shape(name, &shape)
}

/// `shape` as sizes if it has at least one element and at most [`ELEMENTS_MAX`].
pub(crate) fn checked_shape(value: &Name, shape: &[u64]) -> Result<Vec<usize>, Fault> {
    let limit = ELEMENTS_MAX;
    let shown = || shape.iter().copied().take(RANK_MAX).collect();
    if shape.contains(&0) {
        let problem = format!("shape {:?} has no elements", shape.iter().take(RANK_MAX).collect::<Vec<_>>());
        return Err(Fault::Tensor { tensor: value.clone(), problem });
    }
    if shape.len() > RANK_MAX {
        let problem = format!("has {} dimensions; at most {RANK_MAX} are read", shape.len());
        return Err(Fault::Tensor { tensor: value.clone(), problem });
    }
    let count = shape.iter().try_fold(1u64, |product, d| product.checked_mul(*d));
    if count.is_none_or(|c| c > limit as u64) {
        return Err(Fault::TooLarge { value: value.clone(), shape: shown(), limit });
    }
    shape.iter().map(|d| usize::try_from(*d)).collect::<Result<_, _>>().map_err(|_| Fault::TooLarge {
        value: value.clone(),
        shape: shown(),
        limit,
    })
}

/// Whether all numbers are finite; in blocks, which the compiler vectorises.
pub(crate) fn are_finite(values: &[f32]) -> bool {
    values.chunks(1024).all(|block| block.iter().fold(true, |all, v| all & v.is_finite()))
}

fn check_finite(name: &Name, values: impl Iterator<Item = f64>) -> Result<(), Fault> {
    check_places(name, values.enumerate())
}

/// As [`check_finite`], of numbers with their places in the tensor.
fn check_places(name: &Name, mut values: impl Iterator<Item = (usize, f64)>) -> Result<(), Fault> {
    match values.find(|(_, v)| !v.is_finite()) {
        Some((index, value)) => Err(Fault::NonFinite { tensor: name.clone(), index, value }),
        None => Ok(()),
    }
}

/// The number that an IEEE half stands for; exact.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

/// The number whose `f32` starts with these bits.
fn bfloat(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The same numbers as `f32`, if each is one.
fn narrow(name: &Name, values: &[f64]) -> Result<Vec<f32>, Fault> {
    let exact = |(index, value): (usize, &f64)| {
        #[expect(clippy::cast_possible_truncation, reason = "compared with the original")]
        let narrowed = *value as f32;
        if f64::from(narrowed) == *value {
            Ok(narrowed)
        } else {
            Err(Fault::Double { tensor: name.clone(), index, value: *value })
        }
    };
    values.iter().enumerate().map(exact).collect()
}

/// Bytes that the model keeps in a file of its own directory.
fn read_external(proto: &TensorProto, name: &Name, directory: Option<&Path>) -> Result<Vec<u8>, Fault> {
    let entry = |key: &str| proto.external_data.iter().find(|e| e.key() == key).map(|e| e.value());
    let location = entry("location").unwrap_or("");
    let refuse = |problem: String| Fault::External {
        tensor: name.clone(),
        location: Name(location.to_string()),
        problem,
    };
    let relative = Path::new(location);
    if location.is_empty()
        || !relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    {
        return Err(refuse("the path must lie below the model's directory; move the data there".into()));
    }
    let directory =
        directory.ok_or_else(|| refuse("the model was read from bytes, so no file lies beside it".into()))?;
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| refuse(format!("`{key}` is no number"))),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let limit_bytes = 8 * ELEMENTS_MAX as u64;
    let read = read_range(&directory.join(relative), offset as u64, length, limit_bytes);
    let bytes = read.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => refuse("no such file; put it beside the model".into()),
        _ => refuse(format!("cannot read it: {e}")),
    })?;
    match length {
        Some(length) if bytes.len() != length => Err(refuse(format!(
            "{} bytes from {offset} where {length} are needed; fetch it again",
            bytes.len()
        ))),
        _ => Ok(bytes),
    }
}

fn read_range(path: &Path, offset: u64, length: Option<usize>, limit: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length.map_or(limit, |n| limit.min(n as u64))).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(dims: &[i64], values: &[f32]) -> TensorProto {
        TensorProto {
            name: Some("w".into()),
            dims: dims.to_vec(),
            data_type: Some(1),
            float_data: values.to_vec(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn raw_and_typed_data_give_the_same_tensor() {
        let typed = float(&[2, 1], &[1.5, -0.0]);
        let raw = TensorProto {
            float_data: vec![],
            raw_data: Some([1.5f32, -0.0].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into()),
            ..typed.clone()
        };
        let double = TensorProto {
            float_data: vec![],
            data_type: Some(11),
            double_data: vec![1.5, -0.0],
            ..typed.clone()
        };
        let expected = Tensor { shape: vec![2, 1], data: TensorData::Float(vec![1.5, -0.0].into()) };
        for proto in [typed, raw, double] {
            assert_eq!(Tensor::read(&proto, None).unwrap(), expected);
        }
    }

    #[test]
    fn a_double_that_is_no_f32_is_refused_not_rounded() {
        let mut proto = float(&[2], &[]);
        (proto.data_type, proto.double_data) = (Some(11), vec![0.5, 0.1]);
        let fault = Tensor::read(&proto, None).unwrap_err();
        assert!(matches!(fault, Fault::Double { index: 1, .. }), "{fault}");
    }

    #[test]
    fn wrong_counts_absurd_shapes_and_nan_are_refused() {
        let refused = |proto: &TensorProto| Tensor::read(proto, None).unwrap_err().to_string();
        assert!(refused(&float(&[3], &[1.0])).contains("its shape asks for 3"));
        assert!(refused(&float(&[-1], &[1.0])).contains("negative dimension"));
        assert!(refused(&float(&[0], &[1.0])).contains("its shape asks for 0"));
        assert!(refused(&float(&[i64::MAX, i64::MAX], &[1.0])).contains("more than"));
        assert!(refused(&float(&[2], &[0.0, f32::NAN])).contains("element 1 is NaN"));
        let mut ragged = float(&[1], &[]);
        ragged.raw_data = Some(vec![0; 5].into());
        assert!(refused(&ragged).contains("no whole elements"));
    }

    #[test]
    fn external_data_is_read_from_beside_the_model_and_from_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = [9.0f32, 1.0, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(dir.path().join("weights.bin"), bytes).unwrap();
        let with = |entries: &[(&str, &str)]| {
            let entry = |(k, v): &(&str, &str)| super::super::onnx::StringEntry {
                key: Some((*k).into()),
                value: Some((*v).into()),
            };
            let mut proto = float(&[2], &[]);
            (proto.data_location, proto.external_data) = (Some(1), entries.iter().map(entry).collect());
            Tensor::read(&proto, Some(dir.path()))
        };
        let found = with(&[("location", "weights.bin"), ("offset", "4"), ("length", "8")]).unwrap();
        assert_eq!(found.data, TensorData::Float(vec![1.0, 2.0].into()));
        let refused = |entries: &[(&str, &str)]| with(entries).unwrap_err().to_string();
        assert!(refused(&[("location", "nowhere.bin")]).contains("no such file"));
        assert!(refused(&[("location", "../weights.bin")]).contains("below the model's directory"));
        assert!(refused(&[("location", "/etc/passwd")]).contains("below the model's directory"));
        assert!(refused(&[]).contains("below the model's directory"));
        assert!(
            refused(&[("location", "weights.bin"), ("offset", "8"), ("length", "8")])
                .contains("4 bytes from 8")
        );
    }
}
