pub fn accumulate(x: &[f32], y: &[f32]) -> [[f32; 8]; 4] {
    let mut registers = [[0.0; 8]; 4];
    for (group, (x, y)) in x.chunks(8).zip(y.chunks(8)).enumerate() {
        for ((sum, &x), &y) in registers[group % 4].iter_mut().zip(x).zip(y) {
            *sum = x.mul_add(y, *sum);
        }
    }
    registers
}

pub fn sum_of_lanes([a, b, c, d]: [[f32; 8]; 4]) -> f32 {
    let mut lanes: [f32; 8] = std::array::from_fn(|i| (a[i] + b[i]) + (c[i] + d[i]));
    for half in [4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

pub fn reduce(x: f32) -> (i32, f32) {
    let n = (x * std::f32::consts::LOG2_E).round();
    let r = n.mul_add(-355.0 / 512.0, x);
    (n as i32, n.mul_add(2.121_944_4e-4, r))
}

pub fn exp(x: f32) -> f32 {
    if x < -87.0 {
        return 0.0;
    }
    let (n, r) = reduce(x);
    let mut p = 1.0 / 5040.0;
    for coefficient in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, coefficient);
    }
    p * f32::from_bits(((n + 127) as u32) << 23)
}
