//! Little-endian reading from the front of a slice; `None` when it runs out.

use zerocopy::FromBytes;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    pub(super) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.chunk().map(u16::from_le_bytes)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }
    pub(super) fn f32(&mut self) -> Option<f32> {
        self.chunk().map(f32::from_le_bytes)
    }
    /// `count` floats in place; `None` also if they do not lie at a multiple of 4 in memory.
    pub(super) fn f32s(&mut self, count: usize) -> Option<&'a [f32]> {
        <[f32]>::ref_from_bytes(self.bytes(count.checked_mul(4)?)?).ok()
    }
    /// `count` numbers in place; `None` also if they do not lie at a multiple of 4 in memory.
    pub(super) fn u32s(&mut self, count: usize) -> Option<&'a [u32]> {
        <[u32]>::ref_from_bytes(self.bytes(count.checked_mul(4)?)?).ok()
    }
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// A length field as a `usize`; saturates where `usize` is smaller, which no slice reaches.
pub(super) fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
