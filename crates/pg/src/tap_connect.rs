//! Puts a [`Tap`] into a connection that the client library opens, with TLS and without. The library lets strangers into the
//! stream in one place only, as a TLS layer: a plain connection gets one that encrypts nothing.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::diversion::Tap;
use crate::tap::Tapped;

/// A TLS layer with a tap above it, where the messages are in the clear.
#[derive(Clone)]
pub(crate) struct TapOver<M> {
    pub(crate) tls: M,
    pub(crate) tap: Tap,
}

impl<S, M> MakeTlsConnect<S> for TapOver<M>
where
    M: MakeTlsConnect<S>,
    M::TlsConnect: Send,
    <M::TlsConnect as TlsConnect<S>>::Future: Send + 'static,
    Tapped<M::Stream>: TlsStream,
{
    type Stream = Tapped<M::Stream>;
    type TlsConnect = TapOver<M::TlsConnect>;
    type Error = M::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        let tls = self.tls.make_tls_connect(domain)?;
        Ok(TapOver {
            tls,
            tap: self.tap.clone(),
        })
    }
}

impl<S, C> TlsConnect<S> for TapOver<C>
where
    C: TlsConnect<S>,
    C::Future: Send + 'static,
    Tapped<C::Stream>: TlsStream,
{
    type Stream = Tapped<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let TapOver { tls, tap } = self;
        let connecting = tls.connect(stream);
        Box::pin(async move { Ok(Tapped::new(connecting.await?, tap)) })
    }
}

/// A TLS layer that encrypts nothing and exchanges nothing. With the negotiation that the library calls direct, the
/// server sees an ordinary plain connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unencrypted;

impl<S: AsyncRead + AsyncWrite + Unpin + Send> MakeTlsConnect<S> for Unencrypted {
    type Stream = Bare<S>;
    type TlsConnect = Unencrypted;
    type Error = Infallible;

    fn make_tls_connect(&mut self, _domain: &str) -> Result<Unencrypted, Infallible> {
        Ok(Unencrypted)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> TlsConnect<S> for Unencrypted {
    type Stream = Bare<S>;
    type Error = Infallible;
    type Future = Ready<Result<Bare<S>, Infallible>>;

    fn connect(self, stream: S) -> Self::Future {
        ready(Ok(Bare(stream)))
    }
}

/// A stream as it is.
#[derive(Debug)]
pub(crate) struct Bare<S>(S);

impl<S: AsyncRead + Unpin> AsyncRead for Bare<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, out)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bare<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Bare<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
