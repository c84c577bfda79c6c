//! Tidemark with the four views that it took over, and without those that came later.

use std::process::ExitCode;
use tidemark::program;
use tidemark::shop::ProgramViews;

/// As in `tidemark` itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    program::main_of(ProgramViews::only(|name| {
        [
            "customer_analysis",
            "product_analysis",
            "sales_analysis",
            "product_views_analysis",
        ]
        .contains(&name)
    }))
}
