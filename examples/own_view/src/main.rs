//! A program of one's own: all that `tidemark` does, with one view more.
//!
//! ```sh
//! cargo run -p own-view -- views
//! cargo run -p own-view -- -w 2
//! ```

use std::process::ExitCode;
use tidemark::model::Datum;
use tidemark::views::expression::coalesce;
use tidemark::views::view::View;
use tidemark::{program, shop};

/// As in `tidemark` itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How people pay.
fn payments() -> View {
    let view = View::new(
        &shop::transactions(),
        "payment_analysis",
        "Sales and payers by payment method and hour",
    );
    let method = coalesce(view.column("payment_method"), Datum::text("unknown"));
    view.by_time("date_time")
        .group_by_expression("payment_method", method)
        .count("number_of_sales")
        .unique("unique_customers", "customer_id")
}

fn main() -> ExitCode {
    program::main_with(|| vec![payments()])
}
