//! A property with the networks it speaks of, ready to be decided.

use std::sync::atomic::AtomicBool;

use super::program::verify_program;
use super::{Report, Settings, verify_with};
use crate::Chain;
use crate::model::Model;
use crate::program::{Program, ProgramError};
use crate::property::{Composed, Composition, Evaluate, Lowered, Problem, Property, PropertyError};
use crate::search::Progress;

/// Networks and a property of what they compose to.
#[derive(Clone, Debug)]
pub struct Instance {
    lowered: Lowered,
    networks: Vec<Model>,
    /// Unless it is the only network itself.
    composed: Option<Model>,
}

impl Instance {
    /// Puts `networks` side by side, numbered as the parts of the composition are.
    ///
    /// # Errors
    /// [`crate::property::Problem::Network`] if one does not fit its part, [`crate::property::Problem::Compose`].
    pub fn new(lowered: Lowered, networks: Vec<Model>) -> Result<Self, PropertyError> {
        let evaluators: Vec<&dyn Evaluate> = networks.iter().map(|n| n as &dyn Evaluate).collect();
        lowered.check_against(&evaluators)?;
        let composed = match lowered.composition.is_plain() {
            true => None,
            false => Some(compose(&lowered, &networks)?),
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

    /// The composed network; on the property's boxes it is what [`Self::evaluator`] evaluates.
    pub fn model(&self) -> &Model {
        self.composed.as_ref().unwrap_or(&self.networks[self.lowered.composition.parts[0].network])
    }

    /// The networks, each evaluated as it is.
    pub fn evaluator(&self) -> Composed<'_> {
        let networks = self.networks.iter().map(|n| n as &dyn Evaluate).collect();
        Composed { composition: &self.lowered.composition, networks }
    }

    /// Decides the property. A counterexample holds of the networks as they are.
    pub fn verify(&self, settings: &Settings, stop: &AtomicBool, progress: &dyn Progress) -> Report {
        let evaluator = self.evaluator();
        match self.model() {
            Model::Chain(chain) => verify_with(chain, &evaluator, self.property(), settings, stop, progress),
            Model::Program(program) => {
                verify_program(program, &evaluator, self.property(), settings, stop, progress)
            }
        }
    }
}

/// A chain if all are chains, else a program.
fn compose(lowered: &Lowered, networks: &[Model]) -> Result<Model, PropertyError> {
    let chains: Option<Vec<&Chain>> = networks
        .iter()
        .map(|n| match n {
            Model::Chain(chain) => Some(chain),
            Model::Program(_) => None,
        })
        .collect();
    if let Some(chains) = chains {
        let (lower, _) = Composition::hull(&lowered.property);
        return lowered.composition.chain(&chains, &lower).map(Model::Chain);
    }
    let programs: Result<Vec<Program>, _> = networks.iter().map(Model::to_program).collect();
    let programs = programs.map_err(not_composed)?;
    let composed = lowered.composition.program(&programs.iter().collect::<Vec<_>>());
    composed.map(Model::Program).map_err(not_composed)
}

fn not_composed(error: ProgramError) -> PropertyError {
    PropertyError::whole(Problem::Compose(error.to_string()))
}
