//! Measures, spans and series have one form each.

use super::*;

fn series(times: &[u64], cpu: &[Option<f32>], stall: &[Option<f32>]) -> Series {
    Series {
        step_s: 1,
        times: times.to_vec(),
        columns: BTreeMap::from([
            (Measure::CpuMilli, cpu.to_vec()),
            (Measure::CpuStall, stall.to_vec()),
        ]),
    }
}

#[test]
fn each_measure_stands_where_its_number_says_and_has_a_name_of_its_own() {
    for (place, measure) in Measure::ALL.into_iter().enumerate() {
        assert_eq!(measure as usize, place);
        assert_eq!(Measure::named(measure.word()), Some(measure));
        assert_eq!(serde_json::to_value(measure).expect("JSON"), measure.word());
    }
    for span in Span::ALL {
        assert_eq!(Span::named(span.word()), Some(span));
        assert_eq!(serde_json::to_value(span).expect("JSON"), span.word());
    }
}

#[test]
fn two_workers_parts_are_summed_where_both_measured_and_kept_where_one_did() {
    let here = series(
        &[10, 11, 12],
        &[Some(1.0), None, Some(3.0)],
        &[Some(0.2); 3],
    );
    let there = series(
        &[11, 12, 13],
        &[Some(5.0), Some(7.0), None],
        &[Some(0.5); 3],
    );
    let both = here.joined(there);
    assert_eq!(both.times, [10, 11, 12, 13]);
    assert_eq!(
        both.columns[&Measure::CpuMilli],
        [Some(1.0), Some(5.0), Some(10.0), None],
        "amounts add up"
    );
    assert_eq!(
        both.columns[&Measure::CpuStall],
        [Some(0.2), Some(0.5), Some(0.5), Some(0.5)],
        "parts do not"
    );
}

#[test]
fn what_was_not_measured_is_left_out_and_what_is_unknown_is_ignored() {
    let mut values = Values::default();
    values.set(Measure::Processes, 3.0);
    let text = serde_json::to_string(&values).expect("JSON");
    assert_eq!(text, r#"{"processes":3.0}"#);
    let newer = r#"{"processes":4.0,"angels_on_a_pin":7.0}"#;
    let read: Values = serde_json::from_str(newer).expect("read");
    assert_eq!(read.get(Measure::Processes), Some(4.0));
    assert_eq!(read.get(Measure::CpuMilli), None);
}
