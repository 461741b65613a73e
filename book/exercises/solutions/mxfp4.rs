const VALUES: [f32; 8] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];

pub fn decode(codes: &[u8; 16], scale: u8) -> [f32; 32] {
    let factor = if scale == 255 { f64::NAN } else { f64::from(i32::from(scale) - 127).exp2() };
    std::array::from_fn(|i| {
        let code = codes[i / 2] >> (4 * (i % 2)) & 15;
        let size = f64::from(VALUES[usize::from(code & 7)]) * factor;
        (if code < 8 { size } else { -size }) as f32
    })
}

pub fn encode(numbers: &[f32; 32]) -> ([u8; 16], u8) {
    let largest = numbers.iter().fold(0.0, |largest: f64, &x| largest.max(f64::from(x).abs()));
    let exponent = if largest == 0.0 { -127.0 } else { (largest.log2().floor() - 2.0).clamp(-127.0, 127.0) };
    let mut codes = [0; 16];
    for (i, &x) in numbers.iter().enumerate() {
        let size = f64::from(x).abs() / exponent.exp2();
        let distance = |code: &usize| (size - f64::from(VALUES[*code])).abs();
        // The nearest value; of two equally near ones, that with the even code.
        let nearest = (0..8).min_by(|a, b| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2))));
        let code = nearest.unwrap_or(0) as u8 | u8::from(x.is_sign_negative()) << 3;
        codes[i / 2] |= code << (4 * (i % 2));
    }
    (codes, (exponent + 127.0) as u8)
}
