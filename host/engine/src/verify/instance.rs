//! A property with the networks it speaks of, ready to be decided.

use std::sync::atomic::AtomicBool;

use super::program::verify_program;
use super::{Report, Settings, verify_with};
use crate::Chain;
use crate::model::Model;
use crate::program::{Program, ProgramError};
use crate::property::{Composed, Composition, Evaluate, Lowered, Problem, Property, PropertyError};
use crate::search::Progress;
use certus_core::proof::Meaning;

/// Networks and a property of what they compose to.
#[derive(Clone, Debug)]
pub struct Instance {
    lowered: Lowered,
    networks: Vec<Model>,
    /// Unless it is the only network itself.
    composed: Option<Model>,
    /// The same as a program, if it is a chain that is verified as one.
    deep: Option<Model>,
}

/// Hidden layers from which a chain is verified as a program, if it has more than [`MANY_INPUTS`] inputs: the deeper, the more
/// slopes of all intermediate bounds gain, which one lemma at the root states for all domains. On `mnist_relu_9_200` they raise
/// the lowest rows from about −90 to −23, and 3 of the 11 instances that bounds of each domain leave open after 3 s need at
/// most one split. With two hidden layers bounds of each domain are better.
const DEEP: usize = 3;
/// As many inputs are halved, which chains do faster.
const MANY_INPUTS: usize = 20;

/// `model` as a program, if that is how it is verified best.
fn deep(model: &Model) -> Result<Option<Model>, PropertyError> {
    let Model::Chain(chain) = model else { return Ok(None) };
    let hidden = chain.layers().iter().filter(|l| l.relu).count();
    if hidden < DEEP || chain.inputs() <= MANY_INPUTS {
        return Ok(None);
    }
    chain.to_program().map(|p| Some(Model::Program(p))).map_err(not_composed)
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
        let whole = composed.as_ref().unwrap_or(&networks[lowered.composition.parts[0].network]);
        let deep = deep(whole)?;
        Ok(Self { lowered, networks, composed, deep })
    }

    /// The property of the composed network.
    pub fn property(&self) -> &Property {
        &self.lowered.property
    }

    /// How the networks become one.
    pub fn composition(&self) -> &Composition {
        &self.lowered.composition
    }

    /// The composed network in the form in which proofs for `meaning` speak of it; on the property's boxes it is what
    /// [`Self::evaluator`] evaluates. The device's executions are those of chains.
    pub fn model(&self, meaning: Meaning) -> &Model {
        if let (Some(program), Meaning::Real) = (&self.deep, meaning) {
            return program;
        }
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
        match self.model(settings.meaning) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{OwnedAffine, OwnedLayer};
    use crate::property::parse_vnnlib1;
    use crate::search::Silent;
    use crate::verify::{CaseProblem, Parts, Verdict, check_case, program::check_program};
    use std::fmt::Write as _;

    /// `inputs` inputs, then layers of 24 with ReLU, then one output; weights from a linear congruence.
    fn chain(inputs: usize, hidden: usize) -> Chain {
        let mut state = 3u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let mut cols = inputs;
        let layer = |k: usize| {
            let rows = if k == hidden { 1 } else { 24 };
            let weights = (0..rows * cols).map(|_| random() / (cols as f32).sqrt()).collect();
            let bias = (0..rows).map(|_| 0.1 * random()).collect();
            let affine = OwnedAffine::Dense { rows, cols, weights, bias };
            cols = rows;
            OwnedLayer { affine, relu: k < hidden }
        };
        Chain::new((0..=hidden).map(layer).collect()).expect("a chain")
    }

    fn instance(chain: &Chain, threshold: f32) -> Instance {
        let mut text = String::new();
        (0..chain.inputs()).for_each(|j| writeln!(text, "(declare-const X_{j} Real)").unwrap());
        writeln!(text, "(declare-const Y_0 Real)").unwrap();
        for j in 0..chain.inputs() {
            writeln!(text, "(assert (>= X_{j} -0.6))\n(assert (<= X_{j} 0.6))").unwrap();
        }
        writeln!(text, "(assert (<= Y_0 {threshold:.6}))").unwrap();
        let lowered = parse_vnnlib1(&text).expect("a property");
        Instance::new(lowered, vec![Model::Chain(chain.clone())]).expect("they fit")
    }

    /// The least output met at random corners and the centre.
    fn sampled(chain: &Chain) -> f32 {
        let corner = |k: u64| {
            let side = |j: u64| {
                if (k.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (j % 60)) & 1 == 1 { 0.6 } else { -0.6 }
            };
            (0..chain.inputs() as u64).map(side).collect::<Vec<f32>>()
        };
        (0..2000).map(|k| chain.eval_f32(&corner(k))[0]).fold(f32::INFINITY, f32::min)
    }

    #[test]
    fn deep_chains_with_many_inputs_are_proved_as_programs_for_the_reals_alone() {
        let settings = Settings { threads: 1, ..Settings::default() };
        for (inputs, hidden, is_deep) in [(24, 3, true), (24, 2, false), (12, 3, false)] {
            let chain = chain(inputs, hidden);
            let least = sampled(&chain);
            for (threshold, holds) in [(least - 0.5, true), (least, false)] {
                let instance = instance(&chain, threshold);
                for meaning in [Meaning::Real, Meaning::RealAndF32] {
                    let settings = Settings { meaning, ..settings.clone() };
                    let report = instance.verify(&settings, &AtomicBool::new(false), &Silent);
                    let Verdict::Holds(proofs) = &report.verdict else {
                        assert!(!holds, "{inputs} {hidden} {meaning:?}: {:?}", report.verdict);
                        assert!(matches!(report.verdict, Verdict::Violated(_)), "{:?}", report.verdict);
                        continue;
                    };
                    assert!(holds, "{inputs} {hidden} {meaning:?}: the corner that attains {least} violates");
                    let property = instance.property();
                    match instance.model(meaning) {
                        Model::Program(program) => {
                            assert!(is_deep && meaning == Meaning::Real);
                            check_program(program, property, &proofs[0]).expect("accepted again");
                        }
                        Model::Chain(chain) => {
                            assert!(!is_deep || meaning == Meaning::RealAndF32);
                            let layers = chain.core_layers();
                            let parts = Parts::new(chain, &layers, chain);
                            let problem = CaseProblem::new(&parts, property, &property.cases[0], meaning);
                            check_case(&problem, &proofs[0].bytes).expect("accepted again");
                        }
                    }
                }
            }
        }
    }
}
