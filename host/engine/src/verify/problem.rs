//! One case of a property, in the forms that search, attack and checker read.

use super::attack::DenseLayers;
use crate::bounds::{Net, Spec};
use crate::chain::Chain;
use crate::device::ProofKernel;
use crate::property::{Case, Evaluate, Property, Row};
use crate::search::tree::Cut;
use certus_core::proof::{self, Meaning};
use certus_core::{Layer, Network};

/// What all cases share.
pub struct Parts<'p> {
    /// The network for the core.
    pub network: Network<'p>,
    /// Its layers.
    pub layers: &'p [Layer<'p>],
    /// What counterexamples are checked with.
    pub evaluator: &'p dyn Evaluate,
    /// Its form for attacks.
    pub dense: DenseLayers<'p>,
    /// Its form for the search.
    pub net: Net,
    /// Its weights for the checker.
    pub kernel: ProofKernel,
}

impl<'p> Parts<'p> {
    /// Packs `chain`, whose [`Chain::core_layers`] are `layers`.
    ///
    /// # Panics
    /// If the layers are those of another chain.
    pub fn new(chain: &'p Chain, layers: &'p [Layer<'p>], evaluator: &'p dyn Evaluate) -> Self {
        Self::with_dense(chain, layers, evaluator, DenseLayers::new(layers))
    }

    /// As [`Self::new`], with the layers that an attack has already read.
    pub(super) fn with_dense(
        chain: &'p Chain,
        layers: &'p [Layer<'p>],
        evaluator: &'p dyn Evaluate,
        dense: DenseLayers<'p>,
    ) -> Self {
        let network = Network::new(layers).expect("checked by Chain::new");
        assert_eq!(
            (network.inputs(), network.outputs()),
            (chain.inputs(), chain.outputs()),
            "layers of the chain"
        );
        Self { network, layers, evaluator, dense, net: Net::new(chain), kernel: ProofKernel::new(layers) }
    }
}

/// One case: a box and the disjuncts to refute on it.
pub struct CaseProblem<'a> {
    /// Network and weights.
    pub parts: &'a Parts<'a>,
    /// The whole property, against which witnesses are checked.
    pub property: &'a Property,
    /// The case.
    pub case: &'a Case,
    /// All rows of all disjuncts, one after the other.
    pub spec: Spec,
    /// For each disjunct, where its rows begin in `spec`; one more entry at the end.
    pub first_row: Vec<usize>,
    /// For which executions.
    pub meaning: Meaning,
    rows: Vec<Vec<proof::Row<'a>>>,
}

impl<'a> CaseProblem<'a> {
    /// Folds the case's rows into the network.
    pub fn new(parts: &'a Parts<'a>, property: &'a Property, case: &'a Case, meaning: Meaning) -> Self {
        let all: Vec<&Row> = case.disjuncts.iter().flat_map(|d| &d.rows).collect();
        let mut first_row = vec![0];
        for disjunct in &case.disjuncts {
            first_row.push(first_row[first_row.len() - 1] + disjunct.rows.len());
        }
        let row = |r: &'a Row| proof::Row { coefficients: &r.coefficients, rhs: r.rhs_upper };
        let rows = case.disjuncts.iter().map(|d| d.rows.iter().map(row).collect()).collect();
        Self { parts, property, case, spec: parts.net.spec(&all), first_row, meaning, rows }
    }

    /// Rows of a disjunct in `spec`.
    pub fn rows_of(&self, disjunct: usize) -> std::ops::Range<usize> {
        self.first_row[disjunct]..self.first_row[disjunct + 1]
    }

    /// How many disjuncts.
    pub fn disjuncts(&self) -> usize {
        self.case.disjuncts.len()
    }

    /// Calls `body` with the problem as the checker reads it.
    pub fn with_proof_problem<R>(&self, body: impl FnOnce(&proof::Problem<'_>) -> R) -> R {
        let disjuncts: Vec<&[proof::Row<'_>]> = self.rows.iter().map(Vec::as_slice).collect();
        body(&proof::Problem { network: self.parts.network, disjuncts: &disjuncts, meaning: self.meaning })
    }

    /// Index in the program of hidden layer `k` of the search's network.
    pub fn program_layer(&self, k: usize) -> u16 {
        let layers = self.parts.layers.iter().enumerate().filter(|(_, l)| l.relu());
        layers.map(|(i, _)| i).nth(k).expect("one layer with ReLU per hidden layer") as u16
    }

    /// Hidden layer of the search's network that is layer `index` of the program.
    pub fn hidden_layer(&self, index: u16) -> usize {
        self.parts.layers[..usize::from(index)].iter().filter(|l| l.relu()).count()
    }

    /// Splits of hidden neurons as the checker reads them.
    pub fn proof_splits(&self, splits: &[(usize, usize, bool)]) -> Vec<proof::Split> {
        let split = |(k, i, active): &(usize, usize, bool)| proof::Split {
            layer: self.program_layer(*k),
            neuron: *i as u32,
            active: *active,
        };
        splits.iter().map(split).collect()
    }

    /// Whether there is what `cut` cuts.
    pub fn has(&self, cut: &Cut) -> bool {
        match *cut {
            Cut::Input { coordinate, .. } => usize::from(coordinate) < self.case.region.lower.len(),
            Cut::Neuron { layer, neuron } => {
                let layer = self.parts.layers.get(usize::from(layer));
                layer.is_some_and(|l| l.relu() && (neuron as usize) < l.outputs())
            }
        }
    }

    /// Hidden layer and place in it of the `neuron`-th of all hidden neurons.
    pub fn hidden_neuron(&self, mut neuron: usize) -> (usize, usize) {
        for (k, layer) in self.parts.net.hidden.iter().enumerate() {
            if neuron < layer.rows {
                return (k, neuron);
            }
            neuron -= layer.rows;
        }
        unreachable!("a neuron of the network")
    }

    /// Slopes of all hidden neurons as the proof has them: `α·255` for every neuron of the program.
    pub fn program_alpha(&self, alpha: &[f32]) -> Vec<u8> {
        let mut hidden = alpha.iter();
        let mut bytes = Vec::new();
        for layer in self.parts.layers {
            for _ in 0..layer.outputs() {
                let alpha = if layer.relu() { hidden.next() } else { None };
                bytes.push(alpha.map_or(0, |a| (a * 255.0).round() as u8));
            }
        }
        bytes
    }

    /// The disjunct's row that is easiest to refute, and its bound among `bounds` of all rows.
    pub fn best_row(&self, disjunct: usize, bounds: &[f32]) -> (u16, f32) {
        let bounds = &bounds[self.rows_of(disjunct)];
        let best =
            (0..bounds.len()).max_by(|a, b| bounds[*a].total_cmp(&bounds[*b])).expect("a disjunct has a row");
        (best as u16, bounds[best])
    }
}
