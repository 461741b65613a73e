//! The drawing areas of figures. A figure is a part of its page, so it takes the page's colours, light or dark.

use plotters::coord::Shift;
use plotters::prelude::*;
use std::error::Error;

/// The result of drawing a figure.
pub type Drawing = Result<(), Box<dyn Error>>;

/// Colours that can be told apart on white and on black, also by those who do not see red and green.
pub const BLUE: RGBColor = RGBColor(74, 144, 217);
pub const ORANGE: RGBColor = RGBColor(230, 126, 34);
pub const GREEN: RGBColor = RGBColor(39, 160, 110);
/// Lines that help the eye.
pub const FAINT: RGBColor = RGBColor(136, 136, 136);
/// The colour of the page's text: see [`on_the_page`].
pub const INK: RGBColor = RGBColor(1, 2, 3);

/// Axes that stand back behind what is drawn: faint lines, labels in ink.
macro_rules! quiet {
    ($mesh:expr) => {
        $mesh
            .light_line_style(TRANSPARENT)
            .bold_line_style($crate::paper::FAINT.mix(0.3))
            .axis_style($crate::paper::FAINT)
            .label_style($crate::paper::text(14))
            .axis_desc_style($crate::paper::text(14))
    };
}
pub(crate) use quiet;

/// An empty figure.
pub struct Paper<'a>(&'a mut String);

impl<'a> Paper<'a> {
    pub fn new(svg: &'a mut String) -> Self {
        Self(svg)
    }

    /// To be written on.
    pub fn text(&mut self) -> &mut String {
        self.0
    }

    /// So many points wide and high.
    pub fn area(self, width: u32, height: u32) -> DrawingArea<SVGBackend<'a>, Shift> {
        SVGBackend::with_string(self.0, (width, height)).into_drawing_area()
    }
}

/// Points of a [`fine_area`](Paper::fine_area) in one point of the page. The library rounds places to whole points.
pub const FINE: u32 = 10;

impl<'a> Paper<'a> {
    /// The same area, with places to a tenth of a point. Everything on it is drawn [`FINE`] times as large.
    pub fn fine_area(self, width: u32, height: u32) -> DrawingArea<SVGBackend<'a>, Shift> {
        self.area(width * FINE, height * FINE)
    }
}

/// Text in the colour of the page.
pub fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// The same figure as a part of a page, described for screen readers: it is as wide as it may be, its ink has the colour of the text, and no line of it
/// is empty, which would end it for Markdown.
pub fn on_the_page(description: &str, svg: &str) -> String {
    let role = if svg.contains("<a ") { "group" } else { "img" }; // an image would hide its links
    let mut figure = svg.replace("#010203", "currentColor");
    let size = |name: &str| svg.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse::<u32>().ok();
    if let (Some(width @ 2_000..), Some(height)) = (size("width"), size("height")) {
        // A fine area is shown in the size of a page.
        for (name, size) in [("width", width), ("height", height)] {
            figure = figure.replacen(&format!(" {name}=\"{size}\""), &format!(" {name}=\"{}\"", size / FINE), 1);
        }
    }
    let figure = figure.replacen("<svg ", &format!("<svg role=\"{role}\" aria-label=\"{description}\" "), 1);
    figure.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n") + "\n"
}
