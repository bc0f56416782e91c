//! Small pictures of how long runs took, as points of an SVG.

use serde_json::json;

use crate::Value;

/// The points of durations `[seconds, has_failed]`, the newest last, within a width and a height. None for fewer than
/// two.
pub(super) fn sparkline(durations: &[Value], width: f64, height: f64) -> Option<Value> {
    let runs: Vec<(f64, bool)> = durations.iter().filter_map(run).collect();
    if runs.len() < 2 {
        return None;
    }
    let most = runs.iter().map(|(seconds, _)| *seconds).fold(0.0, f64::max);
    let scale = if most > 0.0 { (height - 4.0) / most } else { 0.0 };
    // Counts of kept runs are small.
    #[expect(clippy::cast_precision_loss, reason = "hundreds of runs at most")]
    let step = (width - 4.0) / (runs.len() - 1) as f64;
    let mut x = 2.0;
    let (mut points, mut failed) = (String::new(), Vec::new());
    for (seconds, has_failed) in &runs {
        let y = height - 2.0 - seconds * scale;
        points.push_str(&format!("{x:.1},{y:.1} "));
        if *has_failed {
            failed.push(json!({"x": format!("{x:.1}"), "y": format!("{y:.1}")}));
        }
        x += step;
    }
    Some(json!({
        "width": width, "height": height, "points": points.trim_end(), "failed": failed, "most": most,
        "runs": runs.len(),
    }))
}

fn run(value: &Value) -> Option<(f64, bool)> {
    let seconds = value.get(0)?.as_f64().filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
    Some((seconds, value.get(1).and_then(Value::as_bool).unwrap_or(false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_become_points_and_failed_ones_are_marked() {
        let drawn = sparkline(&[json!([0.0, false]), json!([2.0, true]), json!([1.0, false])], 104.0, 24.0).unwrap();
        assert_eq!(drawn["points"], "2.0,22.0 52.0,2.0 102.0,12.0");
        assert_eq!(drawn["failed"], json!([{"x": "52.0", "y": "2.0"}]));
        assert_eq!(drawn["most"], 2.0);
        let flat = sparkline(&[json!([0.0, false]), json!([0.0, false])], 104.0, 24.0).unwrap();
        assert_eq!(flat["points"], "2.0,22.0 102.0,22.0");
        assert_eq!(sparkline(&[json!([1.0, false])], 104.0, 24.0), None);
        assert_eq!(sparkline(&[json!("x"), json!([null, 1]), json!([-1.0])], 104.0, 24.0), None);
    }
}
