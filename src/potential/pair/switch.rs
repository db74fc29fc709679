//! A switch that takes a pair's energy smoothly to zero.

/// S(x) = 1 for x < 0,  1 - 10 x^3 + 15 x^4 - 6 x^5 for 0 <= x < 1,  0 beyond;  x = (r - on) / width.
///
/// Value, slope and curvature go over without a jump at both ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Switch {
    /// Distance (angstrom) at which it begins.
    pub on: f64,
    /// Length (angstrom) over which it goes to zero.
    pub width: f64,
}

impl Switch {
    /// The same as C++ text: `switched(r, on, width, value, slope)`.
    #[cfg(feature = "cuda")]
    pub const SOURCE: &str = include_str!("switch.cu");

    /// S at a distance (angstrom) and dS/dr (1 / angstrom).
    pub fn at(self, distance: f64) -> [f64; 2] {
        let x = (distance - self.on) / self.width;
        if x <= 0.0 {
            return [1.0, 0.0];
        }
        if x >= 1.0 {
            return [0.0, 0.0];
        }
        let value = 1.0 - x * x * x * (10.0 + x * (6.0 * x - 15.0));
        let slope = -30.0 * (x * (1.0 - x)).powi(2) / self.width;
        [value, slope]
    }
}

#[cfg(test)]
mod tests {
    use super::Switch;

    /// Whole up to its beginning, a half in the middle, nothing from its end on; the slope is that of the value.
    #[test]
    fn goes_smoothly_from_one_to_zero() {
        let switch = Switch {
            on: 0.5,
            width: 0.25,
        };
        assert_eq!(switch.at(0.5), [1.0, 0.0]);
        assert_eq!(switch.at(0.625)[0], 0.5);
        for beyond in [0.75, 0.8, 7.0] {
            assert_eq!(switch.at(beyond), [0.0, 0.0]);
        }
        for r in [0.501, 0.56, 0.625, 0.7, 0.749] {
            const STEP: f64 = 1e-5;
            let slope = (switch.at(r + STEP)[0] - switch.at(r - STEP)[0]) / (2.0 * STEP);
            // The third derivative, 60 / width^3 at most, times the step squared over 6; rounding of values of one.
            let error = 60.0 / 0.25f64.powi(3) * STEP * STEP / 6.0 + 1e-16 / STEP;
            assert!((slope - switch.at(r)[1]).abs() < 2.0 * error, "{r}");
        }
        // Its value leaves 1 as the cube of the distance from its beginning.
        assert!(1.0 - switch.at(0.5 + 1e-4)[0] < 11.0 * (1e-4 / 0.25f64).powi(3));
    }
}
