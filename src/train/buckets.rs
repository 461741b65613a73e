//! Buckets: gradients that are sent while the backward pass goes on.
//!
//! The backward pass computes the gradients of the last layers first. A *bucket* has parameters that follow each other, with a
//! megabyte of gradients or more. As soon as all of them are complete, the bucket is sent, while the backward pass computes the
//! gradients of the layers before. Li et al. 2020, <https://arxiv.org/abs/2006.15704>
//!
//! Book: [many_machines](../../../../book/many_machines.html)

use super::together::Together;
use crate::error::Result;
use crate::parameter::Parameter;
use crate::tensor::Gradients;

// ANCHOR: buckets
/// The gradients of one micro-batch of each rank, on their way.
pub struct Sending<'t> {
    together: &'t Together,
    sent: usize, // buckets
}

impl<'t> Sending<'t> {
    /// Starts with nothing sent.
    pub fn new(together: &'t Together) -> Self {
        Self { together, sent: 0 }
    }

    /// Sends the next buckets, as long as all of their gradients are complete.
    pub fn send_complete(&mut self, parameters: &[&Parameter], gradients: &Gradients) {
        if !self.together.sends_early() {
            return;
        }
        while let Some(bucket) = self.together.buckets().get(self.sent)
            && parameters[bucket.clone()].iter().all(|parameter| gradients.is_complete(parameter.tensor()))
        {
            self.together.begin(self.together.divided(parameters, gradients, bucket.clone()));
            self.sent += 1;
        }
    }

    /// Sends all other buckets; if this rank has no micro-batch, and so no gradients, empty messages. Then waits for the
    /// gradients of all ranks, and adds them.
    ///
    /// # Errors
    /// If a rank is gone.
    pub fn finish(
        self,
        parameters: &[&Parameter],
        gradients: Option<&Gradients>,
        present: &[bool],
        sums: &mut [Vec<f32>],
    ) -> Result<()> {
        let Self { together, sent } = self;
        for bucket in &together.buckets()[sent..] {
            together.begin(match gradients {
                Some(gradients) => together.divided(parameters, gradients, bucket.clone()),
                None => vec![Vec::new(); together.ranks().size()],
            });
        }
        for bucket in together.buckets() {
            together.add(sums, &together.finish()?, bucket.clone(), present);
        }
        Ok(())
    }
}
// ANCHOR_END: buckets
