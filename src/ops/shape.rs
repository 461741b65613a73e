//! Operations that rearrange numbers and compute nothing.
//!
//! Book: [tensor](../../../../book/tensor.html)

use crate::tensor::Tensor;
use ndarray::{ArrayD, Axis, IxDyn, Slice};

/// Returns the same numbers in another shape.
pub fn reshape(x: &Tensor, shape: &[usize]) -> Tensor {
    let y = x.value().clone().into_shape_with_order(IxDyn(shape));
    let y = y.unwrap_or_else(|_| panic!("shape {:?} cannot become {shape:?}", x.shape()));
    let old = IxDyn(x.shape());
    Tensor::from_op(y, &[x], || {
        Box::new(move |dy| vec![Some(dy.into_shape_with_order(old).expect("the length is the same"))])
    })
}

/// Permutes the dimensions: dimension i of the result is dimension `order[i]` of x.
pub fn permute(x: &Tensor, order: &[usize]) -> Tensor {
    let y = x.value().clone().permuted_axes(IxDyn(order));
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    Tensor::from_op(y, &[x], || {
        Box::new(move |dy| vec![Some(dy.permuted_axes(IxDyn(&inverse)).as_standard_layout().to_shared())])
    })
}

/// Returns the range `start .. start + length` of one dimension.
pub fn narrow(x: &Tensor, axis: usize, start: usize, length: usize) -> Tensor {
    let run = Slice::from(start..start + length);
    let y = x.value().slice_axis(Axis(axis), run).to_shared();
    let shape = x.shape().to_vec();
    Tensor::from_op(y, &[x], || {
        Box::new(move |dy| {
            let mut dx = ArrayD::zeros(shape);
            dx.slice_axis_mut(Axis(axis), run).assign(&dy);
            vec![Some(dx.into_shared())]
        })
    })
}

/// Concatenates tensors along one dimension.
pub fn concat(parts: &[&Tensor], axis: usize) -> Tensor {
    let views: Vec<_> = parts.iter().map(|part| part.value().view()).collect();
    let y = ndarray::concatenate(Axis(axis), &views).expect("parts agree in every other dimension");
    let lengths: Vec<usize> = parts.iter().map(|part| part.shape()[axis]).collect();
    Tensor::from_op(y.into_shared(), parts, || {
        Box::new(move |dy| {
            let mut start = 0;
            let part = |length: usize| {
                let run = Slice::from(start..start + length);
                start += length;
                Some(dy.slice_axis(Axis(axis), run).as_standard_layout().to_shared())
            };
            lengths.into_iter().map(part).collect()
        })
    })
}
