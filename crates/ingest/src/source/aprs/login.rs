//! What is said to a server, and what it answers (APRS-IS, "Connecting to APRS-IS").

use super::AprsSourceError;

/// Characters of a call sign at most, its SSID included.
const CALL_SIGN_BYTES_MAX: usize = 9;

/// Bytes of a login line at most: servers take lines of 512 bytes.
const LOGIN_BYTES_MAX: usize = 510;

/// Who logs in, and what is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Call sign: letters, digits and `-`.
    pub call_sign: String,
    /// `None`: only listening, which needs none.
    pub passcode: Option<u16>,
    /// Filter in the server's language, such as `r/48.0/11.0/200`; servers ignore it on a port of the full feed.
    pub filter: Option<String>,
}

impl Login {
    /// The login line with its end.
    ///
    /// # Errors
    ///
    /// If the call sign or the filter can't be sent.
    pub(super) fn line(&self) -> Result<String, AprsSourceError> {
        let is_call_sign = (1..=CALL_SIGN_BYTES_MAX).contains(&self.call_sign.len())
            && self
                .call_sign
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_call_sign {
            return Err(AprsSourceError::CallSign(self.call_sign.clone()));
        }
        let pass = match self.passcode {
            Some(passcode) => passcode.to_string(),
            None => "-1".to_owned(),
        };
        let mut line = format!(
            "user {} pass {pass} vers hyperhaul {}",
            self.call_sign,
            env!("CARGO_PKG_VERSION")
        );
        if let Some(filter) = &self.filter {
            if filter.chars().any(char::is_control) {
                return Err(AprsSourceError::Filter(
                    "has line ends or control characters",
                ));
            }
            line.push_str(" filter ");
            line.push_str(filter.trim());
        }
        if line.len() > LOGIN_BYTES_MAX {
            return Err(AprsSourceError::Filter(
                "makes the login line longer than 510 bytes",
            ));
        }
        line.push_str("\r\n");
        Ok(line)
    }
}

/// What a server's line says about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `# logresp CALL verified|unverified, server NAME`, for our call sign.
    In { is_verified: bool, server: String },
    /// The same for another call sign, or with another verdict.
    Refused,
    /// Anything else: banners and remarks.
    Other,
}

/// Reads a line of a server during the login of `call_sign`.
pub(super) fn answer(line: &[u8], call_sign: &str) -> Answer {
    let line = String::from_utf8_lossy(line);
    let mut words = line.trim_start_matches('#').split_whitespace();
    if words.next() != Some("logresp") {
        return Answer::Other;
    }
    let is_ours = words
        .next()
        .is_some_and(|call| call.eq_ignore_ascii_case(call_sign));
    let is_verified = match words.next().map(|verdict| verdict.trim_end_matches(',')) {
        Some("verified") if is_ours => true,
        Some("unverified") if is_ours => false,
        _ => return Answer::Refused,
    };
    let server = words
        .nth(1)
        .unwrap_or_default()
        .trim_end_matches(',')
        .to_owned();
    Answer::In {
        is_verified,
        server,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn login() -> Login {
        Login {
            call_sign: "N0CALL".to_owned(),
            passcode: None,
            filter: None,
        }
    }

    #[test]
    fn login_lines_are_those_of_aprs_is() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            login().line().unwrap(),
            format!("user N0CALL pass -1 vers hyperhaul {version}\r\n")
        );
        let with_all = Login {
            passcode: Some(13_023),
            filter: Some(" r/48.0/11.0/200 t/p ".to_owned()),
            ..login()
        };
        assert_eq!(
            with_all.line().unwrap(),
            format!(
                "user N0CALL pass 13023 vers hyperhaul {version} filter r/48.0/11.0/200 t/p\r\n"
            )
        );
    }

    #[test]
    fn nothing_can_be_smuggled_into_a_login_line() {
        for call_sign in ["", "TOOLONG-10", "A B", "A\r\nB", "Ä"] {
            let login = Login {
                call_sign: call_sign.to_owned(),
                ..login()
            };
            assert!(
                matches!(login.line(), Err(AprsSourceError::CallSign(_))),
                "{call_sign}"
            );
        }
        for filter in ["a\r\nb", "\u{7}", &"x".repeat(500)] {
            let login = Login {
                filter: Some(filter.to_owned()),
                ..login()
            };
            assert!(
                matches!(login.line(), Err(AprsSourceError::Filter(_))),
                "{filter}"
            );
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let inside = |is_verified, server: &str| Answer::In {
            is_verified,
            server: server.to_owned(),
        };
        let cases: [(&[u8], Answer); 8] = [
            (
                b"# logresp N0CALL unverified, server GLIDERN3",
                inside(false, "GLIDERN3"),
            ),
            (
                b"# logresp n0call verified, server T2HUB, adjunct \"filter\" OK",
                inside(true, "T2HUB"),
            ),
            (b"#logresp N0CALL unverified", inside(false, "")),
            (
                b"# logresp OTHER unverified, server GLIDERN3",
                Answer::Refused,
            ),
            (
                b"# logresp N0CALL invalid, server GLIDERN3",
                Answer::Refused,
            ),
            (b"# logresp", Answer::Refused),
            (b"# aprsc 2.1.19-g730c5c0", Answer::Other),
            (b"# \xFF\xFE", Answer::Other),
        ];
        for (line, expected) in cases {
            assert_eq!(
                answer(line, "N0CALL"),
                expected,
                "{}",
                String::from_utf8_lossy(line)
            );
        }
    }
}
