//! How the site uses beans and what things cost: set in parts by people, all at once where settings are gone back to.

use super::event;
use crate::bean::command::{RatesChange, SettingsChange};
use crate::bean::event::BeanEvent;
use crate::bean::refusal::BeanRefusal;
use crate::decide::{Decision, Ground, in_range, plain_text};
use crate::model::{BeanSettings, Rates, Used};
use crate::refusal::Refusal;

fn changed(ground: Ground<'_>, settings: BeanSettings) -> Decision {
    let known = ground.state.bean_settings.as_ref();
    if known == Some(&settings) {
        return Decision::quiet(Vec::new());
    }
    Decision::quiet(vec![event(BeanEvent::Set { settings })])
}

pub(super) fn set(ground: Ground<'_>, change: &SettingsChange) -> Result<Decision, Refusal> {
    if *change == SettingsChange::default() {
        return Err(BeanRefusal::NothingToChange.into());
    }
    let settings = ground.state.bean_settings.clone().unwrap_or_default();
    Ok(changed(ground, with(settings, change)?))
}

fn with(mut settings: BeanSettings, change: &SettingsChange) -> Result<BeanSettings, Refusal> {
    if let Some(birth) = change.birth {
        in_range(
            "credit of a new account",
            birth,
            0..=BeanSettings::BIRTH_MAX,
            "beans",
        )?;
        settings.birth = birth;
    }
    if let Some(grace_ms) = change.grace_ms {
        in_range("grace", grace_ms, 0..=BeanSettings::GRACE_MS_MAX, "ms")?;
        settings.grace_ms = grace_ms;
    }
    if let Some(thresholds) = &change.thresholds {
        let most = BeanSettings::THRESHOLDS_MAX as u64;
        in_range("thresholds", thresholds.len() as u64, 0..=most, "numbers")?;
        let mut thresholds = thresholds.clone();
        thresholds.sort_unstable_by(|one, other| other.cmp(one));
        thresholds.dedup();
        let highest = thresholds.first().copied().unwrap_or(0);
        in_range("threshold", highest, 0..=BeanSettings::GRANT_MAX, "beans")?;
        settings.thresholds = thresholds;
    }
    if let Some(every_ms) = change.every_ms {
        in_range(
            "time between readings",
            every_ms,
            BeanSettings::EVERY_MS_RANGE,
            "ms",
        )?;
        settings.every_ms = every_ms;
    }
    settings.on = change.on.unwrap_or(settings.on);
    Ok(settings)
}

pub(super) fn set_rates(ground: Ground<'_>, change: &RatesChange) -> Result<Decision, Refusal> {
    if *change == RatesChange::default() {
        return Err(BeanRefusal::NothingToChange.into());
    }
    let mut settings = ground.state.bean_settings.clone().unwrap_or_default();
    settings.rates = with_rates(settings.rates, change)?;
    Ok(changed(ground, settings))
}

/// What the changes would not make of what is, is not allowed here either.
pub(super) fn set_all(ground: Ground<'_>, settings: &BeanSettings) -> Result<Decision, Refusal> {
    let change = SettingsChange {
        on: Some(settings.on),
        birth: Some(settings.birth),
        grace_ms: Some(settings.grace_ms),
        thresholds: Some(settings.thresholds.clone()),
        every_ms: Some(settings.every_ms),
    };
    let rates = &settings.rates;
    let gpus = rates.gpus.iter();
    let gpus = gpus.map(|(model, beans)| (model.clone(), Some(*beans)));
    let rates = RatesChange {
        cpu_s: Some(rates.cpu_s),
        cpu_s_mib: Some(rates.cpu_s_mib),
        memory_mib_h: Some(rates.memory_mib_h),
        disk_mib_h: Some(rates.disk_mib_h),
        port_h: Some(rates.port_h),
        network_bytes: Some(rates.network_bytes),
        gpu_h: Some(rates.gpu_h),
        gpus: gpus.collect(),
        whole_hours: Some(rates.whole_hours),
    };
    let mut all = with(BeanSettings::default(), &change)?;
    all.rates.gpus.clear();
    all.rates = with_rates(all.rates, &rates)?;
    Ok(changed(ground, all))
}

fn with_rates(mut rates: Rates, change: &RatesChange) -> Result<Rates, Refusal> {
    for (rate, change) in [
        (&mut rates.cpu_s, change.cpu_s),
        (&mut rates.cpu_s_mib, change.cpu_s_mib),
        (&mut rates.memory_mib_h, change.memory_mib_h),
        (&mut rates.disk_mib_h, change.disk_mib_h),
        (&mut rates.port_h, change.port_h),
        (&mut rates.network_bytes, change.network_bytes),
    ] {
        if let Some(per_bean) = change {
            in_range("rate", per_bean, 0..=Rates::PER_BEAN_MAX, "for one bean")?;
            *rate = per_bean;
        }
    }
    let price = |beans| {
        in_range(
            "price of a GPU",
            beans,
            0..=Rates::GPU_H_MAX,
            "beans an hour",
        )
    };
    if let Some(beans) = change.gpu_h {
        price(beans)?;
        rates.gpu_h = beans;
    }
    for (model, beans) in &change.gpus {
        plain_text("model", model, Used::MODEL_LEN_MAX)?;
        match beans {
            Some(beans) => {
                price(*beans)?;
                rates.gpus.insert(model.clone(), *beans);
            }
            None => {
                rates.gpus.remove(model);
            }
        }
    }
    let models = rates.gpus.len() as u64;
    in_range(
        "prices of GPUs",
        models,
        0..=Rates::GPUS_MAX as u64,
        "models",
    )?;
    rates.whole_hours = change.whole_hours.unwrap_or(rates.whole_hours);
    Ok(rates)
}
