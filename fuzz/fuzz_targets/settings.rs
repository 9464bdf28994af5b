//! Any text as settings of training: reading is total, what is shown reads back as the same, and layers that fit together make
//! a model whose parts have the sizes they say.
#![no_main]

use certus::training::{config, layers};
use certus_learn::model::{Layer, Model};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("fuzz.toml");
    let config = match config::parse(path, text, &[]) {
        Ok(config) => config,
        Err(e) => {
            assert!(!e.to_string().contains('\n'), "{e}");
            return;
        }
    };
    let again = config::parse(path, &config.show(), &[]).expect("what is shown, is read");
    assert_eq!(format!("{:?}", again.data), format!("{:?}", config.data));
    assert_eq!(format!("{:?}", again.network), format!("{:?}", config.network));
    assert_eq!(format!("{:?}", again.train), format!("{:?}", config.train));
    assert_eq!(format!("{:?}", again.evaluate), format!("{:?}", config.evaluate));
    let layers: Vec<Layer> =
        config.network.layers.iter().map(|l| layers::parse(l).expect("was read before")).collect();
    // Larger ones are right too, and take their time.
    let small = layers.len() <= 8
        && layers.iter().all(|l| match l {
            Layer::Dense { outputs } => *outputs <= 64,
            Layer::Conv { channels, kernel, pad, .. } => *channels.max(kernel).max(pad) <= 16,
            Layer::BatchNorm | Layer::Relu => true,
        });
    if let (true, Ok(model)) = (small, Model::new(&[2, 9, 7], &layers)) {
        for parameter in &model.parameters {
            assert_eq!(parameter.shape.iter().product::<usize>(), parameter.values.len());
        }
    }
});
