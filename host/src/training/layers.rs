//! Layers in words: `dense 100`, `conv 16 4 2 1`, `batch-norm`, `relu`.

use certus_learn::model::Layer;

use crate::output::one_line;

/// A layer that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "layer `{text}`: {problem}; there are `dense OUTPUTS`, `conv CHANNELS KERNEL STRIDE PAD`, `batch-norm`, `relu`"
)]
pub struct LayerError {
    /// What was written.
    pub text: String,
    /// What is wrong.
    pub problem: String,
}

/// Most outputs, channels, or elements of a window's side.
const MOST: usize = 1 << 20;

/// The layer that `text` describes.
///
/// # Errors
/// [`LayerError`].
pub fn parse(text: &str) -> Result<Layer, LayerError> {
    let wrong = |problem| LayerError { text: one_line(&text.chars().take(60).collect::<String>()), problem };
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let numbers: Vec<usize> = words
        .map(|w| match w.parse() {
            Ok(n) if n <= MOST => Ok(n),
            _ => Err(wrong(format!("`{w}` is no whole number up to {MOST}"))),
        })
        .collect::<Result<_, _>>()?;
    match (kind, &numbers[..]) {
        ("dense", &[outputs]) => Ok(Layer::Dense { outputs }),
        ("conv", &[channels, kernel, stride, pad]) => Ok(Layer::Conv { channels, kernel, stride, pad }),
        ("batch-norm", []) => Ok(Layer::BatchNorm),
        ("relu", []) => Ok(Layer::Relu),
        ("dense" | "conv" | "batch-norm" | "relu", _) => {
            Err(wrong(format!("{} numbers behind `{kind}`", numbers.len())))
        }
        _ => Err(wrong(format!("nothing is called `{kind}`"))),
    }
}

/// The layer in words.
pub fn show(layer: &Layer) -> String {
    match layer {
        Layer::Dense { outputs } => format!("dense {outputs}"),
        Layer::Conv { channels, kernel, stride, pad } => format!("conv {channels} {kernel} {stride} {pad}"),
        Layer::BatchNorm => "batch-norm".into(),
        Layer::Relu => "relu".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_layers_and_back() {
        for text in ["dense 100", "conv 16 4 2 1", "batch-norm", "relu"] {
            assert_eq!(show(&parse(text).unwrap()), text);
        }
        for text in
            ["", "dense", "dense x", "dense -1", "dense 99999999999", "conv 1 2 3", "relu 1", "pool 2"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("conv CHANNELS"), "{error}");
        }
    }
}
