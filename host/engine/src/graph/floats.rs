//! The numbers of a constant: all of them, or of a long list of almost nothing but zeros the others.
//!
//! Networks that select and compare hold matrices of tens of millions of numbers with one that is not 0 in a row. Their zeros
//! are never stored unless something reads the list as a whole.

use std::ops::Deref;
use std::sync::OnceLock;

/// Lists with this many numbers are looked through for zeros …
pub(super) const FEW_LEN: usize = 1 << 16;
/// … and kept by the others if those are at most one in this many.
pub(super) const FEW_SHARE: usize = 12;

/// A list of numbers; as a slice it has all of them.
#[derive(Clone, Debug)]
pub struct Floats(Stored);

#[derive(Clone, Debug)]
enum Stored {
    All(Vec<f32>),
    Few { few: Few, all: OnceLock<Vec<f32>> },
}

/// The numbers of a list whose bits are not all 0; −0 is among them.
#[derive(Clone, Debug, Default)]
pub struct Few {
    /// Numbers of the list, zeros included.
    pub(super) len: usize,
    /// Where each is in the list, ascending.
    pub(super) indices: Vec<u32>,
    /// The numbers.
    pub(super) values: Vec<f32>,
}

impl Floats {
    /// Numbers.
    pub fn len(&self) -> usize {
        match &self.0 {
            Stored::All(all) => all.len(),
            Stored::Few { few, .. } => few.len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that are not 0, if the list is kept by them.
    pub(super) fn few(&self) -> Option<&Few> {
        match &self.0 {
            Stored::All(_) => None,
            Stored::Few { few, .. } => Some(few),
        }
    }
}

impl Deref for Floats {
    type Target = [f32];

    /// All numbers; of a list of few they are written out the first time.
    fn deref(&self) -> &[f32] {
        match &self.0 {
            Stored::All(all) => all,
            Stored::Few { few, all } => all.get_or_init(|| few.written_out()),
        }
    }
}

impl PartialEq for Floats {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl From<Vec<f32>> for Floats {
    fn from(all: Vec<f32>) -> Self {
        Self(Stored::All(all))
    }
}

impl From<Few> for Floats {
    fn from(few: Few) -> Self {
        Self(Stored::Few { few, all: OnceLock::new() })
    }
}

impl FromIterator<f32> for Floats {
    fn from_iter<I: IntoIterator<Item = f32>>(numbers: I) -> Self {
        Self::from(numbers.into_iter().collect::<Vec<f32>>())
    }
}

impl Few {
    fn written_out(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.len];
        self.indices.iter().zip(&self.values).for_each(|(i, v)| all[*i as usize] = *v);
        all
    }

    /// The numbers in `bytes`, little-endian, if there are many and few of them are not 0.
    pub(super) fn find(bytes: &[u8]) -> Option<Self> {
        let mut sieve = Sieve::new(bytes.len() / 4)?;
        (bytes.len().is_multiple_of(4) && sieve.push(bytes)).then_some(sieve.few)
    }
}

/// Reads a long list piece by piece and keeps what is not 0.
#[derive(Debug)]
pub(super) struct Sieve {
    /// What was found; its length is that of what was read.
    pub few: Few,
    /// As many are kept.
    limit: usize,
}

impl Sieve {
    /// For a list of `len` numbers, if it is long enough to be looked through.
    pub fn new(len: usize) -> Option<Self> {
        let fits = len >= FEW_LEN && u32::try_from(len).is_ok();
        fits.then(|| Self { few: Few::default(), limit: len / FEW_SHARE })
    }

    /// Reads the next numbers, whole ones, little-endian; false once too many are not 0.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        const BLOCK: usize = 128;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        let mut at = self.few.len;
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            if words.iter().fold(0, |all, word| all | u64::from_ne_bytes(*word)) != 0 && !self.keep(at, block)
            {
                return false;
            }
            at += BLOCK / 4;
        }
        let fits = self.keep(at, rest);
        self.few.len += bytes.len() / 4;
        fits
    }

    fn keep(&mut self, first: usize, bytes: &[u8]) -> bool {
        for (k, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
            if *word != [0; 4] {
                self.few.indices.push((first + k) as u32);
                self.few.values.push(f32::from_le_bytes(*word));
            }
        }
        self.few.indices.len() <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn a_list_kept_by_its_few_numbers_reads_as_the_list_bit_for_bit() {
        let mut numbers = vec![0.0f32; FEW_LEN + 5];
        for (k, i) in [0, 1, 31, 32, 700, FEW_LEN - 1, FEW_LEN + 4].into_iter().enumerate() {
            numbers[i] = [-0.0, 1.5, f32::MIN_POSITIVE / 8.0, f32::NAN, -3.0, f32::INFINITY, 9.0][k];
        }
        let few = Few::find(&bytes(&numbers)).expect("few are not 0");
        assert_eq!((few.len, few.values.len()), (numbers.len(), 7));
        let read = Floats::from(few);
        assert_eq!(read.len(), numbers.len());
        let bits = |all: &[f32]| all.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&read), bits(&numbers));
        // Piece by piece, as a file is unpacked.
        let mut sieve = Sieve::new(numbers.len()).unwrap();
        assert!(bytes(&numbers).chunks(4 * 37).all(|piece| sieve.push(piece)));
        assert_eq!(bits(&Floats::from(sieve.few)), bits(&numbers));
    }

    #[test]
    fn short_lists_and_lists_of_many_numbers_are_not_kept_so() {
        assert!(Few::find(&bytes(&vec![0.0; FEW_LEN - 1])).is_none());
        let mut numbers = vec![0.0f32; FEW_LEN];
        numbers[..FEW_LEN / FEW_SHARE].fill(1.0);
        assert!(Few::find(&bytes(&numbers)).is_some());
        numbers[FEW_LEN - 1] = 1.0;
        assert!(Few::find(&bytes(&numbers)).is_none());
        assert!(Few::find(&bytes(&vec![0.0; FEW_LEN])[1..]).is_none());
    }
}
