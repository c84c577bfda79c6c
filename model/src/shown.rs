//! Times as people read them.

use jiff::Timestamp;

/// A time in microseconds as people read it; as a number where no calendar has it.
pub fn shown(micros: i64) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(time) => time.to_string(),
        Err(_) => format!("{micros} µs after 1970"),
    }
}
