//! Who was here: customers by gender and day of their last login.

use super::view::View;
use events::{Customers, Id};
use model::Window;

/// The view.
pub(super) fn view() -> View<Customers> {
    View::<Customers>::new(
        "customer_analysis",
        "Customers by gender and day of their last login",
    )
    .by_time("last_login", |customer| customer.last_login)
    .windows_of(Window::DAY)
    .window_fields("window.start", "window.end")
    .group_by("gender", |customer| Id::new(&customer.gender))
    .count("total_customers")
    .unique("unique_customers", |customer| customer.customer_id.clone())
    .latest("last_activity", |customer| customer.last_login)
}
