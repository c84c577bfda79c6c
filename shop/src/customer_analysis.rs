//! Who was here: customers by gender and day of their last login.

use dataflow::views::view::View;
use model::Window;

/// The view.
pub(super) fn view() -> View {
    View::new(
        &super::customers(),
        "customer_analysis",
        "Customers by gender and day of their last login",
    )
    .by_time("last_login")
    .windows_of(Window::DAY)
    .window_fields("window.start", "window.end")
    .group_by("gender")
    .count("total_customers")
    .unique("unique_customers", "customer_id")
    .max("last_activity", "last_login")
}
