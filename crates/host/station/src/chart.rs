// SPDX-License-Identifier: Apache-2.0

//! Charts of a line, as SVG.

use std::collections::BTreeMap;
use std::error::Error;

use jiff::{SignedDuration, Timestamp};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::escaped;
use crate::stats::{Hour, Stats};

/// Width and height of a picture, in pixels.
const SIZE: (u32, u32) = (960, 720);

/// Good and failed: blue and orange, which people who see no red or no green tell apart.
const GOOD: RGBColor = RGBColor(0, 114, 178);
const FAILED: RGBColor = RGBColor(213, 94, 0);

/// Lines and words of a chart that has no ground of its own. The page's style sheet has other colours for these three.
const ON_ANY: RGBColor = RGBColor(128, 136, 146);

/// Hours that the picture has at least, so that a bar is a bar.
const HOURS: i64 = 8;

/// Steps that are drawn, and characters of the name of one.
const STEPS: usize = 12;
const NAME: usize = 20;

/// Causes that are drawn; the others are one more.
const CAUSES: usize = 10;

/// Runs by the hour, and failures by cause, the most frequent first.
///
/// # Errors
/// The picture cannot be drawn.
pub fn svg(stats: &Stats) -> Result<String, Box<dyn Error>> {
    let mut picture = String::new();
    {
        let root = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(SIZE.1 / 2);
        hours(&above, &stats.hours, BLACK)?;
        failures(&below, stats, BLACK)?;
        root.present()?;
    }
    Ok(picture)
}

/// Runs by the hour, without a ground.
///
/// # Errors
/// The picture cannot be drawn.
pub fn svg_of_hours(stats: &Stats) -> Result<String, Box<dyn Error>> {
    one(|area| hours(area, &stats.hours, ON_ANY))
}

/// Failures by cause, without a ground.
///
/// # Errors
/// The picture cannot be drawn.
pub fn svg_of_failures(stats: &Stats) -> Result<String, Box<dyn Error>> {
    one(|area| failures(area, stats, ON_ANY))
}

/// The time of each step, without a ground: a bar to the median, and a line to what 95 % of the runs were within.
///
/// # Errors
/// The picture cannot be drawn.
pub fn svg_of_steps(stats: &Stats) -> Result<String, Box<dyn Error>> {
    one(|area| steps(area, stats, ON_ANY))
}

fn one(
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<String, Box<dyn Error>> {
    let mut picture = String::new();
    {
        let root = SVGBackend::with_string(&mut picture, (SIZE.0, SIZE.1 / 2)).into_drawing_area();
        draw(&root)?;
        root.present()?;
    }
    Ok(picture)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn hours(
    area: &Area<'_>,
    hours: &BTreeMap<i64, Hour>,
    ink: RGBColor,
) -> Result<(), Box<dyn Error>> {
    let first = hours.keys().next().copied().unwrap_or_default();
    let last = hours.keys().next_back().copied().unwrap_or(first).max(first + HOURS - 1);
    let most = hours.values().map(|hour| hour.good + hour.failed).max().unwrap_or_default();
    let mut chart = ChartBuilder::on(area)
        .caption("Runs by the hour: good (blue), failed (orange)", ("sans-serif", 20, &ink))
        .margin(10)
        .margin_right(50)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(at(first)..at(last + 1), 0..most.max(1) + most / 10)?;
    let label = |hours: &f64| {
        let time = Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_secs_f64(3600.0 * hours));
        time.map_or_else(|_| String::new(), |time| time.strftime("%m-%d %H:%M").to_string())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .axis_style(ink)
        .label_style(("sans-serif", 14, &ink))
        .bold_line_style(ink.mix(0.3))
        .light_line_style(ink.mix(0.1))
        .x_labels(8)
        .x_label_formatter(&label)
        .x_desc("hour (UTC)")
        .y_desc("runs")
        .draw()?;
    for (hour, Hour { good, failed }) in hours {
        let bar = |from, to, colour: &RGBColor| {
            Rectangle::new([(at(*hour) + 0.07, from), (at(*hour) + 0.93, to)], colour.filled())
        };
        chart.draw_series([bar(0, *good, &GOOD), bar(*good, good + failed, &FAILED)])?;
    }
    Ok(())
}

/// An hour on the axis.
#[allow(clippy::cast_precision_loss, reason = "hours since 1970 are few")]
const fn at(hour: i64) -> f64 {
    hour as f64
}

fn failures(area: &Area<'_>, stats: &Stats, ink: RGBColor) -> Result<(), Box<dyn Error>> {
    let mut causes: BTreeMap<String, u64> = BTreeMap::new();
    for ((cause, _), count) in &stats.failures {
        *causes.entry(cause.to_string()).or_default() += count;
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by(|(a, many), (b, more)| more.cmp(many).then_with(|| a.cmp(b)));
    let others: u64 = causes.iter().skip(CAUSES).map(|(_, count)| count).sum();
    causes.truncate(CAUSES);
    if others > 0 {
        causes.push((String::from("others"), others));
    }
    let caption = if causes.is_empty() { "No run has failed" } else { "Failed runs by cause" };
    let most = causes.iter().map(|(_, count)| *count).max().unwrap_or_default();
    let columns = i32::try_from(causes.len().max(1))?;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20, &ink))
        .margin(10)
        .margin_right(50)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d((0..columns - 1).into_segmented(), 0..most.max(1) + most / 10)?;
    let label = |place: &SegmentValue<i32>| match place {
        SegmentValue::CenterOf(place) => usize::try_from(*place)
            .ok()
            .and_then(|place| causes.get(place))
            .map_or_else(String::new, |(cause, _)| cause.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .axis_style(ink)
        .label_style(("sans-serif", 14, &ink))
        .bold_line_style(ink.mix(0.3))
        .light_line_style(ink.mix(0.1))
        .x_labels(causes.len().max(1))
        .x_label_formatter(&label)
        .y_desc("runs")
        .draw()?;
    // Not a histogram: it gives a single column no width.
    let (width, _) = chart.plotting_area().dim_in_pixel();
    let style = FAILED.stroke_width((width / columns.unsigned_abs()).saturating_sub(24).max(1));
    chart.draw_series((0..).zip(&causes).map(|(place, (_, count))| {
        let at = SegmentValue::CenterOf(place);
        PathElement::new([(at.clone(), 0), (at, *count)], style)
    }))?;
    Ok(())
}

fn steps(area: &Area<'_>, stats: &Stats, ink: RGBColor) -> Result<(), Box<dyn Error>> {
    let mut times: Vec<_> = stats
        .times()
        .map(|(name, time)| {
            let of = |percent| time.percentile(percent).unwrap_or_default();
            (short(name), of(50), of(95))
        })
        .collect();
    // What takes the longest, where there are too many; and the first one above.
    while times.len() > STEPS {
        let shortest = times.iter().enumerate().min_by_key(|(_, (.., most))| *most);
        let Some((place, _)) = shortest else { break };
        times.remove(place);
    }
    times.reverse();
    let most = times.iter().map(|(.., most)| *most).max().unwrap_or_default();
    let rows = i32::try_from(times.len().max(1))?;
    let mut chart = ChartBuilder::on(area)
        .caption("Time by step: bar to the median, line to 95 %", ("sans-serif", 20, &ink))
        .margin(10)
        .margin_right(50)
        .x_label_area_size(40)
        .y_label_area_size(170)
        .build_cartesian_2d(0..most.max(1) + most / 10, (0..rows - 1).into_segmented())?;
    let label = |place: &SegmentValue<i32>| match place {
        SegmentValue::CenterOf(place) => usize::try_from(*place)
            .ok()
            .and_then(|place| times.get(place))
            .map_or_else(String::new, |(name, ..)| name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .axis_style(ink)
        .label_style(("sans-serif", 14, &ink))
        .bold_line_style(ink.mix(0.3))
        .light_line_style(ink.mix(0.1))
        .x_labels(8)
        .y_labels(times.len().max(1))
        .y_label_formatter(&label)
        .x_desc("milliseconds")
        .draw()?;
    // Not a histogram: it gives a single row no height.
    let (_, height) = chart.plotting_area().dim_in_pixel();
    let style = GOOD.stroke_width((height / rows.unsigned_abs()).saturating_sub(12).max(1));
    chart.draw_series((0..).zip(&times).map(|(place, (_, median, _))| {
        let at = SegmentValue::CenterOf(place);
        PathElement::new([(0, at.clone()), (*median, at)], style)
    }))?;
    for (place, (_, median, most)) in (0..).zip(&times) {
        let at = SegmentValue::CenterOf(place);
        let line =
            PathElement::new([(*median, at.clone()), (*most, at.clone())], ink.stroke_width(2));
        chart.draw_series([line])?;
        let end = EmptyElement::at((*most, at))
            + PathElement::new([(0, -5), (0, 5)], ink.stroke_width(2));
        chart.draw_series([end])?;
    }
    Ok(())
}

/// A name that has its place beside a bar.
fn short(name: &str) -> String {
    let name = escaped::line(name);
    if name.chars().count() <= NAME {
        return name;
    }
    name.chars().take(NAME - 1).chain(['\u{2026}']).collect()
}
