//! Joint α-CROWN that also says with which slopes each bound was found.

use super::super::alpha::Notes;
use super::super::crown::{Bounds, Domain, Settings, Spec, Stop};
use super::super::interval::Interval;
use super::super::memory::BoundError;
use super::super::prepare::Prepared;
use super::super::{Climb, alpha};
use super::claims::{Alphas, claims};
use crate::program::Slot;

/// With which slopes bounds were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowSlopes {
    /// By slot, ascending.
    pub slots: Vec<SlotSlopes>,
    /// Of each row of the spec.
    pub rows: Vec<Alphas>,
}

/// The slopes of one slot's bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotSlopes {
    /// Which slot.
    pub slot: usize,
    /// Elements that rows bounded, ascending.
    pub elements: Vec<u32>,
    /// For each, the slopes of the row of its lower and of its upper bound.
    pub rows: Vec<[Alphas; 2]>,
}

impl RowSlopes {
    /// A lemma (byte 20 of a proof and what follows) that states the slopes of every bounded element; rows of other elements have
    /// adaptive slopes. `intervals` are those of all slots that the slopes gave ([`Bounds::slots`]).
    pub fn lemma(&self, net: &Prepared, intervals: &[Interval]) -> Vec<u8> {
        let mut bytes = vec![20, 1];
        bytes.extend((self.slots.len() as u16).to_le_bytes());
        for SlotSlopes { slot, elements, rows } in &self.slots {
            bytes.extend((*slot as u32).to_le_bytes());
            bytes.push(3);
            bytes.extend((elements.len() as u32).to_le_bytes());
            for (element, sides) in elements.iter().zip(rows) {
                bytes.extend(element.to_le_bytes());
                sides.iter().for_each(|a| bytes.extend(claims(net, Slot(*slot), intervals, a)));
            }
        }
        bytes
    }
}

/// As [`climb`](super::super::climb), and the slopes of every neuron's tightest bounds and of the spec's best rows, so that a proof's lemma can
/// state them.
///
/// # Errors
/// As [`climb`](super::super::climb).
///
/// # Panics
/// As [`climb`](super::super::climb).
///
/// # Rounding
/// *Estimate*.
pub fn climb_with_slopes(
    net: &Prepared,
    domain: Domain<'_>,
    spec: &Spec,
    settings: &Settings,
    climb: &Climb,
    stop: Stop<'_>,
) -> Result<(Bounds, RowSlopes), BoundError> {
    let mut notes = Notes::default();
    let bounds = alpha::climb_noting(net, domain, spec, settings, climb, stop, Some(&mut notes))?;
    Ok((bounds, notes.into_rows(spec.bias.len())))
}
