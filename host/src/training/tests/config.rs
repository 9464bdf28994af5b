use std::path::Path;

use certus_learn::train::{Method, Settings};

use crate::training::config::{self, Config, Files, PerElement};

fn parse(text: &str, changes: &[&str]) -> Result<Config, String> {
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    config::parse(Path::new("f.toml"), text, &changes).map_err(|e| e.to_string())
}

#[test]
fn nothing_set_is_the_defaults_and_what_is_shown_reads_back() {
    let empty = parse("", &[]).unwrap();
    assert_eq!(empty.train, Settings::default());
    let text = "[data]\ntrain = [\"a\", \"b\"]\nradius = [1, 2.5]\n[network]\nlayers = [\"dense 3\", \"relu\"]\n\
                [train]\npreset = \"pgd-mnist\"\nepochs = 3\nkappa = [1, 0.5]\n[evaluate]\ncurve = [1]\n";
    let found = parse(text, &["train.seed=7", "train.method = ibp", "data.format=csv"]).unwrap();
    assert_eq!(found.data.train, Some(Files::Several(vec!["a".into(), "b".into()])));
    assert_eq!(found.data.radius, PerElement::Each(vec![1.0, 2.5]));
    let preset = Settings::preset("pgd-mnist").unwrap();
    assert_eq!(found.preset.as_deref(), Some("pgd-mnist"));
    let right = Settings { epochs: 3.0, kappa: [1.0, 0.5], seed: 7, method: Method::Ibp, ..preset };
    assert_eq!(found.train, right);
    assert_eq!(parse("[train]\nkappa = 0.25\nbeta = 1", &[]).unwrap().train.kappa, [0.25, 0.25]);
    assert!(parse("[train]\nkappa = \"x\"", &[]).unwrap_err().contains("a number, or two in a list"));
    let again = parse(&found.show(), &[]).unwrap();
    assert_eq!((&again.data, &again.network, &again.train), (&found.data, &found.network, &found.train));
    assert_eq!(again.evaluate, found.evaluate);
}

#[test]
fn errors_name_file_line_table_and_key() {
    let cases = [
        ("[data]\n\nx = = 3", "f.toml:3: "),
        ("[data]\ntrian = \"a\"", "f.toml:2: [data] unknown field `trian`"),
        ("[train]\nepochs = \"many\"", "f.toml:2: [train] invalid type: string \"many\""),
        ("[train]\n\nepsilon = -1", "f.toml:3: [train] `epsilon` is -1; it takes a number from 0 to 1000000"),
        ("[train]\nkappa = [0.5, 2]", "f.toml:2: [train] `kappa` is 2; it takes a number from 0 to 1"),
        ("[train]\npreset = \"\\nbest\"", "f.toml:2: [train] `preset` is"),
        ("[train]\nramp = 1e300", "f.toml:2: [train] `ramp` is 1e300; it takes a number from 0 to 1000000"),
        ("[network]\nlayers = [\"conv\\n3\"]", "f.toml:2: [network] layer `conv 3`: 1 numbers behind `conv`"),
        ("[train]\npreset = \"best\"", "f.toml:2: [train] `preset` is \"best\"; there are: shi-mnist"),
        ("[train]\nmethod = \"sgd\"", "f.toml:2: [train] unknown variant `sgd`, expected"),
        ("[network]\nlayers = [\"pool 2\"]", "f.toml:2: [network] layer `pool 2`: nothing is called `pool`"),
        ("[data]\nrange = [1, 0]", "f.toml:2: [data] `range` is [1, 0]; it takes two finite numbers"),
        ("[data]\ndivide = 0", "f.toml:2: [data] `divide` is 0; "),
        ("[data]\nradius = nan", "f.toml:2: [data] `radius` is NaN; "),
        ("[evaluate]\nverify_timeout = 0", "f.toml:2: [evaluate] `verify_timeout` is 0; "),
        ("# x\n[model]\nx = 1", "f.toml:2: `model` is no table of settings"),
        ("train = 3", "f.toml: [train] has to be a table"),
    ];
    for (text, message) in cases {
        let error = parse(text, &[]).unwrap_err();
        assert!(error.starts_with(message) && !error.contains('\n'), "{text:?}: {error}");
    }
    for change in ["epochs=3", "train.epochs", "train=3"] {
        let error = parse("", &[change]).unwrap_err();
        assert!(error.starts_with(&format!("--set {change}: give table.key=value")), "{error}");
    }
    let error = parse("[train]\nbatch = 7", &["train.batch=0"]).unwrap_err();
    assert!(error.starts_with("--set train.batch=0: [train] `batch` is 0"), "{error}");
}

/// Keys of a table, as it is written.
fn keys(config: &Config) -> Vec<String> {
    let tables: toml::Table = toml::from_str(&config.show()).unwrap();
    let keys = |(table, value): (&String, &toml::Value)| -> Vec<String> {
        value.as_table().unwrap().keys().map(|key| format!("{table}.{key}")).collect()
    };
    tables.iter().flat_map(keys).collect()
}

/// The guide has a row `| `key` | default | range | meaning |` for every key, below the heading of its table, and for no other.
#[test]
fn the_guide_lists_every_key_with_its_default() {
    let guide = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/training.md")).unwrap();
    let mut config = parse("", &[]).unwrap();
    // What is not set is not written: give all of these a value.
    let data = &mut config.data;
    for files in [&mut data.train, &mut data.train_labels, &mut data.test, &mut data.test_labels] {
        *files = Some(Files::One("x".into()));
    }
    (data.shape, data.range) = (Some(vec![1]), Some([0.0, 1.0]));
    (data.label, data.notice) = (Some("x".into()), Some("x".into()));
    let shown: toml::Table = toml::from_str(&config.show()).unwrap();
    let defaults: toml::Table = toml::from_str(&parse("", &[]).unwrap().show()).unwrap();
    let mut table = String::new();
    let mut listed = Vec::new();
    for line in guide.lines() {
        if let Some(name) = line.strip_prefix("### `[").and_then(|l| l.strip_suffix("]`")) {
            table = name.to_owned();
        } else if line.starts_with("## ") {
            table.clear();
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, key, default, ..] = cells[..] else { continue };
        let Some(key) = key.strip_prefix('`').and_then(|k| k.strip_suffix('`')) else { continue };
        if table.is_empty() || key == "preset" {
            continue;
        }
        listed.push(format!("{table}.{key}"));
        let value = defaults[&table].get(key).map_or("none".to_owned(), |v| format!("`{v}`"));
        assert_eq!(default, value, "default of {table}.{key} in the guide");
        assert!(shown[&table].get(key).is_some(), "the guide lists {table}.{key}, which is no setting");
        assert_eq!(cells.len(), 6, "{line}");
        assert!(cells[3..5].iter().all(|c| !c.is_empty()), "range and meaning of {table}.{key}");
    }
    let mut all = keys(&config);
    all.sort();
    listed.sort();
    assert_eq!(all, listed, "every key stands in the guide once");
}

#[test]
fn every_example_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/training");
    let examples: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    assert!(examples.len() >= 3);
    for path in examples {
        let config = config::read(&path, &[]).unwrap();
        assert!(config.data.train.is_some() && config.data.test.is_some(), "{}", path.display());
    }
}
