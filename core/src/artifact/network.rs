//! The network section: a layer table, then each layer's constants, read in place.

use super::error::ArtifactError;
use super::format::{
    KIND_DENSE, KIND_SCALE, LAYER_ENTRY_LEN, NETWORK_HEADER_LEN, ORDER_BLOCKED_32, SectionId, align_up,
};
use super::header::Section;
use super::reader::{Reader, to_usize};
use crate::layer::{Dense, Layer, Scale, ShapeError};

/// Layers whose chain, places and constants are checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct NetworkSection<'a> {
    payload: &'a [u8],
    table: &'a [u8],
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) width: usize,
    pub(super) neurons: usize,
}

/// One entry of the layer table.
struct Entry {
    kind: u8,
    relu: u8,
    reserved: u16,
    rows: usize,
    cols: usize,
    offset: usize,
}

impl Entry {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(raw);
        let (kind, relu, reserved) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let (rows, cols) = (to_usize(reader.u32()?), to_usize(reader.u32()?));
        Some(Self { kind, relu, reserved, rows, cols, offset: to_usize(reader.u32()?) })
    }

    /// Floats of the layer: weights and bias, or scale and shift.
    fn constants(&self) -> Option<usize> {
        match self.kind {
            KIND_DENSE => self.rows.checked_mul(self.cols)?.checked_add(self.rows),
            _ => self.rows.checked_mul(2),
        }
    }

    fn layer<'a>(&self, payload: &'a [u8]) -> Result<Layer<'a>, ShapeError> {
        let mut reader = Reader::new(payload.get(self.offset..).unwrap_or_default());
        let first = if self.kind == KIND_DENSE { self.rows.saturating_mul(self.cols) } else { self.rows };
        let first = reader.f32s(first).unwrap_or_default();
        let second = reader.f32s(self.rows).unwrap_or_default();
        Ok(if self.kind == KIND_DENSE {
            Layer::dense(Dense::new(self.rows, self.cols, first, second)?, self.relu == 1)
        } else {
            Layer::scale(Scale::new(first, second)?, self.relu == 1)
        })
    }
}

impl<'a> NetworkSection<'a> {
    pub(super) fn new_checked(section: Section<'a>) -> Result<Self, ArtifactError> {
        let payload = section.payload;
        let short = ArtifactError::SectionLength { id: SectionId::NETWORK };
        let mut reader = Reader::new(payload);
        let order = reader.u16().ok_or(short)?;
        if order != ORDER_BLOCKED_32 {
            return Err(ArtifactError::SummationOrder { found: order });
        }
        let layers = usize::from(reader.u16().ok_or(short)?);
        let inputs = to_usize(reader.u32().ok_or(short)?);
        let outputs = to_usize(reader.u32().ok_or(short)?);
        if reader.u32().ok_or(short)? != 0 {
            return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(12) });
        }
        let table_len = layers.saturating_mul(LAYER_ENTRY_LEN);
        let table = reader.bytes(table_len).ok_or(short)?;
        let mut checked = Self { payload, table, inputs, outputs, width: inputs, neurons: 0 };
        checked.check_layers(section.offset, NETWORK_HEADER_LEN.saturating_add(table_len))?;
        Ok(checked)
    }

    /// Checks every layer, filling `width` and `neurons`; `start` is where the first layer's constants lie.
    fn check_layers(&mut self, section_offset: usize, start: usize) -> Result<(), ArtifactError> {
        let short = ArtifactError::SectionLength { id: SectionId::NETWORK };
        let mut width = self.inputs;
        let mut start = start;
        let mut stop = start;
        for (layer, raw) in self.table.chunks_exact(LAYER_ENTRY_LEN).enumerate() {
            let entry = Entry::read(raw).ok_or(short)?;
            let known = match entry.kind {
                KIND_DENSE => true,
                KIND_SCALE => entry.rows == entry.cols,
                _ => false,
            };
            if !(known && entry.relu <= 1) {
                return Err(ArtifactError::LayerKind { layer });
            }
            if entry.reserved != 0 {
                let at = NETWORK_HEADER_LEN
                    .saturating_add(layer.saturating_mul(LAYER_ENTRY_LEN))
                    .saturating_add(2);
                return Err(ArtifactError::ReservedNonZero { offset: section_offset.saturating_add(at) });
            }
            let place = ArtifactError::LayerPlace { layer };
            let floats = entry.constants().ok_or(place)?;
            stop = floats.checked_mul(4).and_then(|len| start.checked_add(len)).ok_or(place)?;
            if entry.offset != start || stop > self.payload.len() {
                return Err(place);
            }
            width = entry
                .layer(self.payload)
                .and_then(|parsed| parsed.check(layer, width))
                .map_err(ArtifactError::Network)?;
            self.width = self.width.max(width);
            self.neurons = self.neurons.saturating_add(width);
            // The gap up to the next layer is zero; the last layer ends the section.
            start = align_up(stop).ok_or(place)?;
            if let Some(at) =
                self.payload.get(stop..start).and_then(|gap| gap.iter().position(|byte| *byte != 0))
            {
                let offset = section_offset.saturating_add(stop).saturating_add(at);
                return Err(ArtifactError::ReservedNonZero { offset });
            }
        }
        if self.table.is_empty() {
            return Err(ArtifactError::Network(ShapeError::Empty));
        }
        if width != self.outputs {
            return Err(ArtifactError::Network(ShapeError::Length { expected: self.outputs, found: width }));
        }
        if stop != self.payload.len() {
            return Err(short);
        }
        Ok(())
    }

    /// The layers, input first.
    pub(super) fn layers(&self) -> impl ExactSizeIterator<Item = Layer<'a>> + use<'a> {
        LayerIter { payload: self.payload, table: self.table }
    }
}

/// Layers of a checked table; yields every entry because every entry was checked.
struct LayerIter<'a> {
    payload: &'a [u8],
    table: &'a [u8],
}

impl<'a> Iterator for LayerIter<'a> {
    type Item = Layer<'a>;
    fn next(&mut self) -> Option<Layer<'a>> {
        let (raw, rest) = self.table.split_first_chunk::<LAYER_ENTRY_LEN>()?;
        self.table = rest;
        Entry::read(raw)?.layer(self.payload).ok()
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.table.len() / LAYER_ENTRY_LEN;
        (len, Some(len))
    }
}

impl ExactSizeIterator for LayerIter<'_> {}
