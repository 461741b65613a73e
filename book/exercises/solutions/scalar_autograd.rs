use crate::scalar::Number;

pub fn add(a: &Number, b: &Number) -> Number {
    Number::computed(a.value() + b.value(), vec![(a.clone(), 1.0), (b.clone(), 1.0)])
}

pub fn mul(a: &Number, b: &Number) -> Number {
    Number::computed(a.value() * b.value(), vec![(a.clone(), b.value()), (b.clone(), a.value())])
}

pub fn exp(a: &Number) -> Number {
    let value = a.value().exp();
    Number::computed(value, vec![(a.clone(), value)])
}

pub fn backward(result: &Number) {
    let mut order = Vec::new();
    visit(result, &mut order);
    result.gradient().set(1.0);
    for number in order.iter().rev() {
        for (input, slope) in number.inputs() {
            input.gradient().set(input.gradient().get() + number.gradient().get() * slope);
        }
    }
}

/// Lists a number and all numbers that it was computed from: inputs before results, each once.
fn visit(number: &Number, order: &mut Vec<Number>) {
    if !order.iter().any(|other| other.is(number)) {
        number.inputs().iter().for_each(|(input, _)| visit(input, order));
        order.push(number.clone());
    }
}
