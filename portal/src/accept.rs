//! What a connection to the public listener gets before TLS: small messages go out at once, as an answer to a key must, and much
//! that comes in is read in few calls.

use std::future::{Ready, ready};
use std::io;

use axum_server::accept::Accept;
use docklet_link::ReadAhead;
use tokio::net::TcpStream;

#[derive(Clone, Copy)]
pub(crate) struct Prepared;

impl<S> Accept<TcpStream, S> for Prepared {
    type Stream = ReadAhead<TcpStream>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let prepared = stream.set_nodelay(true);
        ready(prepared.map(|()| (ReadAhead::new(stream), service)))
    }
}
