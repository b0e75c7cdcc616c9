//! Quantities of the API (`k8s.io/apimachinery/pkg/api/resource`): decimal numbers with a suffix, read exactly.
//!
//! ```text
//! quantity = [+|-] digits [. digits] (Ki|Mi|Gi|Ti|Pi|Ei | n|u|m|k|M|G|T|P|E | (e|E) [+|-] digits)
//! ```
//! What is not whole is rounded up, as `Quantity.Value()` does; what does not fit is `u64::MAX`; what is negative or no
//! quantity is `None`.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Digits of a fraction that count; what follows them can only round up.
const FRACTION: usize = 15;
/// Largest power of ten of an exponent that is worth computing with: beyond it nothing fits, or nothing is left.
const EXPONENT: i32 = 20;

/// Whole units of a quantity that a person wrote.
pub fn units_of(text: &str) -> Option<u64> {
    parse(text, 1)
}

/// Whole units: bytes.
pub(super) fn units(quantity: &Quantity) -> Option<u64> {
    units_of(&quantity.0)
}

/// Thousandths: of a CPU.
pub(super) fn thousandths(quantity: &Quantity) -> Option<u64> {
    parse(&quantity.0, 1000)
}

fn parse(text: &str, scale: u128) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() + fraction.len() == 0 {
        return None;
    }
    let (up, down) = multiplier(suffix)?;
    let up = up.checked_mul(scale)?;
    Some(value(whole, fraction, up, down))
}

/// `whole.fraction * up / down`, rounded up.
fn value(whole: &str, fraction: &str, up: u128, down: u128) -> u64 {
    let Ok(whole) = (if whole.is_empty() { Ok(0) } else { whole.parse::<u128>() }) else {
        return u64::MAX; // more than 38 digits
    };
    let (kept, rest) = fraction.split_at(fraction.len().min(FRACTION));
    let sticky = u128::from(rest.bytes().any(|digit| digit != b'0'));
    let unit = 10_u128.pow(u32::try_from(kept.len()).unwrap_or(0));
    let part = kept.parse::<u128>().unwrap_or(0) * up + sticky;
    let Some(whole) = whole.checked_mul(up) else {
        return u64::MAX;
    };
    // (whole + part/unit) / down, rounded up once, at the end
    let sum = whole.checked_mul(unit).and_then(|whole| whole.checked_add(part));
    let rounded = match sum {
        Some(sum) => down.checked_mul(unit).map_or(u128::from(sum > 0), |down| sum.div_ceil(down)),
        None => whole.div_ceil(down),
    };
    u64::try_from(rounded).unwrap_or(u64::MAX)
}

fn multiplier(suffix: &str) -> Option<(u128, u128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        _ => return power_of_ten(suffix),
    })
}

fn power_of_ten(suffix: &str) -> Option<(u128, u128)> {
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128.pow(exponent.unsigned_abs().min(EXPONENT.unsigned_abs()));
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SUFFIXES: [(&str, u128, u128); 16] = [
        ("", 1, 1),
        ("n", 1, 1_000_000_000),
        ("u", 1, 1_000_000),
        ("m", 1, 1000),
        ("k", 1000, 1),
        ("M", 1_000_000, 1),
        ("G", 1_000_000_000, 1),
        ("T", 1_000_000_000_000, 1),
        ("Ki", 1024, 1),
        ("Mi", 1_048_576, 1),
        ("Gi", 1_073_741_824, 1),
        ("Ti", 1_099_511_627_776, 1),
        ("e3", 1000, 1),
        ("E2", 100, 1),
        ("e-2", 1, 100),
        ("e+1", 10, 1),
    ];

    #[test]
    fn as_the_api_writes_them() {
        for (text, bytes, milli) in [
            ("128Mi", Some(134_217_728), Some(134_217_728_000)),
            ("1.5Gi", Some(1_610_612_736), Some(1_610_612_736_000)),
            ("100m", Some(1), Some(100)),
            ("1e3", Some(1000), Some(1_000_000)),
            ("1E", Some(1_000_000_000_000_000_000), Some(u64::MAX)),
            ("0.5", Some(1), Some(500)),
            (".5", Some(1), Some(500)),
            ("5.", Some(5), Some(5000)),
            ("+7", Some(7), Some(7000)),
            ("0", Some(0), Some(0)),
            ("0.0000000000000000001", Some(1), Some(1)),
            ("1e-99", Some(1), Some(1)),
            ("99999999999999999999", Some(u64::MAX), Some(u64::MAX)),
            ("16Ei", Some(u64::MAX), Some(u64::MAX)),
            ("-1", None, None),
            ("", None, None),
            (".", None, None),
            ("1.2.3", None, None),
            ("5K", None, None),
            ("Mi", None, None),
            ("1e", None, None),
        ] {
            assert_eq!(units(&Quantity(text.into())), bytes, "{text:?} in units");
            assert_eq!(thousandths(&Quantity(text.into())), milli, "{text:?} in thousandths");
        }
    }

    proptest! {
        #[test]
        fn decimals_are_exact_and_rounded_up(whole in 0_u32.., thousandth in 0_u32..1000, suffix in 0_usize..16) {
            let (name, up, down) = SUFFIXES[suffix];
            let exact = (u128::from(whole) * 1000 + u128::from(thousandth)) * up; // thousandths, times `down`
            let text = Quantity(format!("{whole}.{thousandth:03}{name}"));
            prop_assert_eq!(units(&text), Some(u64::try_from(exact.div_ceil(1000 * down)).unwrap_or(u64::MAX)));
            prop_assert_eq!(thousandths(&text), Some(u64::try_from(exact.div_ceil(down)).unwrap_or(u64::MAX)));
        }

        #[test]
        fn no_input_panics(text in "[+-]?[0-9.]{0,45}[a-zA-Z+-]{0,3}[0-9]{0,4}") {
            let _ = (units(&Quantity(text.clone())), thousandths(&Quantity(text)));
        }
    }
}
