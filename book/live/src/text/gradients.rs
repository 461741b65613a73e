//! Gradients: an expression becomes a graph, and gradients flow through it from the result to the variables.

use super::expression::{Binary, Expression, Unary, parse};
use crate::Live;
use crate::number::{Shown, Typed};
use ossia::error::{Error, Result};
use ossia::ops::elementwise;
use ossia::tensor::{Gradients, Tensor, array};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Deserialize)]
pub struct Question {
    expression: String,
    /// The values of variables; all others are 1.
    #[serde(default)]
    values: BTreeMap<String, Typed>,
}

#[derive(Serialize)]
pub struct Answer {
    /// The variables and their values, by name.
    variables: BTreeMap<String, f32>,
    /// The nodes in the order in which they are computed. The last one is the result.
    nodes: Vec<Node>,
    /// The steps of the backward pass.
    steps: Vec<Step>,
    /// The gradients before the first step, by node; `null` if there is none so far.
    start: Vec<Option<Shown>>,
}

#[derive(Serialize)]
struct Node {
    /// The variable or number, or the operation with the names of its inputs.
    text: String,
    name: String,
    value: Shown,
    inputs: Vec<usize>,
    /// Whether the backward pass computes a gradient with respect to this node.
    needs_grad: bool,
}

/// A step of the backward pass: a node passes a gradient to one of its inputs.
#[derive(Serialize)]
struct Step {
    from: usize,
    /// The position among the inputs of `from`.
    input: usize,
    gradient: Shown,
    /// The sums of all gradients that have arrived so far, by node.
    gradients: Vec<Option<Shown>>,
}

pub fn answer(_: &mut Live, question: Question) -> Result<Answer> {
    let mut graph = Graph { values: question.values, ..Graph::default() };
    let result = graph.build(&parse(&question.expression)?)?;
    if !graph.tensors[result].needs_grad() {
        return Err(Error::argument("the expression has no variable, so there is no gradient to compute"));
    }
    let mut now = vec![None; graph.tensors.len()];
    now[result] = Some(Shown(1.0)); // the gradient of the result with respect to itself
    let (start, mut steps) = (now.clone(), Vec::<Step>::new());
    let passed = graph.passed.clone();
    graph.tensors[result].backward_observed(&mut |gradients: &Gradients| {
        // The engine drops the gradient of a node when it visits the node: then the last sum is the whole gradient.
        for (now, tensor) in now.iter_mut().zip(&graph.tensors) {
            if let Some(gradient) = gradients.get(tensor) {
                *now = Some(Shown(gradient.iter().copied().sum()));
            }
        }
        for (from, input, gradient) in passed.lock().expect("no step has panicked").drain(..) {
            steps.push(Step { from, input, gradient: Shown(gradient), gradients: now.clone() });
        }
    });
    Ok(Answer { variables: graph.variables, nodes: graph.nodes, steps, start })
}

/// The graph of an expression.
#[derive(Default)]
struct Graph {
    values: BTreeMap<String, Typed>,
    variables: BTreeMap<String, f32>,
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
    /// The gradients that nodes have passed to their inputs since the last look: node, input, gradient.
    passed: Arc<Mutex<Vec<(usize, usize, f32)>>>,
}

impl Graph {
    /// Adds the nodes of an expression. Returns the index of the last one.
    fn build(&mut self, expression: &Expression) -> Result<usize> {
        match expression {
            Expression::Number(number) => {
                let tensor = Tensor::constant(array(&[], vec![*number]));
                Ok(self.add(number.to_string(), number.to_string(), tensor, Vec::new()))
            }
            Expression::Variable(name) => self.variable(name),
            Expression::Unary(operation, x) => {
                let inputs = [self.build(x)?];
                let [x] = self.watched(&inputs);
                let y = match operation {
                    Unary::Minus => elementwise::scale(&x, -1.0),
                    Unary::Exp => elementwise::exp(&x),
                    Unary::Ln => elementwise::ln(&x),
                    Unary::Sqrt => elementwise::sqrt(&x),
                    Unary::Sigmoid => elementwise::sigmoid(&x),
                };
                let text = operation.write(&self.nodes[inputs[0]].name);
                Ok(self.add_operation(text, y, &inputs))
            }
            Expression::Binary(operation, operands) => {
                let [left, right] = &**operands;
                let inputs = [self.build(left)?, self.build(right)?];
                let [a, b] = self.watched(&inputs);
                let y = match operation {
                    Binary::Add => &a + &b,
                    Binary::Subtract => &a - &b,
                    Binary::Multiply => &a * &b,
                    Binary::Divide => &a / &b,
                };
                let text = operation.write(inputs.map(|input| self.nodes[input].name.as_str()));
                Ok(self.add_operation(text, y, &inputs))
            }
        }
    }

    fn variable(&mut self, name: &str) -> Result<usize> {
        if let Some(known) = self.nodes.iter().position(|node| node.inputs.is_empty() && node.name == name) {
            return Ok(known);
        }
        let value = self.values.get(name).map_or(Ok(1.0), |value| value.single(name))?;
        self.variables.insert(name.into(), value);
        Ok(self.add(name.into(), name.into(), Tensor::parameter(array(&[], vec![value])), Vec::new()))
    }

    /// Returns the inputs of the next node, each behind an operation that returns its input and notes the gradient that the
    /// node passes to it. The backward pass visits the youngest node first, so it visits these right after the node, in the
    /// order of the inputs.
    fn watched<const N: usize>(&self, inputs: &[usize; N]) -> [Tensor; N] {
        let node = self.tensors.len();
        let mut watched = inputs.map(|input| self.tensors[input].clone());
        for (i, tensor) in watched.iter_mut().enumerate().rev() {
            let passed = self.passed.clone();
            *tensor = Tensor::from_op(tensor.value().clone(), &[tensor], || {
                Box::new(move |gradient| {
                    let number = gradient.iter().copied().sum();
                    passed.lock().expect("no step has panicked").push((node, i, number));
                    vec![Some(gradient)]
                })
            });
        }
        watched
    }

    fn add_operation(&mut self, text: String, tensor: Tensor, inputs: &[usize]) -> usize {
        let operations = self.nodes.iter().filter(|node| !node.inputs.is_empty()).count();
        self.add(text, format!("t{}", operations + 1), tensor, inputs.to_vec())
    }

    fn add(&mut self, text: String, name: String, tensor: Tensor, inputs: Vec<usize>) -> usize {
        let (value, needs_grad) = (Shown(tensor.item()), tensor.needs_grad());
        self.nodes.push(Node { text, name, value, inputs, needs_grad });
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }
}
