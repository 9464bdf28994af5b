//! The networks of a query as one network.
//!
//! Its inputs are those of the query, equal ones once; its outputs are what each network gives, one after the other, then
//! the inputs that constraints speak of beside outputs or together. One copy of a network per declaration, so that a
//! network `equal-to` another is the same weights at other inputs.

use super::Property;
use super::evaluate::Evaluate;
use crate::program::{Builder, Operation, Program, ProgramError, Slot};

/// How networks become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// Inputs of the composed network.
    pub inputs: usize,
    /// The networks in the order of their declarations.
    pub parts: Vec<Part>,
    /// Inputs that are outputs too, after those of the networks.
    pub passed: Vec<usize>,
}

/// One declared network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which of the given networks it is.
    pub network: usize,
    /// For each of its inputs, which input of the composed network.
    pub inputs: Vec<usize>,
    /// How many outputs it gives.
    pub outputs: usize,
}

impl Composition {
    /// Whether the composed network is the only network itself.
    pub fn is_plain(&self) -> bool {
        let [part] = self.parts.as_slice() else { return false };
        self.passed.is_empty()
            && part.inputs.len() == self.inputs
            && part.inputs.iter().enumerate().all(|(i, j)| i == *j)
    }

    /// Outputs of the composed network.
    pub fn outputs(&self) -> usize {
        self.parts.iter().map(|p| p.outputs).sum::<usize>() + self.passed.len()
    }
}

/// The composed network, evaluated network by network; passed inputs are exact in both meanings.
pub struct Composed<'a> {
    /// How.
    pub composition: &'a Composition,
    /// The given networks, numbered as [`Part::network`] says.
    pub networks: Vec<&'a dyn Evaluate>,
}

impl Composed<'_> {
    fn eval<T: Copy>(&self, input: &[T], eval: impl Fn(&dyn Evaluate, &[T]) -> Vec<T>) -> Vec<T> {
        assert_eq!(input.len(), self.composition.inputs, "input has the shape [inputs]");
        let mut output = Vec::with_capacity(self.composition.outputs());
        for part in &self.composition.parts {
            let own: Vec<T> = part.inputs.iter().map(|i| input[*i]).collect();
            output.extend(eval(self.networks[part.network], &own));
        }
        output.extend(self.composition.passed.iter().map(|i| input[*i]));
        output
    }
}

impl Evaluate for Composed<'_> {
    fn inputs(&self) -> usize {
        self.composition.inputs
    }
    fn outputs(&self) -> usize {
        self.composition.outputs()
    }
    fn eval_f32(&self, input: &[f32]) -> Vec<f32> {
        self.eval(input, |network, own| network.eval_f32(own))
    }
    fn eval_f64(&self, input: &[f64]) -> Vec<f64> {
        self.eval(input, |network, own| network.eval_f64(own))
    }
}

impl Composition {
    /// The composed network as a program, each part's steps once per declaration (constants are shared).
    ///
    /// # Errors
    /// [`ProgramError`] if a program does not have the inputs and outputs of its part.
    pub fn program(&self, programs: &[&Program]) -> Result<Program, ProgramError> {
        let mut builder = Builder::new(self.inputs);
        let (mut results, mut indices) = (Vec::new(), Vec::new());
        let mut before = 0usize;
        for (k, part) in self.parts.iter().enumerate() {
            let program = programs[part.network];
            let selection = part.inputs.iter().map(|i| *i as u32).collect();
            let own = builder.push(
                &format!("inputs of network {k}"),
                Operation::Index { inputs: vec![Slot::INPUT], indices: selection },
            )?;
            let mut slots = vec![own];
            for step in program.steps() {
                let mut operation = step.operation.clone();
                operation.rename(|s| slots[s.0]);
                slots.push(builder.push(&step.name, operation)?);
            }
            let result = slots[program.output().0];
            let size = builder.size(result);
            indices.extend((before..before + size).map(|i| i as u32));
            before += size;
            results.push(result);
        }
        indices.extend(self.passed.iter().map(|i| (before + i) as u32));
        results.push(Slot::INPUT);
        let output = builder.push("outputs", Operation::Index { inputs: results, indices })?;
        builder.finish(output)
    }

    /// The smallest box that holds all of the property's: lower and upper ends.
    pub fn hull(property: &Property) -> (Vec<f64>, Vec<f64>) {
        let (mut lower, mut upper) =
            (vec![f64::INFINITY; property.inputs], vec![f64::NEG_INFINITY; property.inputs]);
        for region in property.cases.iter().map(|c| &c.region) {
            lower.iter_mut().zip(&region.lower).for_each(|(l, x)| *l = l.min(*x));
            upper.iter_mut().zip(&region.upper).for_each(|(u, x)| *u = u.max(*x));
        }
        (lower, upper)
    }
}
