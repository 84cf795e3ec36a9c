//! One value of each measure over one stretch of time, as it is in the file, and how several become one. Pure.

use docklet_control::meter::{Joining, Measure, Values};

/// Bytes of a slot in the file: begin, seconds measured, values, checksum.
pub const SLOT_BYTES: usize = 4 + 4 + 4 * Measure::COUNT + 4;

/// Values over a stretch of time.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// When it began, in seconds since 1970.
    pub begin_s: u32,
    /// Seconds of it in which something was measured.
    pub measured_s: u32,
    pub values: Values,
}

impl Slot {
    /// As it is in the file.
    #[must_use]
    pub fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        bytes[..4].copy_from_slice(&self.begin_s.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.measured_s.to_le_bytes());
        for (place, value) in bytes[8..SLOT_BYTES - 4]
            .chunks_exact_mut(4)
            .zip(self.values.0)
        {
            place.copy_from_slice(&value.to_le_bytes());
        }
        let sum = crc32fast::hash(&bytes[..SLOT_BYTES - 4]);
        bytes[SLOT_BYTES - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What the file says, unless it was never written there, or only in part.
    #[must_use]
    pub fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let word = |at: usize| {
            let word = bytes[at..].first_chunk().expect("a slot is longer");
            u32::from_le_bytes(*word)
        };
        if word(SLOT_BYTES - 4) != crc32fast::hash(&bytes[..SLOT_BYTES - 4]) {
            return None;
        }
        let mut values = Values::default();
        for (place, value) in values.0.iter_mut().enumerate() {
            *value = f32::from_bits(word(8 + 4 * place));
        }
        Some(Self {
            begin_s: word(0),
            measured_s: word(4),
            values,
        })
    }
}

/// One slot of the whole time of `parts`, weighted by the seconds in which each measured; none if none did.
pub fn joined(begin_s: u32, parts: impl Iterator<Item = Slot>) -> Option<Slot> {
    let mut sums = [0.0_f64; Measure::COUNT];
    let mut weights = [0.0_f64; Measure::COUNT];
    let mut measured_s = 0_u32;
    for part in parts {
        measured_s = measured_s.saturating_add(part.measured_s);
        let weight = f64::from(part.measured_s);
        for measure in Measure::ALL {
            let (Some(value), at) = (part.values.get(measure), measure as usize) else {
                continue;
            };
            let value = f64::from(value);
            match measure.joining() {
                Joining::Peak => sums[at] = sums[at].max(value),
                Joining::Amount | Joining::Part => sums[at] += value * weight,
            }
            weights[at] += weight;
        }
    }
    let mut values = Values::default();
    for measure in Measure::ALL {
        let at = measure as usize;
        if weights[at] > 0.0 {
            let value = match measure.joining() {
                Joining::Peak => sums[at],
                Joining::Amount | Joining::Part => sums[at] / weights[at],
            };
            #[expect(
                clippy::cast_possible_truncation,
                reason = "it is between the values that it was made of"
            )]
            values.set(measure, value as f32);
        }
    }
    (measured_s > 0).then_some(Slot {
        begin_s,
        measured_s,
        values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(begin_s: u32, measured_s: u32, cpu: f32) -> Slot {
        let mut values = Values::default();
        values.set(Measure::CpuMilli, cpu);
        values.set(Measure::CpuMilliMax, cpu);
        Slot {
            begin_s,
            measured_s,
            values,
        }
    }

    #[test]
    fn a_slot_is_read_as_it_was_written_and_not_at_all_if_a_bit_is_wrong() {
        let written = slot(1_700_000_000, 1, 250.5).encode();
        let read = Slot::decode(&written).expect("whole");
        assert_eq!(read.begin_s, 1_700_000_000);
        assert_eq!(read.values.get(Measure::CpuMilli), Some(250.5));
        assert_eq!(read.values.get(Measure::Gpu), None);
        for bit in 0..SLOT_BYTES * 8 {
            let mut torn = written;
            torn[bit / 8] ^= 1 << (bit % 8);
            assert!(Slot::decode(&torn).is_none(), "bit {bit}");
        }
        assert!(Slot::decode(&[0; SLOT_BYTES]).is_none(), "never written");
    }

    #[test]
    fn means_are_weighted_by_the_time_measured_and_peaks_stay() {
        let parts = [slot(0, 10, 100.0), slot(10, 30, 500.0)];
        let whole = joined(0, parts.into_iter()).expect("measured");
        assert_eq!(whole.measured_s, 40);
        assert_eq!(whole.values.get(Measure::CpuMilli), Some(400.0));
        assert_eq!(whole.values.get(Measure::CpuMilliMax), Some(500.0));
        assert_eq!(whole.values.get(Measure::DiskBytes), None);
        assert!(joined(0, std::iter::empty()).is_none());
    }
}
