//! Signatures of webhooks: HMAC-SHA256 over the raw bytes, 64 lower-case hex digits.
//!
//! More than one secret may be current (a rotation), and all are tried. Comparison is in constant time.
//! Large bodies are signed by the platform instead; [`Signature::fits`] then compares.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::problem::{Problem, ProblemCode};

/// A signature as a sender gave it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 32]);

impl Signature {
    /// Reads a `Linear-Signature` header. Upper-case digits, prefixes and other lengths are refused.
    pub fn parse(header: Option<&str>) -> Result<Self, Problem> {
        let text = header.ok_or_else(|| {
            Problem::new(
                ProblemCode::SignatureMissing,
                "send the body's HMAC-SHA256 in the `Linear-Signature` header",
            )
        })?;
        let malformed = || {
            Problem::new(
                ProblemCode::SignatureMalformed,
                "the signature must be 64 lower-case hex digits, without a prefix",
            )
        };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| malformed())?;
        Ok(Self(bytes))
    }

    /// Whether `expected` (an HMAC made elsewhere) is this signature, in constant time.
    pub fn fits(&self, expected: &[u8]) -> bool {
        self.0.ct_eq(expected).into()
    }

    /// Whether one of the secrets gives this signature for `body`. All secrets are tried, so time tells nothing.
    pub fn verify(&self, secrets: &[&str], body: &[u8]) -> Result<(), Problem> {
        let mut fits = subtle::Choice::from(0);
        for secret in secrets {
            fits |= self.0.ct_eq(&sign(secret, body));
        }
        if fits.into() { Ok(()) } else { Err(Self::wrong()) }
    }

    /// The refusal for a signature that does not fit.
    pub fn wrong() -> Problem {
        Problem::new(
            ProblemCode::SignatureWrong,
            "the signature does not fit the body; check that the webhook secret is the app's current one",
        )
    }
}

/// HMAC-SHA256 of `body` under `secret`.
pub fn sign(secret: &str, body: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so the error arm cannot be reached; all zeros would fit nothing.
    Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .map_or([0; 32], |mac| mac.chain_update(body).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(secret: &str, body: &[u8]) -> String {
        hex::encode(sign(secret, body))
    }

    #[test]
    fn a_body_signed_with_either_current_secret_is_taken() {
        for secret in ["old", "new"] {
            let signature = Signature::parse(Some(&header(secret, b"{}"))).unwrap();
            assert!(signature.verify(&["old", "new"], b"{}").is_ok());
            assert!(signature.verify(&["other"], b"{}").unwrap_err().is(ProblemCode::SignatureWrong));
            assert!(signature.verify(&[], b"{}").is_err());
            assert!(signature.verify(&["old", "new"], b"{ }").is_err());
        }
    }

    #[test]
    fn nasty_headers_are_refused() {
        assert!(Signature::parse(None).err().unwrap().is(ProblemCode::SignatureMissing));
        let good = header("s", b"{}");
        for nasty in [
            good.to_uppercase(),
            format!("sha256={good}"),
            good[..62].to_owned(),
            format!("{good}00"),
            String::new(),
            "é".repeat(32),
        ] {
            assert!(
                Signature::parse(Some(&nasty)).err().unwrap().is(ProblemCode::SignatureMalformed),
                "{nasty}"
            );
        }
    }
}
