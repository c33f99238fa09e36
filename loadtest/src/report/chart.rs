//! Line charts as inline SVG, without scripts, fonts or external resources.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 66.0;
/// Half of the last value of an axis.
const RIGHT: f64 = 30.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 34.0;
/// Approximate number of lines on a linear axis.
const TICKS: f64 = 5.0;
/// Colours that colour-blind readers can distinguish, also in greyscale.
const COLOURS: [&str; 6] = [
    "#0b6bcb", "#d9480f", "#2b8a3e", "#9c36b5", "#5c5f66", "#e0a800",
];

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    /// Powers of ten.
    Logarithmic,
    /// Shares from 0 to 1, with one step per additional nine: the axis of an HDR plot.
    Nines,
}

/// An axis.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) scale: Scale,
    /// The format of a value.
    pub(crate) label: fn(f64) -> String,
}

/// One line.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A named section of the x axis.
pub(crate) struct Band {
    pub(crate) name: String,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// A chart.
pub(crate) struct Chart {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) x_title: &'static str,
    pub(crate) series: Vec<Series>,
    pub(crate) bands: Vec<Band>,
}

/// The position of a value on a scale.
struct Range {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Chart {
    /// The legend and the drawing; a sentence if there is nothing to draw.
    pub(crate) fn html(&self) -> String {
        let all = || self.series.iter().flat_map(|series| series.points.iter());
        if all().count() < 2 {
            return "<p class=\"none\">Nothing was measured.</p>".to_owned();
        }
        let bands = self.bands.iter().flat_map(|band| [band.from, band.to]);
        let x = Range::new(self.x.scale, all().map(|point| point.0).chain(bands), false);
        let y = Range::new(self.y.scale, all().map(|point| point.1), true);
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&x, &y, &mut out);
        out
    }

    fn write(&self, x: &Range, y: &Range, out: &mut String) -> std::fmt::Result {
        out.push_str("<div class=\"legend\">");
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let name = escape(&series.name);
            write!(
                out,
                "<span><i style=\"background:{colour}\"></i>{name}</span>"
            )?;
        }
        writeln!(out, "</div>")?;
        writeln!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
            escape(self.x_title)
        )?;
        for (index, band) in self.bands.iter().enumerate() {
            let [from, to] = [band.from, band.to].map(|value| place_x(x, value));
            let shade = ["band", "band odd"][index % 2];
            writeln!(
                out,
                "<rect class=\"{shade}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\">\
                 <title>{}</title></rect>",
                (to - from).max(0.0),
                HEIGHT - TOP - BOTTOM,
                escape(&band.name)
            )?;
            if to - from > 7.0 * band.name.len() as f64 {
                let middle = (from + to) / 2.0;
                writeln!(
                    out,
                    "<text class=\"stage\" x=\"{middle:.1}\" y=\"{:.1}\">{}</text>",
                    TOP + 12.0,
                    escape(&band.name)
                )?;
            }
        }
        self.write_axes(x, y, out)?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            write!(out, "<path d=\"")?;
            for (index, point) in series.points.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                let (x, y) = (place_x(x, point.0), place_y(y, point.1));
                write!(out, "{command}{x:.1} {y:.1}")?;
            }
            writeln!(
                out,
                "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"/>"
            )?;
        }
        writeln!(out, "</svg>")
    }

    fn write_axes(&self, x: &Range, y: &Range, out: &mut String) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for value in y.ticks() {
            let at = place_y(y, value);
            writeln!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\
                 <text class=\"y\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 7.0,
                at + 3.0,
                escape(&(self.y.label)(value))
            )?;
        }
        for value in x.ticks() {
            let at = place_x(x, value);
            writeln!(
                out,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>\
                 <text class=\"x\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 16.0,
                escape(&(self.x.label)(value))
            )?;
        }
        writeln!(
            out,
            "<text class=\"title\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            (LEFT + right) / 2.0,
            HEIGHT - 4.0,
            escape(self.x_title)
        )
    }
}

impl Range {
    fn new(scale: Scale, values: impl Iterator<Item = f64>, from_zero: bool) -> Self {
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            least = least.min(value);
            most = most.max(value);
        }
        let (from, to) = match scale {
            Scale::Linear => {
                let from = if from_zero { 0.0 } else { least };
                let to = if most > from { most } else { from + 1.0 };
                match from_zero {
                    true => (
                        from,
                        step(to - from) * ((to - from) / step(to - from)).ceil(),
                    ),
                    false => (from, to),
                }
            }
            Scale::Logarithmic => {
                let from = least.max(1e-9).log10().floor();
                (from, most.max(1e-9).log10().ceil().max(from + 1.0))
            }
            Scale::Nines => (0.0, nines(most).max(1.0)),
        };
        Self { scale, from, to }
    }

    /// From 0 to 1.
    fn share(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.max(1e-9).log10(),
            Scale::Nines => nines(value),
        };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = step(self.to - self.from);
                let first = (self.from / step).ceil() as i64;
                let last = (self.to / step + 1e-9).floor() as i64;
                (first..=last).map(|index| index as f64 * step).collect()
            }
            Scale::Logarithmic => {
                let exponents = self.from as i32..=self.to as i32;
                exponents.map(|exponent| 10_f64.powi(exponent)).collect()
            }
            Scale::Nines => {
                let last = self.to.floor() as i32;
                (0..=last).map(|nines| 1.0 - 10_f64.powi(-nines)).collect()
            }
        }
    }
}

/// The number of nines of a share: 0.9 has one, 0.99 two.
fn nines(share: f64) -> f64 {
    -(1.0 - share).max(1e-9).log10()
}

/// A round distance between lines.
fn step(span: f64) -> f64 {
    let rough = (span / TICKS).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= rough * 0.999);
    factor.unwrap_or(10.0) * power
}

fn place_x(range: &Range, value: f64) -> f64 {
    LEFT + range.share(value) * (WIDTH - LEFT - RIGHT)
}

fn place_y(range: &Range, value: f64) -> f64 {
    HEIGHT - BOTTOM - range.share(value) * (HEIGHT - TOP - BOTTOM)
}

/// Escapes text for HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let label = |value: f64| value.to_string();
        let axis = |scale| Axis { scale, label };
        Chart {
            x: axis(Scale::Linear),
            y: axis(Scale::Logarithmic),
            x_title: "seconds",
            series: vec![Series {
                name: "a < b".to_owned(),
                points,
            }],
            bands: Vec::new(),
        }
    }

    #[test]
    fn points_lie_where_they_belong() {
        let html = chart(vec![(0.0, 10.0), (5.0, 1000.0), (10.0, 100.0)]).html();
        let bottom = HEIGHT - BOTTOM;
        let (middle, right) = ((LEFT + WIDTH - RIGHT) / 2.0, WIDTH - RIGHT);
        let half = (TOP + bottom) / 2.0;
        let line = format!("M{LEFT:.1} {bottom:.1}L{middle:.1} {TOP:.1}L{right:.1} {half:.1}");
        assert!(html.contains(&line), "{line}\n{html}");
        assert!(html.contains("a &lt; b"));
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    }

    #[test]
    fn an_hdr_axis_has_a_step_for_each_nine() {
        let range = Range::new(Scale::Nines, [0.0, 0.5, 0.999].into_iter(), false);
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}");
        near(range.share(0.9), 1.0 / 3.0);
        near(range.share(0.99), 2.0 / 3.0);
        near(range.share(1.0), 1.0);
        assert_eq!(range.ticks().len(), 3);
    }

    #[test]
    fn lines_are_at_round_values() {
        assert!(
            [(10.0, 2.0), (7.3, 2.0), (100.0, 20.0), (0.4, 0.1)]
                .into_iter()
                .all(|(span, expected)| (step(span) - expected).abs() < 1e-9)
        );
        assert!(chart(Vec::new()).html().contains("Nothing was measured"));
        assert!(chart(vec![(1.0, 5.0), (1.0, 5.0)]).html().contains("<svg"));
    }
}
