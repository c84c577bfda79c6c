//! A race as a picture: events per CPU-second of all who ran and MongoDB for them, each with
//! its spread.

use super::contestant::Contestant;
use super::measure::Cost;
use super::report::{Results, Spread};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const WIDTH: u32 = 760;
/// Pixels of a contestant.
const LANE: u32 = 34;
/// Pixels above, and for the scale below.
const MARGINS: u32 = 100;
const BAR: RGBColor = RGBColor(31, 119, 180);

/// Writes the picture as SVG. The scale is logarithmic: a bare consumer and a peer are far
/// apart.
///
/// # Errors
/// Nobody has run; the file cannot be written.
pub fn draw(results: &Results, order: &[Contestant], file: &Path) -> Result<(), Box<dyn Error>> {
    #[allow(clippy::cast_precision_loss, reason = "of a few million")]
    let events = results.events as f64;
    let rates: Vec<(&str, Spread)> = order
        .iter()
        .filter_map(|who| {
            let cpu = results.spread(*who, Cost::whole)?;
            let rate = Spread {
                median: events / cpu.median,
                least: events / cpu.greatest,
                greatest: events / cpu.least,
            };
            Some((who.name(), rate))
        })
        .collect();
    let least = rates.iter().map(|(_, rate)| rate.least);
    let least = least.min_by(f64::total_cmp).ok_or("nobody has run")?;
    let greatest = rates.iter().map(|(_, rate)| rate.greatest);
    let greatest = greatest.max_by(f64::total_cmp).ok_or("nobody has run")?;

    let lanes = u32::try_from(rates.len())?;
    let area = SVGBackend::new(file, (WIDTH, MARGINS + lanes * LANE)).into_drawing_area();
    area.fill(&WHITE)?;
    let title = format!(
        "Events per CPU-second of pipeline and database, {:.1} million events",
        events / 1e6
    );
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .margin_right(40)
        .x_label_area_size(36)
        .y_label_area_size(170)
        .build_cartesian_2d(
            (least / 2.0..greatest * 2.0).log_scale(),
            0.0..f64::from(lanes),
        )?;
    let name = |place: &f64| {
        // Labels stand in the middle of the lanes, counted from below.
        let lane = f64::from(lanes) - place;
        let number = rates
            .iter()
            .zip(0..)
            .find(|(_, n)| (lane - 0.5 - f64::from(*n)).abs() < 0.01);
        number.map_or(String::new(), |((name, _), _)| (*name).to_owned())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_labels(4)
        .x_max_light_lines(1)
        .y_labels(2 * rates.len() + 1)
        .y_label_formatter(&name)
        .x_label_formatter(&|rate| thousands(*rate))
        .label_style(("sans-serif", 14))
        .draw()?;
    for ((_, rate), number) in rates.iter().zip(0..) {
        let middle = f64::from(lanes) - f64::from(number) - 0.5;
        let bar = [(least / 2.0, middle - 0.3), (rate.median, middle + 0.3)];
        let spread = [(rate.least, middle), (rate.greatest, middle)];
        chart.draw_series([Rectangle::new(bar, BAR.mix(0.6).filled())])?;
        chart.draw_series([PathElement::new(spread, BLACK.stroke_width(2))])?;
        let label = thousands(rate.median);
        let place = (rate.greatest * 1.05, middle + 0.2);
        chart.draw_series([Text::new(label, place, ("sans-serif", 13))])?;
    }
    area.present()?;
    Ok(())
}

fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}

#[cfg(test)]
mod tests {
    use super::super::measure::Served;
    use super::*;

    #[test]
    fn everybody_who_ran_is_in_the_picture() {
        let mut results = Results {
            events: 1_000_000,
            ..Results::default()
        };
        let cost = |cpu| Cost {
            cpu,
            wall: 1.0,
            peak: 1.0,
            database: Served::default(),
        };
        results.add(Contestant::Drain, cost(0.5));
        results.add(Contestant::Tidemark, cost(2.0));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("race.svg");
        let order = [Contestant::Drain, Contestant::Floor, Contestant::Tidemark];
        draw(&results, &order, &file).unwrap();
        let picture = std::fs::read_to_string(&file).unwrap();
        for text in ["drain", "2000 k", "tidemark", "500 k"] {
            assert!(picture.contains(text), "{text} is not in {picture}");
        }
        assert!(!picture.contains("floor"), "{picture}");
        assert!(draw(&Results::default(), &order, &file).is_err());
    }
}
