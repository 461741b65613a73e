//! y = W[id]
//!
//! Book: [embedding](../../book/src/embedding.md)

use crate::common::{Reference, assert_derivative, assert_matches_reference, random};
use ossia::ops::embedding::embedding;
use ossia::ops::linear::matmul;
use ossia::tensor::{Tensor, array};

#[test]
fn embedding_matches_pytorch() {
    let reference = Reference::open("embedding");
    let ids = reference.ids("ids");
    assert_matches_reference(&reference, &["w"], |t| embedding(&ids, &t[0]));
}

#[test]
fn embedding_equals_a_product_with_one_hot_rows() {
    let ids = [2_u32, 2, 0, 4, 2];
    let mut one_hot = vec![0.0; ids.len() * 5];
    ids.iter().enumerate().for_each(|(t, &id)| one_hot[t * 5 + id as usize] = 1.0);
    let one_hot = Tensor::constant(array(&[ids.len(), 5], one_hot));
    assert_derivative(&[random(&[5, 3], 1)], |t| embedding(&ids, &t[0]), |t| matmul(&one_hot, &t[0]));
}

#[test]
fn embedding_of_no_ids_is_no_rows() {
    assert_eq!(embedding(&[], Tensor::constant(random(&[5, 3], 1))).shape(), [0, 3]);
}
