//! Little-endian numbers read from the front of a slice.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'b> {
    /// The rest.
    pub rest: &'b [u8],
}

impl<'b> Bytes<'b> {
    /// All of a slice.
    pub fn new(rest: &'b [u8]) -> Self {
        Self { rest }
    }

    /// The next `n` bytes; `None`, and nothing is taken, if there are fewer.
    pub fn take(&mut self, n: usize) -> Option<&'b [u8]> {
        let (head, tail) = self.rest.split_at_checked(n)?;
        self.rest = tail;
        Some(head)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next `n` numbers.
    pub fn floats(&mut self, n: usize) -> Option<Vec<f32>> {
        let floats = self.take(n.checked_mul(4)?)?.chunks_exact(4);
        Some(floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// A length `u32` and so many bytes.
    pub fn list(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_and_none_is_made_up_at_the_end() {
        let mut bytes = Bytes::new(&[1, 2, 3, 0, 0, 0, 0, 0, 0x80, 0x3f, 2, 0, 0, 0, 7, 8, 9]);
        assert_eq!((bytes.u16(), bytes.u32()), (Some(0x0201), Some(3)));
        assert_eq!(bytes.floats(1), Some(vec![1.0]));
        assert_eq!((bytes.list(), bytes.rest), (Some(&[7, 8][..]), &[9][..]));
        assert_eq!((bytes.u16(), bytes.floats(usize::MAX / 2), bytes.list()), (None, None, None));
        assert_eq!(bytes.array(), Some([9]));
    }
}
