//! # Autograd by hand
//!
//! A tensor records the operation that made it. This notebook computes gradients by hand and with the engine, adds an
//! operation, finds a wrong derivative, and trains a small network to approximate a curve. The chapters are [A tensor
//! that remembers](tensor.md) and [Is the gradient right?](grad_check.md).

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // %% [markdown]
    // ## A graph
    //
    // The records of all operations form a *graph*: from each result, edges lead to the numbers that it was computed from.
    // The first graph computes $f = ab + e^a$ for $a = 0.5$ and $b = -2$. Both are *parameters*, so each tensor that is
    // computed from them records how it was made.
    // %%
    use notebook::{Axes, chart, dots, line};
    use ossia::ops::elementwise::{add, exp, mul, scale, sigmoid, sub};
    use ossia::ops::linear::linear;
    use ossia::ops::reduce::sum;
    use ossia::tensor::{Array, Tensor, array, grad_check, slice};

    let a = Tensor::parameter(array(&[1], vec![0.5]));
    let b = Tensor::parameter(array(&[1], vec![-2.0]));
    let product = mul(&a, &b);
    let power = exp(&a);
    let f = add(&product, &power);
    println!("f = {:.4}", f.item());
    assert!((f.item() - (-1.0 + 0.5_f32.exp())).abs() < 1e-6);
    // %% [markdown]
    // ## The backward pass by hand
    //
    // The backward pass begins at the end, with $df = 1$. An addition passes its gradient on to both operands. In a
    // product, the gradient with respect to one factor is the gradient of the product times the other factor. The
    // derivative of $e^a$ is $e^a$. Two operations use $a$, so the two gradients that they give for $a$ are added.
    // %%
    let d_product = 1.0_f32;
    let d_power = 1.0_f32;
    let db_by_hand = d_product * 0.5;
    let da_by_hand = d_product * -2.0 + d_power * 0.5_f32.exp();
    println!("da = {da_by_hand:.4}, db = {db_by_hand:.4}");
    // %% [markdown]
    // ## The backward pass by the engine
    //
    // `backward` computes the same two numbers.
    // %%
    let gradients = f.backward();
    let da = gradients.get(&a).map_or(f32::NAN, |d| slice(d)[0]);
    let db = gradients.get(&b).map_or(f32::NAN, |d| slice(d)[0]);
    println!("da = {da:.4}, db = {db:.4}");
    assert_eq!(da, da_by_hand);
    assert_eq!(db, db_by_hand);
    // %% [markdown]
    // ## An operation of our own
    //
    // The engine has no operation for $x^3$. To add one, you need its forward pass and its backward pass; there is no
    // list of operations that you would have to extend. The closure of the backward pass stores the numbers that it
    // needs, here $x$.
    //
    // `checked` compares a derivative with differences that `grad_check` measures, and returns the relative error. The
    // next cell prints this error for the right derivative, $3x^2$, and for a wrong one, $2x^2$.
    // %%
    fn cube(x: &Tensor, slope: fn(f32) -> f32) -> Tensor {
        let y = x.data().iter().map(|x| x * x * x).collect();
        let kept = x.value().clone();
        Tensor::from_op(array(x.shape(), y), &[x], move || {
            Box::new(move |dy: Array| {
                let dx = slice(&dy).iter().zip(slice(&kept)).map(|(dy, &x)| dy * slope(x)).collect();
                vec![Some(array(dy.shape(), dx))]
            })
        })
    }

    fn checked(slope: fn(f32) -> f32, step: f32) -> f32 {
        let weights = Tensor::constant(array(&[5], vec![1.0, -0.5, 2.0, 0.3, -1.5]));
        let f = |x: &[Tensor]| sum(&mul(&weights, &cube(&x[0], slope)));
        grad_check(f, &[array(&[5], vec![-1.2, -0.4, 0.3, 0.8, 1.5])], step).relative_error
    }

    let right = checked(|x| 3.0 * x * x, 1e-2);
    let wrong = checked(|x| 2.0 * x * x, 1e-2);
    println!("3x²: {right:.1e} away from what is measured; 2x²: {wrong:.1e}");
    assert!(right < 1e-3 && wrong > 0.1);
    // %% [markdown]
    // ## How small a step?
    //
    // `grad_check` changes an input by a step $h$ in both directions and measures the difference. If $h$ is large, the
    // function is not a straight line between the two points. The error of this falls with the square of $h$. If $h$ is
    // small, the difference consists mostly of rounding errors, and the error rises again. So the error of the right
    // derivative has a minimum, here near $h = 0.003$. The error of the wrong derivative is at least 0.3 for every step.
    // This is how you can distinguish them.
    // %%
    let steps: Vec<f32> = (0..25).map(|i| 10_f32.powf(-0.2 * i as f32)).collect();
    let valley: Vec<(f64, f64)> = steps.iter().map(|&h| (h.into(), checked(|x| 3.0 * x * x, h).into())).collect();
    let plateau: Vec<(f64, f64)> = steps.iter().map(|&h| (h.into(), checked(|x| 2.0 * x * x, h).into())).collect();
    let best = valley.iter().map(|p| p.1).fold(f64::MAX, f64::min);
    assert!(best < 1e-3 && plateau.iter().all(|p| p.1 > 0.1));
    chart("step h", "relative error", Axes::Log, &[line("3x²", valley), line("2x², wrong", plateau)]).show();
    // %% [markdown]
    // ## A network that approximates a curve
    //
    // The network computes sixteen intermediate numbers from its input $x$, its *hidden units*, and one output from these:
    // $y = W_2 \, \sigma(W_1 x + b_1) + b_2$. Here $\sigma(z) = 1/(1 + e^{-z})$ is the *sigmoid*, which rises smoothly from 0
    // to 1. The loss is the mean squared error over 64 points of $\sin 3x$. Each step subtracts a tenth of the gradient
    // from each parameter. A language model is trained in the same way, with a larger network, and with [AdamW](adamw.md)
    // instead of this simple rule for a step.
    // %%
    const POINTS: usize = 64;
    const HIDDEN: usize = 16;

    struct Network {
        parameters: Vec<Tensor>, // W₁ (16, 1), b₁ (16,), W₂ (1, 16), b₂ (1,)
    }

    impl Network {
        fn new() -> Self {
            // Sigmoids that rise at evenly spaced places, alternately to the right and to the left.
            let sign = |i: usize| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
            let w1 = (0..HIDDEN).map(|i| 4.0 * sign(i)).collect();
            let b1 = (0..HIDDEN).map(|i| 4.0 * sign(i) * (1.0 - 2.0 * i as f32 / 15.0)).collect();
            let w2 = (0..HIDDEN).map(|i| 0.1 * sign(i / 2)).collect();
            let parameter = |shape: &[usize], numbers| Tensor::parameter(array(shape, numbers));
            let last = [parameter(&[1, HIDDEN], w2), parameter(&[1], vec![0.0])];
            let parameters = [parameter(&[HIDDEN, 1], w1), parameter(&[HIDDEN], b1)].into_iter().chain(last);
            Self { parameters: parameters.collect() }
        }

        fn forward(&self, x: &Tensor) -> Tensor {
            let hidden = sigmoid(&linear(x, &self.parameters[0], Some(&self.parameters[1])));
            linear(&hidden, &self.parameters[2], Some(&self.parameters[3]))
        }

        fn step(&mut self, x: &Tensor, y: &Tensor, rate: f32) -> f32 {
            let error = sub(&self.forward(x), y);
            let loss = scale(&sum(&mul(&error, &error)), 1.0 / POINTS as f32);
            let gradients = loss.backward();
            for parameter in &mut self.parameters {
                let gradient = gradients.get(parameter).expect("it took part").clone();
                for (p, d) in parameter.data_mut().iter_mut().zip(slice(&gradient)) {
                    *p -= rate * d;
                }
            }
            loss.item()
        }
    }

    let xs: Vec<f32> = (0..POINTS).map(|i| i as f32 / 31.5 - 1.0).collect();
    let x = Tensor::constant(array(&[POINTS, 1], xs.clone()));
    let y = Tensor::constant(array(&[POINTS, 1], xs.iter().map(|x| (3.0 * x).sin()).collect()));
    let mut network = Network::new();
    let mut losses: Vec<(f64, f64)> = Vec::new();
    let mut drawn: Vec<Vec<f32>> = Vec::new();
    for step in 0..4000 {
        if step == 0 || step == 100 {
            drawn.push(network.forward(&x).data().to_vec());
        }
        losses.push((f64::from(step), f64::from(network.step(&x, &y, 0.1))));
    }
    drawn.push(network.forward(&x).data().to_vec());
    println!("loss {:.4} at first, {:.6} in the end", losses[0].1, losses[3999].1);
    assert!(losses[3999].1 < losses[0].1 / 100.0);
    // %%
    chart("step", "loss", Axes::LogY, &[line("loss", losses.clone())]).show();
    // %%
    fn pairs(xs: &[f32], ys: &[f32]) -> Vec<(f64, f64)> {
        xs.iter().zip(ys).map(|(&x, &y)| (f64::from(x), f64::from(y))).collect()
    }

    chart(
        "x",
        "y",
        Axes::Linear,
        &[
            dots("sin 3x", pairs(&xs, y.data())),
            line("at first", pairs(&xs, &drawn[0])),
            line("after 100 steps", pairs(&xs, &drawn[1])),
            line("after 4,000", pairs(&xs, &drawn[2])),
        ],
    )
    .show();
    Ok(())
}
