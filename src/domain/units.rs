//! How quantities are written on screen and in evidence. One function a quantity, so that it looks the same everywhere.

use std::time::Duration;

const KIB: f64 = 1024.0;

/// Bytes with their binary unit: `512 B`, `611 MiB`, `21.3 GiB`, `1.8 TiB`.
pub fn bytes(count: u64) -> String {
    scaled(count as f64, KIB, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], " ")
}

/// Bytes in a narrow column: `611M`, `20.8G`, `1.8T` (binary units).
pub fn bytes_short(count: u64) -> String {
    // Tenths of a MiB are noise in a column.
    if count < 1_000 << 20 {
        let (value, unit) = match count {
            0..1_000 => return format!("{count}B"),
            1_000..1_024_000 => (count as f64 / KIB, "K"),
            _ => (count as f64 / (KIB * KIB), "M"),
        };
        return format!("{value:.0}{unit}");
    }
    scaled(count as f64, KIB, &["B", "K", "M", "G", "T", "P"], "")
}

/// A length of time in a narrow column: `9 ms`, `410 ms`, `1.8 s`, `12 s`, `2.5 min`.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        ..0.9995 => format!("{:.0} ms", seconds * 1e3),
        0.9995..9.95 => format!("{seconds:.1} s"),
        9.95..119.5 => format!("{seconds:.0} s"),
        _ => format!("{:.1} min", seconds / 60.0),
    }
}

/// A number of parameters as models are named: `134.5M`, `8.0B`.
pub fn parameters(count: u64) -> String {
    let count = count as f64;
    let (scaled, unit) = if count >= 999.95e6 { (count / 1e9, 'B') } else { (count / 1e6, 'M') };
    format!("{scaled:.1}{unit}")
}

/// A rate in decimal units, as network gear counts: `1.2 MB/s`; `0 B/s` when nothing moves.
pub fn rate(bytes_per_second: f64) -> String {
    let mut text = scaled(bytes_per_second.max(0.0), 1000.0, &["B", "kB", "MB", "GB", "TB"], " ");
    text.push_str("/s");
    text
}

/// `used/total` with one unit: `21.3/24 GiB`.
pub fn bytes_of(used: u64, total: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut power, mut unit) = (0, 1.0);
    let mut top = total as f64;
    while top >= KIB && power + 1 < units.len() {
        top /= KIB;
        unit *= KIB;
        power += 1;
    }
    let used = used as f64 / unit;
    let total =
        if (top - top.round()).abs() < 0.05 || top >= 100.0 { format!("{top:.0}") } else { format!("{top:.1}") };
    let used = if used >= 99.95 { format!("{used:.0}") } else { format!("{used:.1}") };
    format!("{used}/{total} {}", units[power])
}

/// A ratio as a whole percentage: `63%`. Rounds, but never to 100 or 0 what is neither.
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let shown = percent.round();
    let shown = if shown >= 100.0 && percent < 100.0 {
        99.0
    } else if shown <= 0.0 && percent >= 0.5 {
        1.0
    } else {
        shown
    };
    format!("{shown:.0}%")
}

/// A ratio as a percentage with one decimal: `0.4%`.
pub fn percent_fine(ratio: f64) -> String {
    format!("{:.1}%", ratio * 100.0)
}

/// A duration in its largest unit: `41d`, `7h`, `12m`, `9s`.
pub fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m", seconds / 60),
        3_600..=86_399 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A duration in words for a sentence: `5 min`, `3 h`, `12 d`, `45 s`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A value of a metric in the unit that its name ends in (Prometheus documentation, *Metric and label naming*): `410 ms`,
/// `62 °C`, `54.0 tokens/s`; of a metric without one, the number.
pub fn quantity(metric: &str, value: f64) -> String {
    let ends = |with: &str| metric.ends_with(with);
    if ends("_bytes_per_second") {
        rate(value)
    } else if ends("_tokens_per_second") {
        format!("{value:.1} tokens/s")
    } else if ends("_per_second") {
        format!("{value:.2}/s")
    } else if ends("_seconds") {
        seconds(value)
    } else if ends("_bytes") {
        bytes(value.max(0.0) as u64)
    } else if ends("_ratio") {
        percent_fine(value)
    } else if ends("_celsius") {
        format!("{value:.0} °C")
    } else if ends("_watts") {
        format!("{value:.0} W")
    } else if ends("_hertz") {
        format!("{:.0} MHz", value / 1e6)
    } else if value.abs() < 100.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.0}")
    }
}

/// Picks the largest unit below `value` and writes three significant digits at most.
fn scaled(value: f64, step: f64, units: &[&str], gap: &str) -> String {
    let mut value = value;
    let mut power = 0;
    // 999.5 would be written as 1000, so the next unit begins there.
    while value >= step.min(999.5) && power + 1 < units.len() {
        value /= step;
        power += 1;
    }
    if power == 0 || value >= 99.95 {
        format!("{value:.0}{gap}{}", units[power])
    } else {
        format!("{value:.1}{gap}{}", units[power])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_written_as_models_are_named() {
        assert_eq!(parameters(134_515_008), "134.5M");
        assert_eq!(parameters(8_030_261_248), "8.0B");
        assert_eq!(parameters(999_990_000), "1.0B");
    }

    #[test]
    fn bytes_take_the_unit_that_reads_best() {
        let cases = [
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1.0 KiB"),
            (1024, "1.0 KiB"),
            (611 << 20, "611 MiB"),
            (1023 << 20, "1.0 GiB"),
            (22_871_000_000, "21.3 GiB"),
            (u64::MAX, "16384 PiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn a_narrow_column_has_tenths_only_where_they_matter() {
        let cases = [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1K"),
            (12 << 20, "12M"),
            (999 << 20, "999M"),
            (1_000 << 20, "1.0G"),
            (2_000 << 30, "2.0T"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes_short(count), text, "{count}");
        }
    }

    #[test]
    fn a_value_is_written_in_the_unit_of_its_metric() {
        let cases = [
            ("inference_ttft_seconds", 0.41, "410 ms"),
            ("inference_generation_speed_tokens_per_second", 54.03, "54.0 tokens/s"),
            ("inference_requests_per_second", 2.0, "2.00/s"),
            ("network_received_bytes_per_second", 1.2e6, "1.2 MB/s"),
            ("memory_used_bytes", 1024.0, "1.0 KiB"),
            ("inference_error_ratio", 0.004, "0.4%"),
            ("gpu_temperature_celsius", 61.7, "62 °C"),
            ("gpu_power_watts", 350.2, "350 W"),
            ("gpu_sm_clock_hertz", 2.52e9, "2520 MHz"),
            ("load_average", 1.5, "1.50"),
            ("container_pids", 211.4, "211"),
        ];
        for (metric, value, text) in cases {
            assert_eq!(quantity(metric, value), text, "{metric}");
        }
    }

    #[test]
    fn a_part_takes_the_unit_of_the_whole() {
        assert_eq!(bytes_of(22_870_000_000, 24 << 30), "21.3/24 GiB");
        assert_eq!(bytes_of(200 << 20, 8 << 30), "0.2/8 GiB");
        assert_eq!(bytes_of(0, 0), "0.0/0 B");
    }

    #[test]
    fn a_percentage_never_rounds_to_a_claim() {
        assert_eq!(percent(0.999), "99%");
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(0.006), "1%");
        assert_eq!(percent(0.0), "0%");
    }

    #[test]
    fn ages_are_one_unit() {
        assert_eq!(age(Duration::from_secs(59)), "59s");
        assert_eq!(age(Duration::from_hours(41 * 24)), "41d");
        assert_eq!(span(Duration::from_mins(5)), "5 min");
    }
}
