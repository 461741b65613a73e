//! Quantization: the same numbers in MXFP4 or in bf16, in memory.
//!
//! Book: [qat](../../../../book/qat.html)

use super::value::InMemory;
use super::{Parameter, Role, Value};
use crate::kernels::parallel;
use crate::mxfp4::{BLOCK, encode_blocks};
use crate::stored::{Bytes, Numbers, Precision, Rows, StoredWeight};
use crate::tensor::{Tensor, array};
use half::bf16;
use std::sync::Arc;

impl Value {
    // ANCHOR: mxfp4
    /// Returns stacked experts in MXFP4 (E, out, in), as they are after `ossia quantize`. Experts in MXFP4 do not change.
    ///
    /// # Panics
    /// If the number of inputs is not a multiple of 32.
    pub fn to_mxfp4(&self) -> Value {
        if self.mxfp4().is_some() {
            return self.clone();
        }
        let experts = self.shape()[0];
        let encoded = parallel::map(experts, |i| {
            let (codes, scales) = encode_blocks(&self.expand_expert(i, Rows::Outputs));
            (codes.into_flattened(), scales)
        });
        let (codes, scales): (Vec<_>, Vec<_>) = encoded.into_iter().unzip();
        let [codes, scales] = [codes, scales].map(|bytes| Bytes::new(Arc::new(bytes.concat())));
        let shape = [experts, self.outputs(), self.inputs()];
        StoredWeight::new(&shape, Rows::Outputs, Numbers::Mxfp4 { codes, scales }).into()
    }
    // ANCHOR_END: mxfp4

    /// Returns a matrix in bf16.
    pub fn to_bf16(&self) -> Value {
        let bytes: Vec<u8> = self.to_f32().into_iter().flat_map(|x| bf16::from_f32(x).to_le_bytes()).collect();
        StoredWeight::new(self.shape(), self.rows(), Numbers::Bf16(Bytes::new(Arc::new(bytes)))).into()
    }

    /// Returns stacked experts in f32 with a row per output, (E, out, in).
    fn with_rows_per_output(&self) -> Value {
        let experts = self.shape()[0];
        let numbers = parallel::map(experts, |i| self.expand_expert(i, Rows::Outputs)).concat();
        let shape = [experts, self.outputs(), self.inputs()];
        let numbers = Numbers::F32(Bytes::new(Arc::new(InMemory(array(&shape, numbers)))));
        match StoredWeight::fits(&shape, &numbers) {
            true => StoredWeight::new(&shape, Rows::Outputs, numbers).into(),
            false => self.clone(), // a big-endian machine
        }
    }

    /// Returns the matrix of expert `i` with this kind of row, as f32.
    pub fn expand_expert(&self, i: usize, row: Rows) -> Vec<f32> {
        let numbers = self.expand_matrix(i);
        if self.rows() == row {
            return numbers;
        }
        let &[_, rows, columns] = self.shape() else { unreachable!("experts are stacked") };
        let transposed = (0..columns).flat_map(|column| (0..rows).map(move |row| row * columns + column));
        transposed.map(|at| numbers[at]).collect()
    }
}

impl Parameter {
    /// Gives the parameter the numbers that it has after `ossia quantize`, as they are when a model is loaded: experts in MXFP4,
    /// and the rest in bf16. The parameter is then frozen.
    pub fn quantize(&mut self) {
        self.value = match self.role {
            Role::Expert => self.value.to_mxfp4(),
            role if role.is_matrix() => self.value.to_bf16(),
            _ => {
                let rounded = self.value.to_f32().into_iter().map(|x| bf16::from_f32(x).to_f32()).collect();
                Tensor::constant(array(self.value.shape(), rounded)).into()
            }
        };
    }
}

impl Parameter {
    /// Rounds a matrix to int8, and its input at each product; see [`Precision::Fast`]. Experts in MXFP4 keep their numbers. Routers,
    /// and matrices whose rows are not whole blocks of 32, do not change. The parameter is then frozen.
    pub fn make_fast(&mut self) {
        self.freeze();
        let value = match self.role {
            Role::Expert if self.value.mxfp4().is_none() => self.value.with_rows_per_output(),
            Role::Expert | Role::Matrix | Role::Head | Role::Embedding => self.value.stored_in_memory(),
            Role::Router | Role::Norm | Role::Bias | Role::Sink => return,
        };
        let Some(weight) = value.stored().filter(|weight| weight.columns().is_multiple_of(BLOCK)) else { return };
        let fast = if value.mxfp4().is_some() { weight.clone() } else { weight.to_int8() };
        self.value = fast.with_precision(Precision::Fast).into();
    }
}
