//! The envelope in which every secret rests: AES-256-GCM, `v1.<kid>.<nonce>.<ciphertext>`.
//!
//! The associated data names the place (table, row, column), so an envelope copied to another row does not
//! open there. Keys rotate by their key id. The nonce's 12 random bytes come from the caller.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where a secret rests; it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Table that holds the envelope.
    pub table: &'a str,
    /// Primary key of the row.
    pub row: &'a str,
    /// Column of the row.
    pub column: &'a str,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        // NUL cannot stand in any of the three, so the join is unambiguous.
        [self.table, self.row, self.column].join("\0").into_bytes()
    }
}

/// One or more 32-byte keys by id; the first one seals, all of them open.
pub struct Keyring {
    keys: Vec<(String, [u8; 32])>,
}

/// Why an envelope was not made or not opened. Never holds any of the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The operator's setting is not `kid:64 hex digits`, comma-separated.
    #[error(
        "the encryption keys must read `<key id>:<64 hex digits>`, separated by commas, the current one first"
    )]
    Keys,
    /// The stored text is not an envelope of version 1.
    #[error("the stored secret is not an envelope of version 1")]
    Format,
    /// The key that sealed it is not in the ring.
    #[error("the stored secret was sealed with key `{0}`, which is not among the encryption keys")]
    UnknownKey(String),
    /// It was altered, or moved here from another place.
    #[error("the stored secret does not open here: it was altered or copied from another row")]
    Sealed,
}

impl Keyring {
    /// Parses `kid:hex,kid:hex`, the current key first.
    pub fn parse(text: &str) -> Result<Self, EnvelopeError> {
        let keys = text
            .split(',')
            .map(|entry| {
                let (kid, hex_key) = entry.trim().split_once(':').ok_or(EnvelopeError::Keys)?;
                let mut key = [0; 32];
                hex::decode_to_slice(hex_key, &mut key).map_err(|_| EnvelopeError::Keys)?;
                let plain = !kid.is_empty() && kid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                if plain { Ok((kid.to_owned(), key)) } else { Err(EnvelopeError::Keys) }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { keys })
    }

    /// Seals `secret` for `place` under the current key.
    pub fn seal(&self, place: Place<'_>, secret: &[u8], nonce: [u8; 12]) -> Result<String, EnvelopeError> {
        let (kid, key) = self.keys.first().ok_or(EnvelopeError::Keys)?;
        let sealed = cipher(key)
            .encrypt(&Nonce::from(nonce), Payload { msg: secret, aad: &place.associated_data() })
            .map_err(|_| EnvelopeError::Sealed)?;
        Ok(format!("v1.{kid}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Opens an envelope that was sealed for `place`.
    pub fn open(&self, place: Place<'_>, envelope: &str) -> Result<Vec<u8>, EnvelopeError> {
        let mut parts = envelope.split('.');
        let (Some("v1"), Some(kid), Some(nonce), Some(sealed), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(EnvelopeError::Format);
        };
        let key = self
            .keys
            .iter()
            .find_map(|(id, key)| (id == kid).then_some(key))
            .ok_or_else(|| EnvelopeError::UnknownKey(kid.chars().take(32).collect()))?;
        let nonce = URL_SAFE_NO_PAD.decode(nonce).map_err(|_| EnvelopeError::Format)?;
        let nonce: [u8; 12] = nonce.try_into().map_err(|_| EnvelopeError::Format)?;
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| EnvelopeError::Format)?;
        cipher(key)
            .decrypt(&Nonce::from(nonce), Payload { msg: &sealed, aad: &place.associated_data() })
            .map_err(|_| EnvelopeError::Sealed)
    }
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&Key::<Aes256Gcm>::from(*key))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'_> = Place { table: "tokens", row: "linear", column: "access" };

    fn ring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    #[test]
    fn a_secret_opens_in_its_own_place_only() {
        let ring = ring(&format!("k1:{}", "ab".repeat(32)));
        let envelope = ring.seal(HERE, b"lin_secret", [3; 12]).unwrap();
        assert!(envelope.starts_with("v1.k1.") && !envelope.contains("lin_secret"));
        assert_eq!(ring.open(HERE, &envelope).unwrap(), b"lin_secret");
        let elsewhere = Place { row: "github", ..HERE };
        assert_eq!(ring.open(elsewhere, &envelope), Err(EnvelopeError::Sealed));
    }

    #[test]
    fn keys_rotate_without_losing_what_older_ones_sealed() {
        let old = ring(&format!("k1:{}", "ab".repeat(32)));
        let envelope = old.seal(HERE, b"s", [3; 12]).unwrap();
        let both = ring(&format!("k2:{},k1:{}", "cd".repeat(32), "ab".repeat(32)));
        assert_eq!(both.open(HERE, &envelope).unwrap(), b"s");
        assert!(both.seal(HERE, b"s", [4; 12]).unwrap().starts_with("v1.k2."));
        let only_new = ring(&format!("k2:{}", "cd".repeat(32)));
        assert_eq!(only_new.open(HERE, &envelope), Err(EnvelopeError::UnknownKey("k1".into())));
    }

    #[test]
    fn nasty_envelopes_and_keys_are_refused() {
        let ring = ring(&format!("k1:{}", "ab".repeat(32)));
        for nasty in
            ["", "v1", "v2.k1.a.b", "v1.k1..", "v1.k1.AAAA.%%", "v1.k1.a.b.c", "v1.k1.AAAAAAAAAAAAAAAA.AAAA"]
        {
            assert!(ring.open(HERE, nasty).is_err(), "{nasty}");
        }
        for nasty in ["", "k1", "k1:zz", "k1:abcd", ":abcd", "k.1:00"] {
            assert!(Keyring::parse(nasty).is_err(), "{nasty}");
        }
    }
}
