//! Windows: tumbling, aligned to the UNIX epoch.

/// Start and end of the window of this size that a moment lies in.
pub(super) fn window(time: i64, size: i64) -> (i64, i64) {
    // A Kafka timestamp may be any number, also one at the edge of all numbers.
    let start = time.saturating_sub(time.rem_euclid(size));
    (start, start.saturating_add(size))
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn a_window_has_its_start_and_not_its_end() {
        assert_eq!(window(0, 10), (0, 10));
        assert_eq!(window(9, 10), (0, 10));
        assert_eq!(window(10, 10), (10, 20));
    }

    #[test]
    fn windows_before_1970_are_no_mirror_image() {
        assert_eq!(window(-1, 10), (-10, 0));
        assert_eq!(window(-10, 10), (-10, 0));
        assert_eq!(window(-11, 10), (-20, -10));
    }
}
