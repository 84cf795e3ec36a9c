//! What two Docklet processes speak over: identities in certificates, join tokens, mutual TLS, framed messages
//! and calls with deadlines. It knows neither rules nor Raft nor containers.

pub mod ahead;
pub mod authority;
pub mod credentials;
pub mod dial;
pub mod fault;
pub mod frame;
pub mod gate;
pub mod identity;
pub mod keepalive;
pub mod listener;
pub mod own;
pub mod rpc;
pub mod strangers;
pub mod tally;
pub mod tls;
pub mod token;

pub use ahead::ReadAhead;
pub use authority::Authority;
pub use credentials::Credentials;
pub use dial::Dialer;
pub use fault::LinkFault;
pub use frame::{Channel, Hello, Purpose};
pub use gate::Gate;
pub use identity::{Identity, PeerRole, Proof};
pub use own::Own;
pub use token::JoinSecret;
