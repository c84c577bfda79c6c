//! The pipeline's program with its fail points, for tests alone: `FAILPOINTS` in its
//! environment says where it is to end, as [`sinks::fail_points`] tells. With
//! `fail-points` as its only argument it prints the names of all there are. `OWN_VIEW` makes
//! it a program with a view of its own, in one of several forms.

use model::{DataType, Datum, Scalar};
use std::process::ExitCode;
use tidemark::shop;
use tidemark::views::expression::computed;
use tidemark::views::view::{Function, View};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args().skip(1).eq(["fail-points"]) {
        dataflow::fail_points::names().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let _armed = model::arm();
    tidemark::program::main_with(own_views)
}

/// The view `own_sales`, as `OWN_VIEW` says: as it was at first, with a `column` more, with its
/// `group` under another name, or with the column and other `code`, of another version.
fn own_views() -> Vec<View> {
    let Ok(form) = std::env::var("OWN_VIEW") else {
        return Vec::new();
    };
    let view = View::new(
        &shop::transactions(),
        "own_sales",
        "Items sold by product and hour",
    );
    let group = match &*form {
        "group" => "product",
        _ => "product_id",
    };
    let (product, quantity) = (view.column("product_id"), view.column("quantity"));
    let view = view.group_by_expression(group, product);
    let times = match &*form {
        "code" => 2,
        _ => 1,
    };
    // Of the function nothing is known but what is said of it here.
    let items = computed(
        "items",
        DataType::BigInt,
        vec![quantity],
        move |values| match values[0].get() {
            Scalar::Long(quantity) => Ok(Datum::long(times * quantity)),
            _ => Ok(Datum::null()),
        },
    );
    let version = if times == 2 { 2 } else { 1 };
    let view = view
        .version(version)
        .aggregate("items", Function::Sum(items));
    match &*form {
        "column" | "code" => vec![view.count("sales")],
        _ => vec![view],
    }
}
