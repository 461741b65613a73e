//! What the notebooks draw with, and the model that they look into.
//!
//! In a notebook [`Picture::show`] puts the picture below the cell. In a plain program, as which every notebook is run
//! too, it says how large the picture would be.

#[path = "../../book/figures/storyteller.rs"]
pub mod storyteller;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const COLOURS: [RGBColor; 4] =
    [RGBColor(74, 144, 217), RGBColor(230, 126, 34), RGBColor(39, 160, 110), RGBColor(140, 90, 170)];
const GREY: RGBColor = RGBColor(136, 136, 136);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A drawing, ready to be shown.
pub struct Picture {
    svg: String,
}

impl Picture {
    /// An SVG that was made elsewhere.
    pub fn new(svg: impl Into<String>) -> Self {
        Self { svg: svg.into() }
    }

    /// Shows it below the cell.
    pub fn show(&self) {
        // Between these marks the kernel passes on what is not text.
        match std::env::var_os("EVCXR_IS_RUNTIME") {
            Some(_) => println!("EVCXR_BEGIN_CONTENT image/svg+xml\n{}\nEVCXR_END_CONTENT", self.svg),
            None => println!("(a picture of {} bytes)", self.svg.len()),
        }
    }

    fn drawn((width, height): (u32, u32), draw: impl FnOnce(&Area) -> Drawn) -> Self {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
            let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area));
            drawn.and_then(|()| area.present().map_err(Into::into)).expect("an SVG in memory can be drawn");
        }
        Self { svg }
    }
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&BLACK)
}

/// A number in few digits.
fn short(value: f64) -> String {
    match value.abs() {
        size if size < 1e-12 => "0".into(),
        size if (100.0..1e6).contains(&size) => format!("{value:.0}"),
        size if (10.0..100.0).contains(&size) => format!("{value:.1}").trim_end_matches(".0").into(),
        size if (0.01..10.0).contains(&size) => {
            format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').into()
        }
        _ => format!("{value:.0e}"),
    }
}

fn centred(size: i32) -> TextStyle<'static> {
    text(size).pos(Pos::new(HPos::Center, VPos::Center))
}

/// A line, or a cloud of points, with a name.
pub struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
    dots: bool,
}

/// A line through points.
pub fn line(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Curve {
    Curve { name: name.into(), points: points.into_iter().collect(), dots: false }
}

/// The points alone.
pub fn dots(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Curve {
    Curve { dots: true, ..line(name, points) }
}

/// Which axes have their powers of ten at even distances.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    Linear,
    /// y alone.
    LogY,
    /// x and y.
    Log,
}

/// Curves in one chart.
pub fn chart(x: &str, y: &str, axes: Axes, curves: &[Curve]) -> Picture {
    let scaled = |value: f64, log: bool| if log { value.log10() } else { value };
    let scaled: Vec<Vec<(f64, f64)>> = curves
        .iter()
        .map(|curve| {
            let place = |&(x, y): &(f64, f64)| (scaled(x, axes == Axes::Log), scaled(y, axes != Axes::Linear));
            curve.points.iter().map(place).filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
        })
        .collect();
    let range = |of: fn(&(f64, f64)) -> f64| {
        let all = scaled.iter().flatten().map(of);
        let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
        let margin = ((high - low) * 0.05).max(1e-9);
        low - margin..high + margin
    };
    let label = |log: bool| move |value: &f64| short(if log { 10_f64.powf(*value) } else { *value });
    Picture::drawn((640, 340), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(range(|p| p.0), range(|p| p.1))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.3))
            .axis_style(GREY)
            .x_label_formatter(&label(axes == Axes::Log))
            .y_label_formatter(&label(axes != Axes::Linear))
            .x_desc(x)
            .y_desc(y)
            .label_style(text(13))
            .axis_desc_style(text(14))
            .draw()?;
        for (i, (curve, points)) in curves.iter().zip(&scaled).enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let points = points.iter().copied();
            let series = match curve.dots {
                true => chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?,
                false => chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?,
            };
            series
                .label(&curve.name)
                .legend(move |(x, y)| Rectangle::new([(x, y - 4), (x + 12, y + 4)], colour.filled()));
        }
        if curves.len() > 1 {
            let labels = chart
                .configure_series_labels()
                .border_style(GREY.mix(0.3))
                .background_style(WHITE.mix(0.9))
                .label_font(text(13))
                .draw();
            labels?;
        }
        Ok(())
    })
}

/// Numbers as cells: blue where they are large, orange where they are negative. The names of columns and rows may be
/// fewer than these.
pub fn heat_map(rows: &[String], columns: &[String], values: &[Vec<f32>]) -> Picture {
    let (height, width) = (values.len() as i32, values.iter().map(Vec::len).max().unwrap_or(0) as i32);
    let longest = |names: &[String]| names.iter().map(|name| name.chars().count() as i32).max().unwrap_or(0);
    let (left, top) = (12 + 8 * longest(rows), if columns.is_empty() { 8 } else { 14 + 7 * longest(columns) });
    let (wide, high) = ((560 / width.max(1)).clamp(6, 48), (360 / height.max(1)).clamp(6, 26));
    let largest = values.iter().flatten().fold(0.0_f32, |a, b| a.max(b.abs())).max(1e-9);
    let size = (left + wide * width + 12, top + high * height + 12);
    Picture::drawn((size.0 as u32, size.1 as u32), |area| {
        let right = text(12).pos(Pos::new(HPos::Right, VPos::Center));
        for (i, name) in rows.iter().enumerate() {
            area.draw(&Text::new(name.clone(), (left - 6, top + i as i32 * high + high / 2), right.clone()))?;
        }
        let upwards = ("sans-serif", 12).into_font().transform(FontTransform::Rotate270).color(&BLACK);
        for (j, name) in columns.iter().enumerate() {
            let place = (left + j as i32 * wide + wide / 2 - 5, top - 4);
            area.draw(&Text::new(name.clone(), place, upwards.clone()))?;
        }
        for (i, row) in values.iter().enumerate() {
            for (j, &value) in row.iter().enumerate() {
                let corner = (left + j as i32 * wide, top + i as i32 * high);
                let cell = [corner, (corner.0 + wide - 1, corner.1 + high - 1)];
                let colour = if value < 0.0 { COLOURS[1] } else { COLOURS[0] };
                area.draw(&Rectangle::new(cell, colour.mix(f64::from(value.abs() / largest)).filled()))?;
            }
        }
        Ok(())
    })
}

/// A bar for each name. Negative numbers have orange bars below the others.
pub fn bars(names: &[String], values: &[f64], y: &str) -> Picture {
    let highest = values.iter().copied().fold(0.0, f64::max).max(1e-9);
    let lowest = values.iter().copied().fold(0.0, f64::min);
    Picture::drawn((640, 300), |area| {
        let (left, bottom, tall) = (16, 266, 210.0);
        let wide = (608 / values.len().max(1) as i32).clamp(4, 80);
        let scaled = |value: f64| (value / (highest - lowest) * tall) as i32;
        let zero = bottom + scaled(lowest);
        area.draw(&Text::new(y.to_string(), (left, 8), text(13)))?;
        for (i, (value, name)) in values.iter().zip(names).enumerate() {
            let (x, height) = (left + i as i32 * wide, scaled(*value));
            let (colour, above) = if *value < 0.0 { (COLOURS[1], -9) } else { (COLOURS[0], 9) };
            let (top, low) = (zero - height.max(0), zero - height.min(0));
            area.draw(&Rectangle::new([(x, top), (x + wide - 3, low)], colour.filled()))?;
            area.draw(&Text::new(
                name.clone(),
                (x + wide / 2, bottom + if lowest < 0.0 { 26 } else { 14 }),
                centred(12),
            ))?;
            area.draw(&Text::new(short(*value), (x + wide / 2, zero - height - above), centred(11)))?;
        }
        Ok(())
    })
}
