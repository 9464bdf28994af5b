//! Losses and their gradients against PyTorch's, in `f64` (`tools/reference/ibp_losses.py`).

mod common;

use certus_learn::graph::{Graph, Node};
use certus_learn::loss::{self, Interval};
use certus_learn::model::Model;
use certus_learn::run::Reference;
use common::{BATCH, cases, close, inputs, transposed};
use serde_json::Value;

#[test]
fn losses_and_their_gradients_are_those_of_pytorch() {
    let golden: Value = serde_json::from_str(include_str!("golden/ibp_losses.json")).unwrap();
    for case in cases() {
        let golden = &golden[case.name];
        let model = Model::new(&case.input, &case.layers).unwrap();
        let mut g = Graph::new();
        let shape: Vec<usize> = case.input.iter().copied().chain([BATCH]).collect();
        let [x, lower, upper] = [(); 3].map(|()| g.leaf(&shape));
        let label = g.leaf(&[model.classes, BATCH]);
        let parameters = model.leaves(&mut g);

        let pass = loss::forward(&mut g, &model, &parameters, x, None);
        let input = Interval::between(&mut g, lower, upper);
        let (last, before) = loss::propagate(&mut g, &model, &parameters, input, &pass.normalised);
        let margins = loss::margins(&mut g, &model, &parameters, last, label);
        let losses: [(&str, Node); 3] = [
            ("clean", loss::clean(&mut g, pass.logits, label)),
            ("worst_case", loss::worst_case(&mut g, margins)),
            ("regularisers", loss::regularisers(&mut g, input, &before, loss::Weights::default())),
        ];
        let gradients = losses.map(|(_, of)| g.gradient(of, &parameters));

        let mut leaves = inputs(&model).to_vec();
        leaves.extend(case.parameters(&model));
        let run = Reference::new(&g, &leaves);
        close("logits", &transposed(run.value(pass.logits)), &golden["logits"]);
        close("margins", &transposed(run.value(margins)), &golden["margins"]);
        for ((name, of), gradients) in losses.iter().zip(&gradients) {
            let label = format!("{}: {name}", case.name);
            close(&label, run.value(*of), &serde_json::json!([golden[*name]["value"]]));
            for (k, gradient) in gradients.iter().enumerate() {
                let label = format!("{label}, gradient to {}", model.parameters[k].name);
                close(&label, run.value(*gradient), &golden[*name]["gradients"][k]);
            }
        }
    }
}
