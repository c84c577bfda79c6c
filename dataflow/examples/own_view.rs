//! A program of one's own: all that `tidemark` does, with one view more.
//!
//! ```sh
//! cargo run --example own_view -- -w 2
//! cargo run --example own_view -- views
//! ```

use std::process::ExitCode;
use tidemark::events::{Id, Transactions};
use tidemark::program;
use tidemark::views::view::View;

/// How people pay: sales, items and payers by payment method and hour.
fn payments() -> View<Transactions> {
    View::<Transactions>::new(
        "payment_analysis",
        "Sales, items and payers by payment method and hour",
    )
    .by_time("date_time", |sale| sale.date_time)
    .group_by("payment_method", |sale| {
        let method = sale.payment_method.as_deref();
        Id::new(method.unwrap_or("unknown"))
    })
    .count("number_of_sales")
    .sum("total_quantity", |sale| sale.quantity)
    .unique("unique_customers", |sale| sale.customer_id.clone())
}

fn main() -> ExitCode {
    program::main_with(|| vec![payments().into()])
}
