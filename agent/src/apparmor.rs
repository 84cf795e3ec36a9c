//! AppArmor, where the kernel has it: how vnodes are confined by it.

use std::fs;

/// Whether the kernel confines anything by AppArmor.
fn is_on() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled")
        .is_ok_and(|text| text.starts_with('Y'))
}

/// The profile of vnodes; none where there are no profiles. liblxc would name one of its own otherwise, which only a distribution's
/// service loads: without that no container starts, and with it what a vnode may do depends on the machine (ADR 0054).
#[must_use]
pub fn profile() -> Option<&'static str> {
    is_on().then_some("unconfined")
}
