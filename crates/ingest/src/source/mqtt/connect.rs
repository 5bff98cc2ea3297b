//! How the broker is connected to: address, session, login, TLS.

use super::MqttPlace;
use crate::Error;
use crate::limits::{MQTT_KEEP_ALIVE, MQTT_PACKET_BYTES_MAX};
use crate::secret::Secret;
use crate::tls;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, TlsConfiguration, Transport};

const PORT: u16 = 1883;
const TLS_PORT: u16 = 8883;

/// Messages that a broker may have in flight (MQTT 3.1.1, packet identifiers), and some requests of ours: acknowledging never waits.
const REQUESTS_MAX: usize = u16::MAX as usize + 64;

pub(super) fn client(place: &MqttPlace) -> Result<(AsyncClient, EventLoop), Error> {
    let (host, port, is_tls) = address(&place.broker)?;
    if place.client_id.is_empty() || place.client_id.starts_with(' ') {
        return Err(Error::usage("the client_id of an MQTT source is empty")
            .hint("Name one that no other client of the broker has."));
    }
    let mut options = MqttOptions::new(&place.client_id, host, port);
    options
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_keep_alive(MQTT_KEEP_ALIVE)
        .set_max_packet_size(MQTT_PACKET_BYTES_MAX, MQTT_PACKET_BYTES_MAX);
    let password = Secret::read(place.password.as_ref(), place.password_file.as_deref())?;
    if let Some(username) = &place.username {
        let password = password.as_ref().map_or("", Secret::text);
        options.set_credentials(username, password);
    }
    if is_tls {
        let config = tls::client(place.ca.as_deref())?;
        let config = TlsConfiguration::Rustls(config);
        options.set_transport(Transport::tls_with_config(config));
    }
    Ok(AsyncClient::new(options, REQUESTS_MAX))
}

fn address(broker: &str) -> Result<(String, u16, bool), Error> {
    let wrong = || {
        Error::usage("the broker of an MQTT source cannot be read")
            .hint("Write mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS.")
    };
    let (scheme, rest) = broker.split_once("://").ok_or_else(wrong)?;
    let (is_tls, default_port) = match scheme {
        "mqtt" => (false, PORT),
        "mqtts" => (true, TLS_PORT),
        _ => return Err(wrong()),
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        // The last part of an IPv6 address in brackets is none.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, default_port),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // A login would have to be shown wherever the address is.
    if host.is_empty() || host.contains(['/', '@']) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port, is_tls))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_ports() {
        let cases = [
            ("mqtt://broker", ("broker", 1883, false)),
            ("mqtts://broker/", ("broker", 8883, true)),
            ("mqtt://10.0.0.1:99", ("10.0.0.1", 99, false)),
            ("mqtts://[::1]", ("::1", 8883, true)),
            ("mqtts://[::1]:9", ("::1", 9, true)),
        ];
        for (text, (host, port, is_tls)) in cases {
            let read = address(text).ok();
            assert_eq!(read, Some((host.to_owned(), port, is_tls)), "{text}");
        }
        for text in [
            "",
            "broker",
            "http://broker",
            "mqtt://",
            "mqtt://me:secret@broker",
            "mqtt://b:x",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
