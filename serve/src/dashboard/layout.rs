//! What all pages have in common.

use maud::{DOCTYPE, Markup, html};

/// A page. `live` is the path of the events that keep it up to date, and its script, if
/// there are any.
pub(super) fn page(title: &str, live: Option<(&str, &str)>, content: &Markup) -> Markup {
    let (events, script) = live.unzip();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Tidemark" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/uplot.css";
                link rel="stylesheet" href="/assets/dashboard.css";
                script src="/assets/uplot.js" defer {}
                @if let Some(script) = script {
                    script src={ "/assets/" (script) } type="module" {}
                }
            }
            body data-live=[events] {
                a class="skip" href="#content" { "Skip to the content" }
                header {
                    strong { "Tidemark" }
                    nav aria-label="Pages" {
                        @for (path, name) in [("/", "Shop"), ("/pipeline", "Pipeline")] {
                            a href=(path) aria-current=[(name == title).then_some("page")] { (name) }
                        }
                        a href="/api" { "API" }
                    }
                    p id="connection" role="status" hidden {}
                }
                main id="content" tabindex="-1" { h1 { (title) } (content) }
            }
        }
    }
}
