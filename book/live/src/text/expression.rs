//! Expressions that readers type, such as `a*b + exp(a)`.
//!
//! ```text
//! sum      = product {("+" | "-") product}
//! product  = factor {("*" | "/") factor}
//! factor   = "-" factor | "(" sum ")" | number | variable | function "(" sum ")"
//! ```

use ossia::error::{Error, Result};

/// The longest expression, in characters. It also limits how deep the parser calls itself.
const LONGEST: usize = 200;

/// An expression as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Number(f32),
    Variable(String),
    Unary(Unary, Box<Expression>),
    Binary(Binary, Box<[Expression; 2]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    Minus,
    Exp,
    Ln,
    Sqrt,
    Sigmoid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Unary {
    const FUNCTIONS: [(&'static str, Unary); 4] =
        [("exp", Unary::Exp), ("ln", Unary::Ln), ("sqrt", Unary::Sqrt), ("sigmoid", Unary::Sigmoid)];

    /// Writes the operation with its operand.
    pub fn write(self, operand: &str) -> String {
        let function = Self::FUNCTIONS.iter().find(|(_, unary)| *unary == self);
        function.map_or_else(|| format!("−{operand}"), |(name, _)| format!("{name}({operand})"))
    }
}

impl Binary {
    /// Writes the operation with its operands.
    pub fn write(self, [left, right]: [&str; 2]) -> String {
        let sign = match self {
            Binary::Add => '+',
            Binary::Subtract => '−',
            Binary::Multiply => '·',
            Binary::Divide => '/',
        };
        format!("{left} {sign} {right}")
    }
}

/// Parses an expression.
///
/// # Errors
/// If it is not one. The message says at which character, counted from 1.
pub fn parse(text: &str) -> Result<Expression> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() > LONGEST {
        let length = characters.len();
        return Err(Error::argument(format!("the expression has {length} characters, expected at most {LONGEST}")));
    }
    let mut parser = Parser { characters, at: 0 };
    let expression = parser.sum()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

impl Parser {
    fn sum(&mut self) -> Result<Expression> {
        let mut left = self.product()?;
        loop {
            let operation = match self.peek() {
                Some('+') => Binary::Add,
                Some('-' | '−') => Binary::Subtract,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Binary(operation, Box::new([left, self.product()?]));
        }
    }

    fn product(&mut self) -> Result<Expression> {
        let mut left = self.factor()?;
        loop {
            let operation = match self.peek() {
                Some('*' | '·') => Binary::Multiply,
                Some('/') => Binary::Divide,
                _ => return Ok(left),
            };
            self.at += 1;
            left = Expression::Binary(operation, Box::new([left, self.factor()?]));
        }
    }

    fn factor(&mut self) -> Result<Expression> {
        match self.peek() {
            Some('-' | '−') => {
                self.at += 1;
                Ok(Expression::Unary(Unary::Minus, Box::new(self.factor()?)))
            }
            Some('(') => self.in_parentheses(),
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.name(),
            _ => Err(self.unexpected("a number, a variable, a function or “(”")),
        }
    }

    fn in_parentheses(&mut self) -> Result<Expression> {
        self.at += 1;
        let inside = self.sum()?;
        if self.peek() != Some(')') {
            return Err(self.unexpected("an operator or “)”"));
        }
        self.at += 1;
        Ok(inside)
    }

    fn number(&mut self) -> Result<Expression> {
        let start = self.at;
        let text = self.take(|c| c.is_ascii_digit() || c == '.');
        match text.parse() {
            Ok(number) if f32::is_finite(number) => Ok(Expression::Number(number)),
            _ => Err(Error::argument(format!("character {}: {text} is not a number of f32", start + 1))),
        }
    }

    /// Reads a variable or a function.
    fn name(&mut self) -> Result<Expression> {
        let start = self.at;
        let name = self.take(|c| c.is_ascii_alphanumeric() || c == '_');
        if self.peek() != Some('(') {
            return Ok(Expression::Variable(name));
        }
        match Unary::FUNCTIONS.iter().find(|(function, _)| *function == name) {
            Some(&(_, function)) => Ok(Expression::Unary(function, Box::new(self.in_parentheses()?))),
            None => {
                let known = Unary::FUNCTIONS.map(|(name, _)| name).join(", ");
                Err(Error::argument(format!("character {}: {name} is not one of the functions {known}", start + 1)))
            }
        }
    }

    /// Returns the next character that is not a space.
    fn peek(&mut self) -> Option<char> {
        while self.characters.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.characters.get(self.at).copied()
    }

    fn take(&mut self, belongs: fn(char) -> bool) -> String {
        let text: String = self.characters[self.at..].iter().take_while(|&&c| belongs(c)).collect();
        self.at += text.len(); // ASCII
        text
    }

    fn unexpected(&self, expected: &str) -> Error {
        let found = self.characters.get(self.at).map_or("the end".into(), |c| format!("“{c}”"));
        Error::argument(format!("character {}: found {found}, expected {expected}", self.at + 1))
    }
}
