//! A property with the networks it speaks of, ready to be decided.

use std::sync::atomic::AtomicBool;

use super::{Report, Settings, verify_with};
use crate::Chain;
use crate::property::{Composed, Composition, Evaluate, Lowered, Property, PropertyError};
use crate::search::Progress;

/// Networks and a property of what they compose to.
#[derive(Clone, Debug)]
pub struct Instance {
    lowered: Lowered,
    networks: Vec<Chain>,
    /// Unless it is the only network itself.
    composed: Option<Chain>,
}

impl Instance {
    /// Puts `networks` side by side, numbered as the parts of the composition are.
    ///
    /// # Errors
    /// [`crate::property::Problem::Network`] if one does not fit its part, [`crate::property::Problem::Compose`].
    pub fn new(lowered: Lowered, networks: Vec<Chain>) -> Result<Self, PropertyError> {
        let evaluators: Vec<&dyn Evaluate> = networks.iter().map(|n| n as &dyn Evaluate).collect();
        lowered.check_against(&evaluators)?;
        let composed = match lowered.composition.is_plain() {
            true => None,
            false => {
                let chains: Vec<&Chain> = networks.iter().collect();
                let (lower, _) = Composition::hull(&lowered.property);
                Some(lowered.composition.chain(&chains, &lower)?)
            }
        };
        Ok(Self { lowered, networks, composed })
    }

    /// The property of the composed network.
    pub fn property(&self) -> &Property {
        &self.lowered.property
    }

    /// How the networks become one.
    pub fn composition(&self) -> &Composition {
        &self.lowered.composition
    }

    /// The composed network as a chain; on the property's boxes it is what [`Self::evaluator`] evaluates.
    pub fn chain(&self) -> &Chain {
        self.composed.as_ref().unwrap_or(&self.networks[self.lowered.composition.parts[0].network])
    }

    /// The networks, each evaluated as it is.
    pub fn evaluator(&self) -> Composed<'_> {
        let networks = self.networks.iter().map(|n| n as &dyn Evaluate).collect();
        Composed { composition: &self.lowered.composition, networks }
    }

    /// Decides the property. A counterexample holds of the networks as they are.
    pub fn verify(&self, settings: &Settings, stop: &AtomicBool, progress: &dyn Progress) -> Report {
        verify_with(self.chain(), &self.evaluator(), self.property(), settings, stop, progress)
    }
}
