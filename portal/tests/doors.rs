//! The public door of one master, from outside: whoever has no login or somebody else's, another site's page, and whoever
//! stalls. What of it needs vnodes is tried on whole clusters.

#[path = "doors/client.rs"]
mod client;
#[path = "doors/follow.rs"]
mod follow;
#[path = "doors/foreign.rs"]
mod foreign;
#[path = "doors/many.rs"]
mod many;
#[path = "doors/pages.rs"]
mod pages;
#[path = "doors/people.rs"]
mod people;
#[path = "doors/routes.rs"]
mod routes;
#[path = "doors/slow.rs"]
mod slow;
#[path = "doors/sockets.rs"]
mod sockets;
#[allow(dead_code, reason = "agents' tests use the rest")]
mod support;
#[path = "doors/texts.rs"]
mod texts;
