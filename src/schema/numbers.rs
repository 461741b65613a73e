//! Expresses ranges of numbers as regular expressions over decimal digits.
//!
//! Doubles distinguish decimals of up to 15 significant digits and keep their order. So a number that is written within
//! a range is also read within it, as long as it has no more digits than that.

/// The number of decimal digits that a double keeps.
const DIGITS: usize = 15;
/// The largest number of digits after the point.
const FRACTION: usize = 6;

/// A bound with more digits than can be enforced.
#[derive(Debug, thiserror::Error)]
pub enum BoundError {
    /// The bound has more digits before the point than a double distinguishes.
    #[error("a bound beyond 10^{}, which doubles do not distinguish", DIGITS - 1)]
    Magnitude,
    /// The bound, or its exponent, has too many digits.
    #[error("the bound {0} has too many digits")]
    Digits(String),
    /// The bound has more digits after the point than numbers are written with.
    #[error("a bound with more than {0} digits after the point")]
    Decimals(u32),
}

/// The bounds as they are written in a schema.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds<'a> {
    /// The value of `minimum`.
    pub least: Option<&'a str>,
    /// The value of `exclusiveMinimum`.
    pub above: Option<&'a str>,
    /// The value of `maximum`.
    pub most: Option<&'a str>,
    /// The value of `exclusiveMaximum`.
    pub below: Option<&'a str>,
}

/// Returns regular expressions, all of which a number has to match.
///
/// # Errors
/// If a bound has more digits than can be distinguished.
pub fn regexes(integer: bool, bounds: Bounds<'_>) -> Result<Vec<String>, BoundError> {
    let all = [bounds.least, bounds.above, bounds.most, bounds.below];
    let decimals = all.iter().flatten().map(|text| Decimal::parse(text)).collect::<Result<Vec<_>, _>>()?;
    if decimals.is_empty() {
        return Ok(vec![if integer {
            "-?(?:0|[1-9][0-9]{0,17})".into()
        } else {
            r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?".into()
        }]);
    }
    // Allows one digit more than the bounds have, so that a single bound leaves room beyond it.
    let whole = decimals.iter().map(|d| d.whole().to_string().trim_start_matches('-').len()).max().unwrap_or(1) + 1;
    let fraction = if integer { 0 } else { DIGITS.saturating_sub(whole).min(FRACTION) };
    if whole > DIGITS {
        return Err(BoundError::Magnitude);
    }
    let format = NumberFormat { whole, fraction };
    let mut regexes = vec![format!("-?{}", format.any())];
    for (bound, up, exclusive) in [
        (bounds.least, true, false),
        (bounds.above, true, true),
        (bounds.most, false, false),
        (bounds.below, false, true),
    ] {
        let Some(bound) = bound else { continue };
        let decimal = Decimal::parse(bound)?;
        regexes.push(format.half_line(decimal.units(fraction, integer, up, exclusive)?, up));
    }
    Ok(regexes)
}

/// A decimal number: its digits, and how many of them are after the point.
struct Decimal {
    digits: i128,
    behind: u32,
}

impl Decimal {
    fn parse(text: &str) -> Result<Self, BoundError> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let far = || BoundError::Digits(text.to_string());
        let exponent = exponent.parse::<i64>().map_err(|_| far())? - fraction.len() as i64;
        if exponent.abs() > 20 || whole.len() + fraction.len() > 20 {
            return Err(far());
        }
        let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| far())?;
        Ok(match exponent {
            0.. => Self { digits: digits * 10i128.pow(exponent as u32), behind: 0 },
            _ => Self { digits, behind: -exponent as u32 },
        })
    }

    /// Returns the integer part.
    fn whole(&self) -> i128 {
        self.digits / 10i128.pow(self.behind)
    }

    /// Returns the first number in the range, or the last, in units of the last written digit.
    fn units(&self, fraction: usize, integer: bool, up: bool, exclusive: bool) -> Result<i128, BoundError> {
        let fraction = fraction as u32;
        if self.behind > fraction && !integer {
            return Err(BoundError::Decimals(fraction));
        }
        if self.behind <= fraction {
            let exact = self.digits * 10i128.pow(fraction - self.behind);
            return Ok(exact + if exclusive { if up { 1 } else { -1 } } else { 0 });
        }
        // The numbers are integers, but the bound is not.
        let scale = 10i128.pow(self.behind - fraction);
        let floor = self.digits.div_euclid(scale);
        let exact = self.digits.rem_euclid(scale) == 0;
        Ok(match (exact, up) {
            (true, _) => floor + if exclusive { if up { 1 } else { -1 } } else { 0 },
            (false, true) => floor + 1,
            (false, false) => floor,
        })
    }
}

/// The largest number of digits before and after the point.
struct NumberFormat {
    whole: usize,
    fraction: usize,
}

impl NumberFormat {
    /// Matches all numbers without a sign.
    fn any(&self) -> String {
        format!("(?:0|[1-9][0-9]{{0,{}}}){}", self.whole - 1, self.any_fraction())
    }

    fn any_fraction(&self) -> String {
        if self.fraction == 0 { String::new() } else { format!(r"(?:\.[0-9]{{1,{}}})?", self.fraction) }
    }

    /// Matches all numbers from `units` up, or down.
    fn half_line(&self, units: i128, up: bool) -> String {
        match (units < 0, up) {
            (false, true) => self.at_least(units),
            (false, false) => format!("(?:-{}|{})", self.any(), self.at_most(units)),
            (true, true) => format!("(?:{}|-{})", self.any(), self.at_most(-units)),
            (true, false) => format!("-{}", self.at_least(-units)),
        }
    }

    /// Returns the digits before the point and those after it.
    fn split(&self, units: i128) -> (String, String) {
        let scale = 10i128.pow(self.fraction as u32);
        let fraction =
            if self.fraction == 0 { String::new() } else { format!("{:0w$}", units % scale, w = self.fraction) };
        ((units / scale).to_string(), fraction)
    }

    /// Matches the numbers without a sign that are at least `units`: those with more digits, those that are larger in
    /// the first different digit, and those with the same integer part and a fraction that is at least as large.
    fn at_least(&self, units: i128) -> String {
        let (whole, fraction) = self.split(units);
        let mut ways = Vec::new();
        if whole.len() < self.whole {
            ways.push(format!("[1-9][0-9]{{{},{}}}{}", whole.len(), self.whole - 1, self.any_fraction()));
        }
        for (at, digit) in whole.bytes().enumerate().filter(|(_, digit)| *digit < b'9') {
            let rest = whole.len() - at - 1;
            ways.push(format!("{}[{}-9][0-9]{{{rest}}}{}", &whole[..at], char::from(digit + 1), self.any_fraction()));
        }
        let mut behind = Vec::new();
        for (at, digit) in fraction.bytes().enumerate().filter(|(_, digit)| *digit < b'9') {
            let rest = self.fraction - at - 1;
            behind.push(format!("{}[{}-9][0-9]{{0,{rest}}}", &fraction[..at], char::from(digit + 1)));
        }
        ways.push(same(&whole, &fraction, behind));
        format!("(?:{})", ways.join("|"))
    }

    /// Matches the numbers without a sign that are at most `units`.
    fn at_most(&self, units: i128) -> String {
        let (whole, fraction) = self.split(units);
        let mut ways = Vec::new();
        if whole.len() > 1 {
            ways.push(format!("(?:0|[1-9][0-9]{{0,{}}}){}", whole.len() - 2, self.any_fraction()));
        }
        for (at, digit) in whole.bytes().enumerate() {
            let first = if at == 0 && whole.len() > 1 { b'1' } else { b'0' };
            if digit > first {
                let (rest, last) = (whole.len() - at - 1, char::from(digit - 1));
                let first = char::from(first);
                ways.push(format!("{}[{first}-{last}][0-9]{{{rest}}}{}", &whole[..at], self.any_fraction()));
            }
        }
        let mut behind: Vec<String> = (1..self.fraction).map(|n| fraction[..n].to_string()).collect();
        for (at, digit) in fraction.bytes().enumerate().filter(|(_, digit)| *digit > b'0') {
            let rest = self.fraction - at - 1;
            behind.push(format!("{}[0-{}][0-9]{{0,{rest}}}", &fraction[..at], char::from(digit - 1)));
        }
        let way = same(&whole, &fraction, behind);
        // A number without a fraction is smaller or equal.
        ways.push(if fraction.is_empty() { way } else { format!("{way}|{whole}") });
        format!("(?:{})", ways.join("|"))
    }
}

/// Matches the digits `whole` with this fraction, whose trailing zeros are optional, or with one of the `others`.
fn same(whole: &str, fraction: &str, mut others: Vec<String>) -> String {
    let short = fraction.trim_end_matches('0');
    let zeros = fraction.len() - short.len();
    if !short.is_empty() {
        others.push(format!("{short}0{{0,{zeros}}}"));
    } else if zeros > 0 {
        others.push(format!("0{{1,{zeros}}}"));
    }
    let behind = if others.is_empty() { String::new() } else { format!(r"\.(?:{})", others.join("|")) };
    match short.is_empty() && !behind.is_empty() {
        true => format!("{whole}(?:{behind})?"),
        false => format!("{whole}{behind}"),
    }
}
