//! Many numbers to one: sums, means and maxima, of everything or along one dimension.
//!
//! Book: [tensor](../../../../book/tensor.html)

use crate::tensor::{Tensor, array};
use ndarray::{Axis, Zip};

/// Σ of all numbers, shape (1,).
pub fn sum(x: &Tensor) -> Tensor {
    let total: f64 = x.data().iter().map(|&x| f64::from(x)).sum();
    let shape = x.shape().to_vec();
    Tensor::from_op(array(&[1], vec![total as f32]), &[x], || {
        Box::new(move |dy| vec![Some(array(&shape, vec![dy[0]; shape.iter().product()]))])
    })
}

/// Σ along one dimension, which keeps the length 1.
pub fn sum_axis(x: &Tensor, axis: usize) -> Tensor {
    let y = x.value().sum_axis(Axis(axis)).insert_axis(Axis(axis)).into_shared();
    let shape = x.shape().to_vec();
    Tensor::from_op(y, &[x], || {
        Box::new(move |dy| {
            let dx = dy.broadcast(shape.as_slice()).expect("the axis has length 1").as_standard_layout().to_shared();
            vec![Some(dx)]
        })
    })
}

/// Mean along one dimension, which keeps the length 1.
pub fn mean_axis(x: &Tensor, axis: usize) -> Tensor {
    super::elementwise::scale(&sum_axis(x, axis), 1.0 / x.shape()[axis] as f32)
}

/// Maximum along one dimension, which keeps the length 1. Of equal numbers the first gets the gradient.
pub fn max_axis(x: &Tensor, axis: usize) -> Tensor {
    let first_largest =
        |lane: ndarray::ArrayView1<f32>| (1..lane.len()).fold(0, |best, i| if lane[i] > lane[best] { i } else { best });
    let places = x.value().map_axis(Axis(axis), first_largest);
    let y = Zip::from(&places).and(x.value().lanes(Axis(axis))).map_collect(|&place, lane| lane[place]);
    let shape = x.shape().to_vec();
    Tensor::from_op(y.insert_axis(Axis(axis)).into_shared(), &[x], || {
        Box::new(move |dy| {
            let mut dx = ndarray::ArrayD::zeros(shape);
            let dy = dy.index_axis_move(Axis(axis), 0);
            Zip::from(&places).and(&dy).and(dx.lanes_mut(Axis(axis))).for_each(|&place, &dy, mut dx| dx[place] = dy);
            vec![Some(dx.into_shared())]
        })
    })
}
