//! The models of a query's networks, from the command line.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use certus_engine::Model;
use certus_engine::graph::{self, Network};
use certus_engine::property::{Equivalence, PropertyError, Query};

use super::Error;

/// `NAME=FILE`.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// The network's name in the query.
    pub name: String,
    /// Its model.
    pub file: PathBuf,
}

impl FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, file)) if !name.is_empty() && !file.is_empty() => {
                Ok(Self { name: name.to_owned(), file: file.into() })
            }
            _ => Err("write NAME=FILE, the name as the query declares it".into()),
        }
    }
}

fn wrong(problem: String) -> Error {
    Error::Option { option: "network", problem }
}

/// The only file given, for a property that names no network.
pub fn only_file(files: &[NamedFile]) -> Result<&Path, Error> {
    match files {
        [only] => Ok(&only.file),
        _ => Err(wrong(format!("{} networks are given, a VNN-LIB 1.0 property speaks of one", files.len()))),
    }
}

/// Loads one model per declaration and checks it against what is declared.
///
/// # Errors
/// A network that is missing, given twice or not asked for; a model that cannot be read or has another shape.
pub fn load(
    query: &Query,
    files: &[NamedFile],
    single: Option<&Path>,
    path: &Path,
) -> Result<Vec<Model>, Error> {
    let files = match single {
        Some(file) if files.is_empty() => {
            vec![NamedFile { name: query.networks[0].name.clone(), file: file.to_owned() }]
        }
        Some(_) => {
            return Err(wrong("a network is given before the query and by --network; choose one".into()));
        }
        None => files.to_vec(),
    };
    check_names(query, &files)?;
    let mut models: Vec<Option<Network>> = Vec::new();
    for network in &query.networks {
        let file = files.iter().find(|f| f.name == network.name);
        models.push(file.map(|f| graph::load_network(&f.file)).transpose()?);
    }
    let mut loaded = Vec::new();
    for (index, network) in query.networks.iter().enumerate() {
        let model = models[query.model_of(index)].as_ref().expect("the names were checked");
        let in_file = |e: PropertyError| Error::from(e.in_file(path));
        network.check_model(model).map_err(in_file)?;
        if let Some(Equivalence::IsomorphicTo(other)) = network.equivalence {
            let other_model = models[other].as_ref().expect("the names were checked");
            if !model.is_isomorphic_to(other_model) {
                let (name, other) = (network.name.clone(), query.networks[other].name.clone());
                return Err(wrong(format!(
                    "the models of {name} and {other} have different graphs, but {name} is isomorphic-to {other}"
                )));
            }
        }
        let hidden = network.hidden_values(model).map_err(in_file)?;
        loaded.push(Model::from(model.lower_with_hidden(&hidden)?));
    }
    Ok(loaded)
}

/// Each network without `equal-to` is given once, and nothing else is.
fn check_names(query: &Query, files: &[NamedFile]) -> Result<(), Error> {
    for (i, file) in files.iter().enumerate() {
        let declared = query.networks.iter().position(|n| n.name == file.name);
        match declared {
            None => return Err(wrong(format!("the query declares no network {}", file.name))),
            Some(index) if query.model_of(index) != index => {
                return Err(wrong(format!("{} is equal-to another network and takes no file", file.name)));
            }
            Some(_) if files[..i].iter().any(|f| f.name == file.name) => {
                return Err(wrong(format!("{} is given twice", file.name)));
            }
            Some(_) => {}
        }
    }
    for (index, network) in query.networks.iter().enumerate() {
        if query.model_of(index) == index && !files.iter().any(|f| f.name == network.name) {
            return Err(wrong(format!(
                "the query declares network {0}; add --network {0}=FILE",
                network.name
            )));
        }
    }
    Ok(())
}
