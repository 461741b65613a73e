//! A value with a correction of low rank: the sum of both.

use super::Value;
use crate::kernels::{gemm, parallel};
use crate::stored::Rows;
use crate::tensor::{Tensor, array};
use ndarray::{ArrayView2, ArrayViewMut2};

impl Value {
    // ANCHOR: corrected
    /// Returns W + scale·B·A in f32: W (out, in), A (r, in), B (out, r); or, for stacked experts, Wₑ + scale·Aₑ·Bₑ: W (E, in, out),
    /// A (E, in, r), B (E, r, out).
    pub fn corrected(&self, a: &Value, b: &Value, scale: f32) -> Tensor {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let (a, b) = (a.to_f32(), b.to_f32());
        let &[experts, _, _] = self.shape() else {
            let mut sum = self.to_f32();
            gemm(scale, matrix(&b, a.len() / inputs), matrix(&a, inputs), 1.0, matrix_mut(&mut sum, inputs));
            return Tensor::constant(array(&[outputs, inputs], sum));
        };
        let rank = a.len() / (experts * inputs);
        let merged = parallel::map(experts, |e| {
            let mut sum = self.rows_of_inputs(e);
            let (a, b) = (&a[e * inputs * rank..][..inputs * rank], &b[e * rank * outputs..][..rank * outputs]);
            gemm(scale, matrix(a, rank), matrix(b, outputs), 1.0, matrix_mut(&mut sum, outputs));
            sum
        });
        Tensor::constant(array(&[experts, inputs, outputs], merged.concat()))
    }
    // ANCHOR_END: corrected

    /// Returns the matrix of an expert with a row for each input. (in, out)
    fn rows_of_inputs(&self, expert: usize) -> Vec<f32> {
        let numbers = self.expand_matrix(expert);
        match self.rows() {
            Rows::Inputs => numbers,
            Rows::Outputs => matrix(&numbers, self.inputs()).t().iter().copied().collect(),
        }
    }
}

fn matrix(numbers: &[f32], columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((numbers.len() / columns, columns), numbers).expect("whole rows")
}

fn matrix_mut(numbers: &mut [f32], columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((numbers.len() / columns, columns), numbers).expect("whole rows")
}
