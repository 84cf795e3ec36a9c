//! Evening out how workers are loaded, by moves: when an admin asks, and by the leader itself if a policy says so. What
//! would move says [`crate::place::rebalance`], for those who only look too. Since version 3.

pub mod command;
pub mod due;
pub mod event;
pub mod percent;
pub mod refusal;
