//! A program of one's own: all that `tidemark` does, with one view more.
//!
//! ```sh
//! cargo run -p own-view -- views
//! cargo run -p own-view -- -w 2
//! ```

use std::process::ExitCode;
use tidemark::events::{Id, Transactions};
use tidemark::program;
use tidemark::views::view::View;

/// As in `tidemark` itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How people pay.
fn payments() -> View<Transactions> {
    View::<Transactions>::new(
        "payment_analysis",
        "Sales and payers by payment method and hour",
    )
    .by_time("date_time", |sale| sale.date_time)
    .group_by("payment_method", |sale| {
        let method = sale.payment_method.as_deref();
        Id::new(method.unwrap_or("unknown"))
    })
    .count("number_of_sales")
    .unique("unique_customers", |sale| sale.customer_id.clone())
}

fn main() -> ExitCode {
    program::main_with(|| vec![payments().into()])
}
