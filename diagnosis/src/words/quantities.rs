//! Numbers with their units.

use std::time::Duration;

/// `14 times in 3.2 s`.
pub fn times(count: u64, span: Duration) -> String {
    if span < Duration::from_millis(1) { format!("{count} times") } else { format!("{count} times in {}", duration(span)) }
}

/// A time span with two digits that matter: `0.4 ms`, `12 ms`, `3.2 s`, `2 min 5 s`, `1 h 5 min`.
pub fn duration(span: Duration) -> String {
    let (millis, seconds) = (span.as_millis(), span.as_secs());
    match (millis, seconds) {
        (0, _) => format!("{}.{} ms", span.as_micros() / 1000, span.as_micros() % 1000 / 100),
        (..1000, _) => format!("{millis} ms"),
        (_, ..10) => format!("{}.{} s", seconds, millis % 1000 / 100),
        (_, ..60) => format!("{seconds} s"),
        (_, ..3600) => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// An amount of memory or storage in binary units, with one decimal below ten: `512 B`, `1.5 GiB`, `64 MiB`.
pub fn bytes(amount: u64) -> String {
    let (unit, name) = match amount {
        0..0x400 => return format!("{amount} B"),
        0x400..0x10_0000 => (1 << 10, "KiB"),
        0x10_0000..0x4000_0000 => (1 << 20, "MiB"),
        0x4000_0000..0x100_0000_0000 => (1_u64 << 30, "GiB"),
        0x100_0000_0000.. => (1_u64 << 40, "TiB"),
    };
    let (whole, tenth) = (amount / unit, amount % unit * 10 / unit);
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth} {name}") } else { format!("{whole} {name}") }
}

/// `1 file`, `3 files`.
pub fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`: at most `shown`, each once, in their order.
pub fn list<S: AsRef<str>>(things: impl IntoIterator<Item = S>, shown: usize) -> String {
    let mut all: Vec<String> = Vec::new();
    for thing in things {
        if !all.iter().any(|known| known == thing.as_ref()) {
            all.push(thing.as_ref().to_owned());
        }
    }
    if all.len() > shown {
        let more = all.len() - shown;
        all.truncate(shown);
        all.push(format!("{more} more"));
    }
    match all.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let cases = [
            (0, "0.0 ms"),
            (450_000, "0.4 ms"),
            (12_000_000, "12 ms"),
            (3_290_000_000, "3.2 s"),
            (15_600_000_000, "15 s"),
            (125_000_000_000, "2 min 5 s"),
            (3_900_000_000_000, "1 h 5 min"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected);
        }
        assert_eq!(times(3, Duration::ZERO), "3 times");
        assert_eq!(times(3, Duration::from_secs(2)), "3 times in 2.0 s");
    }

    #[test]
    fn amounts() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (64 << 20, "64 MiB"), (3 << 29, "1.5 GiB"), (u64::MAX, "16777215 TiB")];
        for (amount, expected) in cases {
            assert_eq!(bytes(amount), expected);
        }
        assert_eq!(plural(1, "inode"), "1 inode");
        assert_eq!(plural(0, "inode"), "0 inodes");
    }

    #[test]
    fn lists_are_bounded_and_say_each_thing_once() {
        assert_eq!(list(Vec::<String>::new(), 3), "");
        assert_eq!(list(["a"], 3), "a");
        assert_eq!(list(["a", "b", "a"], 3), "a and b");
        assert_eq!(list(["a", "b", "c"], 3), "a, b and c");
        assert_eq!(list(["a", "b", "c", "d", "e"], 3), "a, b, c and 2 more");
    }
}
