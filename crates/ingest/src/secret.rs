//! A password or token: never printed.

use crate::Error;
use serde::Deserialize;
use std::fmt;
use std::path::Path;
use subtle::ConstantTimeEq;

/// Text that no log line and no error shows.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Said in the configuration, or alone in a file, of which the end of the line is left out.
    pub(crate) fn read(
        said: Option<&Secret>,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, Error> {
        let Some(path) = file else {
            return Ok(said.cloned());
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::usage(format!("could not read {}: {error}", path.display())))?;
        Ok(Some(Secret(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long whichever byte differs; the length may be guessed.
    pub(crate) fn is(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_compared_and_not_printed() {
        let secret = Secret("sesame".to_owned());
        assert!(secret.is(b"sesame"));
        assert!(!secret.is(b"sesamf"));
        assert!(!secret.is(b"sesam"));
        assert_eq!(format!("{secret:?}"), "Secret");
    }
}
