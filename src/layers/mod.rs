//! Layers: parameters, and a forward pass made of [`ops`](crate::ops).
//!
//! A layer is a struct with three things: `new`, which takes each parameter from a
//! [`Scope`](crate::parameter::Scope) by name, shape and role; `forward`; and a line `children!` that lists its parts
//! once, from which [`Layer`] follows. Saving, counting, freezing and optimizing go through [`Layer`].
//!
//! Book: [map](../../../book/map.html)

/// Implements [`Layer`] for a struct from the list of its fields that are parameters or layers.
macro_rules! children {
    ($layer:ty: $($child:ident),+) => {
        impl $crate::layers::Layer for $layer {
            fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a $crate::parameter::Parameter)) {
                $($crate::layers::Layer::visit(&self.$child, f);)+
            }
            fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut $crate::parameter::Parameter)) {
                $($crate::layers::Layer::visit_mut(&mut self.$child, f);)+
            }
            fn visit_weights(&mut self, f: &mut dyn FnMut(&mut $crate::layers::Weight)) {
                $($crate::layers::Layer::visit_weights(&mut self.$child, f);)+
            }
        }
    };
}
pub(crate) use children;

pub mod lora;
pub mod qat;
pub mod weight;
pub mod linear;
pub mod rms_norm;
pub mod rotary;
pub mod kv_cache;
pub mod attention;
pub mod router;
pub mod experts;
pub mod mlp;
pub mod block;
pub mod mtp;

pub use attention::Attention;
pub use block::Block;
pub use experts::Experts;
pub use kv_cache::{KvCache, LayerCache, Mark};
pub use linear::Linear;
pub use lora::{Adapter, Lora, Target};
pub use mlp::Mlp;
pub use mtp::Mtp;
pub use qat::QuantizedFormat;
pub use rms_norm::RmsNorm;
pub use rotary::{Angles, Rotary};
pub use router::Router;
pub use weight::Weight;

pub use crate::ops::attention::KvFormat;

use crate::parameter::Parameter;

// ANCHOR: layer
/// Something with parameters: a layer, the whole model, or a single parameter.
pub trait Layer {
    /// Calls `f` with every parameter, in the order of the model.
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter));

    /// Calls `f` with every parameter to be changed, in the same order.
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter));

    /// Calls `f` with every weight, which may be corrected or quantized; see [`lora`] and [`qat`].
    fn visit_weights(&mut self, _f: &mut dyn FnMut(&mut Weight)) {}

    /// Returns every parameter.
    fn parameters(&self) -> Vec<&Parameter> {
        let mut parameters = Vec::new();
        self.visit(&mut |parameter| parameters.push(parameter));
        parameters
    }

    /// Returns every parameter to be changed.
    fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut parameters = Vec::new();
        self.visit_mut(&mut |parameter| parameters.push(parameter));
        parameters
    }

    /// Returns the parameter with this full name.
    fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters().into_iter().find(|parameter| parameter.name() == name)
    }

    /// Returns a frozen copy that shares the numbers: its forward pass is not recorded. Evaluation uses it.
    fn detached(&self) -> Self
    where
        Self: Sized + Clone,
    {
        let mut copy = self.clone();
        copy.visit_mut(&mut |parameter| parameter.detach());
        copy
    }

    /// Returns a frozen copy that shares the numbers, and multiplies single rows as fast as a model in a file does: each
    /// matrix in memory becomes a stored one. Generation uses it.
    fn frozen(&self) -> Self
    where
        Self: Sized + Clone,
    {
        let mut copy = self.clone();
        copy.visit_mut(&mut |parameter| parameter.freeze());
        copy
    }
}
// ANCHOR_END: layer

impl Layer for Parameter {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        f(self);
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        f(self);
    }
}

impl<T: Layer> Layer for Vec<T> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        self.iter().for_each(|layer| layer.visit(f));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        self.iter_mut().for_each(|layer| layer.visit_mut(f));
    }
    fn visit_weights(&mut self, f: &mut dyn FnMut(&mut Weight)) {
        self.iter_mut().for_each(|layer| layer.visit_weights(f));
    }
}

impl<T: Layer> Layer for Option<T> {
    fn visit<'a>(&'a self, f: &mut dyn FnMut(&'a Parameter)) {
        self.iter().for_each(|layer| layer.visit(f));
    }
    fn visit_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Parameter)) {
        self.iter_mut().for_each(|layer| layer.visit_mut(f));
    }
    fn visit_weights(&mut self, f: &mut dyn FnMut(&mut Weight)) {
        self.iter_mut().for_each(|layer| layer.visit_weights(f));
    }
}

/// The kinds of layers that a model consists of, as reports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Component {
    /// The token embedding.
    Embedding,
    /// RMSNorms.
    Norms,
    /// Attention, with its biases and sinks.
    Attention,
    /// Routers, with their biases.
    Router,
    /// Experts, with their biases.
    Experts,
    /// Dense feed-forward layers, with their biases.
    Dense,
    /// The output projection, if it is not the embedding.
    Head,
    /// The module for multi-token prediction.
    Mtp,
}
