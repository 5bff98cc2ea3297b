//! Sine and cosine of degrees, from exact operations only. The standard library's come from the platform and may differ
//! in the last bit; generated data must be equal everywhere.

use std::f64::consts::PI;

/// Sine and cosine of `degrees`, off by less than 1e-8.
pub(crate) fn sin_cos_degrees(degrees: f64) -> (f64, f64) {
    (sin_degrees(degrees), sin_degrees(degrees + 90.0))
}

fn sin_degrees(degrees: f64) -> f64 {
    let turned = degrees - 360.0 * (degrees / 360.0).round();
    // Within -180..=180; sine is symmetric around 90, so that -90..=90 is enough.
    let folded = if turned > 90.0 {
        180.0 - turned
    } else if turned < -90.0 {
        -180.0 - turned
    } else {
        turned
    };
    let x = folded * PI / 180.0;
    let square = x * x;
    // Taylor's series to the 13th power: the next term is below 7e-10 at 90 degrees.
    const INVERSE_FACTORIALS: [f64; 6] = [
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5_040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
    ];
    let tail = INVERSE_FACTORIALS
        .iter()
        .rev()
        .fold(0.0, |sum, term| (sum + term) * square);
    x * (1.0 + tail)
}

#[cfg(test)]
mod tests {
    use super::sin_cos_degrees;

    #[test]
    fn agrees_with_the_platform() {
        for tenth in -7200..=7200 {
            let degrees = f64::from(tenth) / 10.0;
            let (sin, cos) = sin_cos_degrees(degrees);
            assert!(
                (sin - degrees.to_radians().sin()).abs() < 1e-8,
                "sine of {degrees}"
            );
            assert!(
                (cos - degrees.to_radians().cos()).abs() < 1e-8,
                "cosine of {degrees}"
            );
        }
    }
}
