//! Networks that are trained: layers one after another, and their parameters.
//!
//! A [`Model`] knows its shapes; [`Model::leaves`] puts its parameters into a graph, and the losses ([`crate::loss`]) propagate points and boxes
//! through its layers. Images are `[channels, height, width]`, without the batch.

mod fold;
mod init;

pub use init::{Init, Random};

use crate::graph::{Conv, Graph, Node};

/// One layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// `W x + b` of flat values.
    Dense {
        /// Outputs.
        outputs: usize,
    },
    /// A convolution with bias, the same window and stride in both directions.
    Conv {
        /// Channels of the output.
        channels: usize,
        /// Height and width of the window.
        kernel: usize,
        /// Step of the window.
        stride: usize,
        /// Zeros around the image.
        pad: usize,
    },
    /// Each channel (or value) normalised by its mean and variance, then scaled and shifted.
    BatchNorm,
    /// `max(x, 0)`.
    Relu,
}

/// What is wrong with an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A convolution of values that are no image.
    #[error(
        "layer {layer}: a convolution needs an image [channels, height, width], and gets {shape:?}; put it before dense layers"
    )]
    NoImage {
        /// Place of the layer.
        layer: usize,
        /// What it gets.
        shape: Vec<usize>,
    },
    /// A window that does not fit.
    #[error(
        "layer {layer}: a window of {kernel} with {pad} zeros around does not fit an image of {height}×{width}"
    )]
    Window {
        /// Place of the layer.
        layer: usize,
        /// The window.
        kernel: usize,
        /// Zeros around.
        pad: usize,
        /// Of the image.
        height: usize,
        /// Of the image.
        width: usize,
    },
    /// A size of 0.
    #[error("layer {layer}: a size of 0")]
    Zero {
        /// Place of the layer.
        layer: usize,
    },
    /// A batch normalisation that no affine layer comes before, into which it could be folded.
    #[error(
        "layer {layer}: batch normalisation follows a dense layer or a convolution; put it right behind one"
    )]
    Normalised {
        /// Place of the layer.
        layer: usize,
    },
    /// More weights, or more values for each input, than a run could hold.
    #[error("layer {layer}: {what} of {shape:?} are more than {limit}; take a smaller layer")]
    Large {
        /// Place of the layer.
        layer: usize,
        /// Weights or values.
        what: &'static str,
        /// Their shape.
        shape: Vec<usize>,
        /// Most elements.
        limit: usize,
    },
    /// The last layer gives no logits.
    #[error("the last layer has to be dense: it gives one number for each class")]
    NoHead,
}

/// Most weights of a layer: 1 GiB.
const MOST_WEIGHTS: usize = 1 << 28;
/// Most values of a layer for one input.
const MOST_VALUES: usize = 1 << 24;

/// An error if `shape` has more than `limit` elements.
fn fits(layer: usize, what: &'static str, shape: &[usize], limit: usize) -> Result<(), ModelError> {
    let elements = shape.iter().try_fold(1usize, |n, len| n.checked_mul(*len));
    match elements {
        Some(n) if n <= limit => Ok(()),
        _ => Err(ModelError::Large { layer, what, shape: shape.to_vec(), limit }),
    }
}

/// A tensor that is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `layer.weight`, `layer.bias`, `layer.scale` or `layer.shift`, as in the files.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Vec<f32>,
}

/// What a layer is with the shapes known.
#[derive(Clone, Debug, PartialEq)]
pub enum Shaped {
    /// `W x + b`.
    Dense {
        /// Inputs, outputs.
        size: [usize; 2],
        /// Place of the weights among the parameters; the bias is behind.
        first: usize,
    },
    /// A convolution.
    Conv {
        /// Its windows.
        geometry: Conv,
        /// As for a dense layer.
        first: usize,
    },
    /// A batch normalisation.
    BatchNorm {
        /// Channels.
        channels: usize,
        /// Elements of a channel.
        area: usize,
        /// Place of the scale among the parameters; the shift is behind.
        first: usize,
        /// Which of the normalisations it is.
        index: usize,
    },
    /// `max(x, 0)`.
    Relu,
}

/// Mean and variance of a batch normalisation over the training data, `[channels]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Means.
    pub mean: Vec<f32>,
    /// Variances.
    pub variance: Vec<f32>,
}

/// A network.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Shape of the input, without the batch.
    pub input: Vec<usize>,
    /// Layers with their shapes.
    pub layers: Vec<Shaped>,
    /// What is trained.
    pub parameters: Vec<Parameter>,
    /// Of each batch normalisation.
    pub statistics: Vec<Statistics>,
    /// Classes.
    pub classes: usize,
}

impl Model {
    /// A network of `layers` for inputs of shape `input`, all parameters 0 (see [`Init`]).
    ///
    /// # Errors
    /// [`ModelError`] if the layers do not fit one another.
    pub fn new(input: &[usize], layers: &[Layer]) -> Result<Self, ModelError> {
        let mut model = Self {
            input: input.to_vec(),
            layers: Vec::new(),
            parameters: Vec::new(),
            statistics: Vec::new(),
            classes: 0,
        };
        let mut shape = input.to_vec();
        for (at, layer) in layers.iter().enumerate() {
            shape = model.push(at, *layer, shape)?;
        }
        match layers.last() {
            Some(Layer::Dense { outputs }) => model.classes = *outputs,
            _ => return Err(ModelError::NoHead),
        }
        Ok(model)
    }

    fn push(&mut self, at: usize, layer: Layer, shape: Vec<usize>) -> Result<Vec<usize>, ModelError> {
        let first = self.parameters.len();
        let mut parameter = |part: &str, shape: &[usize], value: f32| {
            let values = vec![value; shape.iter().product()];
            self.parameters.push(Parameter { name: format!("{at}.{part}"), shape: shape.to_vec(), values });
        };
        match layer {
            Layer::Dense { outputs } => {
                let inputs: usize = shape.iter().product();
                if inputs == 0 || outputs == 0 {
                    return Err(ModelError::Zero { layer: at });
                }
                fits(at, "weights", &[outputs, inputs], MOST_WEIGHTS)?;
                parameter("weight", &[outputs, inputs], 0.0);
                parameter("bias", &[outputs], 0.0);
                self.layers.push(Shaped::Dense { size: [inputs, outputs], first });
                Ok(vec![outputs])
            }
            Layer::Conv { channels, kernel, stride, pad } => {
                let [channels_in, height, width] = shape[..] else {
                    return Err(ModelError::NoImage { layer: at, shape });
                };
                if channels == 0 || kernel == 0 || stride == 0 || channels_in * height * width == 0 {
                    return Err(ModelError::Zero { layer: at });
                }
                let out = |size: usize| {
                    size.saturating_add(pad.saturating_mul(2))
                        .checked_sub(kernel)
                        .map(|rest| rest / stride + 1)
                };
                let (Some(h), Some(w)) = (out(height), out(width)) else {
                    return Err(ModelError::Window { layer: at, kernel, pad, height, width });
                };
                let geometry = Conv {
                    channels: [channels_in, channels],
                    size_in: [height, width],
                    size_out: [h, w],
                    kernel: [kernel; 2],
                    stride: [stride; 2],
                    pad: [pad; 2],
                    groups: 1,
                };
                fits(at, "weights", &geometry.weights(), MOST_WEIGHTS)?;
                fits(at, "values", &[channels, h, w], MOST_VALUES)?;
                parameter("weight", &geometry.weights(), 0.0);
                parameter("bias", &[channels], 0.0);
                self.layers.push(Shaped::Conv { geometry, first });
                Ok(vec![channels, h, w])
            }
            Layer::BatchNorm => {
                if !matches!(self.layers.last(), Some(Shaped::Dense { .. } | Shaped::Conv { .. })) {
                    return Err(ModelError::Normalised { layer: at });
                }
                let channels = shape.first().copied().unwrap_or(0);
                parameter("scale", &[channels], 1.0);
                parameter("shift", &[channels], 0.0);
                let area = shape.iter().skip(1).product();
                let index = self.statistics.len();
                self.statistics.push(Statistics { mean: vec![0.0; channels], variance: vec![1.0; channels] });
                self.layers.push(Shaped::BatchNorm { channels, area, first, index });
                Ok(shape)
            }
            Layer::Relu => {
                self.layers.push(Shaped::Relu);
                Ok(shape)
            }
        }
    }

    /// Elements of an input.
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    /// Elements of a channel of each batch normalisation.
    pub fn areas(&self) -> Vec<usize> {
        let area = |layer: &Shaped| match layer {
            Shaped::BatchNorm { area, .. } => Some(*area),
            _ => None,
        };
        self.layers.iter().filter_map(area).collect()
    }

    /// The parameters as leaves of `graph`, in their order.
    pub fn leaves(&self, graph: &mut Graph) -> Vec<Node> {
        self.parameters.iter().map(|p| graph.leaf(&p.shape)).collect()
    }
}
