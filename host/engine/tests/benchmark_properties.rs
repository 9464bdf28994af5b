//! Every property of the benchmark set is read and speaks of as many inputs and outputs as its network has.
//!
//! The set is found by the environment variable `CERTUS_DATA`; without it the test says so and ends.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use certus_engine::graph;
use certus_engine::property::{Specification, load_specification};

/// All `instances.csv` two folders below `root`.
fn lists(root: &Path) -> Vec<PathBuf> {
    let folders =
        |path: &Path| fs::read_dir(path).into_iter().flatten().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let sets = folders(root).into_iter().flat_map(|year| folders(&year));
    let mut lists: Vec<PathBuf> = sets.map(|set| set.join("instances.csv")).filter(|p| p.exists()).collect();
    lists.sort();
    lists
}

#[test]
fn every_benchmark_property_is_read_and_fits_its_network() {
    let Some(data) = std::env::var_os("CERTUS_DATA") else {
        println!("CERTUS_DATA is not set: the benchmark properties are not read");
        return;
    };
    let (mut read, mut problems) = (0, Vec::new());
    for list in lists(&Path::new(&data).join("benchmarks")) {
        let folder = list.parent().unwrap();
        // Inputs and outputs of each network, or why it is not read.
        let mut networks: HashMap<String, Result<(usize, usize), String>> = HashMap::new();
        for line in fs::read_to_string(&list).unwrap().lines().skip(1) {
            let mut columns = line.split(',');
            let (onnx, vnnlib) = (columns.next().unwrap().to_owned(), columns.next().unwrap());
            let sizes = networks.entry(onnx.clone()).or_insert_with(|| {
                let network = graph::load_network(&folder.join(&onnx)).map_err(|e| e.to_string())?;
                Ok((network.input().len(), network.output().len()))
            });
            let specification = load_specification(&folder.join(vnnlib));
            match (specification, sizes) {
                (Ok(Specification::V1(lowered)), Ok(sizes)) => {
                    read += 1;
                    let found = (lowered.property.inputs, lowered.property.outputs);
                    if !lowered.composition.is_plain() || found != *sizes {
                        problems.push(format!("{vnnlib}: {found:?}, {onnx} has {sizes:?}"));
                    }
                }
                (Ok(Specification::V2(_)), _) => problems.push(format!("{vnnlib}: is of version 2")),
                (Err(e), _) => problems.push(e.to_string()),
                (_, Err(e)) => problems.push(e.clone()),
            }
        }
    }
    assert!(problems.is_empty(), "{} of {read}:\n{}", problems.len(), problems.join("\n"));
    assert!(read > 500, "only {read} instances");
}
